//! Commands on the command line, and what the shell sees of them and of an instance that does not start.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use crate::both;
use crate::support::process::alive;
use crate::support::wait::{PATIENCE, until, until_true};
use crate::support::{Address, Kind, Server, Setup, TempDir};

/// What the shell sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Code(i32),
    Signal(i32),
}

impl End {
    fn sentence(self) -> String {
        match self {
            Self::Code(code) => code.to_string(),
            Self::Signal(_) => "**signals its whole process group**".into(),
        }
    }
}

use End::*;

/// A command line, with what it says to whom; what each server makes of it, and a word that ours must say.
struct Case {
    line: &'static str,
    situation: &'static str,
    uwsgi: End,
    uwgate: End,
    word: &'static str,
}

const fn case(line: &'static str, situation: &'static str, uwsgi: End, uwgate: End) -> Case {
    Case {
        line,
        situation,
        uwsgi,
        uwgate,
        word: "",
    }
}

impl Case {
    const fn saying(self, word: &'static str) -> Self {
        Self { word, ..self }
    }
}

/// `FILE` and the like stand for what the test makes.
#[rustfmt::skip]
const CASES: &[Case] = &[
    case("--reload PIDFILE", "the instance runs", Code(0), Code(0)),
    case("--pause PIDFILE", "the instance runs", Code(0), Code(0)),
    case("--ping SOCKET --ping-timeout 1", "the instance is paused", Code(1), Code(1)).saying("no answer in time"),
    case("--resume PIDFILE", "the instance is paused", Code(0), Code(0)),
    case("--suspend PIDFILE", "the instance runs", Code(0), Code(0)),
    case("--resume PIDFILE", "the instance is paused", Code(0), Code(0)),
    case("--reload ABSENT", "there is no such file", Code(1), Code(1)).saying("No such file"),
    case("--stop STALE", "there is no such process", Code(255), Code(1)).saying("the instance has ended"),
    case("--stop STRANGER", "the process is another program", Code(0), Code(1)).saying("is no instance"),
    case("--stop GARBAGE", "the file holds no number", Signal(2), Code(1)).saying("holds no process id"),
    case("--ping SOCKET", "the instance is well", Code(0), Code(0)),
    case("--ping ABSENT", "nobody is there", Code(1), Code(1)).saying("No such file"),
    case("--ping SILENT --ping-timeout 1", "somebody says nothing", Code(1), Code(1)).saying("no answer in time"),
    case("--connect-and-read TALKER", "somebody says something", Code(0), Code(0)),
    case("--stop PIDFILE", "the instance runs", Code(0), Code(0)),
];

pub fn table() -> String {
    let mut table = "| command | when | uWSGI | uwgate |\n|---|---|---|---|\n".to_owned();
    let mut seen = Vec::new();
    for case in CASES {
        let line = case
            .line
            .replace("ABSENT", "FILE")
            .replace("STALE", "PIDFILE");
        let line = line
            .replace("STRANGER", "PIDFILE")
            .replace("GARBAGE", "PIDFILE");
        let line = line.replace("SILENT", "SOCKET").replace("TALKER", "SOCKET");
        let (theirs, ours) = (case.uwsgi.sentence(), case.uwgate.sentence());
        let row = format!("| `{line}` | {} | {theirs} | {ours} |", case.situation);
        if !seen.contains(&row) {
            writeln!(table, "{row}").expect("is a string");
            seen.push(row);
        }
    }
    table
}

/// Runs a command line in a process group of its own.
fn run(kind: Kind, line: &str) -> (End, Output) {
    let mut child = kind
        .command()
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{line} does not end");
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("the output can be read");
    let end = match (output.status.code(), output.status.signal()) {
        (Some(code), _) => Code(code),
        (None, Some(signal)) => Signal(signal),
        (None, None) => panic!("{:?}", output.status),
    };
    (end, output)
}

/// A program that is neither of the servers.
struct Stranger(std::process::Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

both! {
    fn the_commands_end_as_the_page_says(kind) {
        let setup = Setup::app(kind, "hello.py");
        let pidfile = setup.dir().join("pid");
        let mut server = setup.option("pidfile", pidfile.display()).start();
        server.wait_until_it_catches_signals();
        until_true("the pidfile", || fs::read_to_string(&pidfile).is_ok_and(|text| text.ends_with('\n')));
        let dir = TempDir::new();
        let stranger = Stranger(Command::new("sleep").arg("60").spawn().expect("sleep starts"));
        dir.write("stranger", stranger.0.id().to_string());
        // The largest pid that Linux gives is a little smaller.
        dir.write("stale", "4194305\n");
        dir.write("garbage", "abc\n");
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let talker = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let talks = talker.local_addr().expect("an address");
        let talking = thread::spawn(move || {
            let (mut connection, _) = talker.accept().expect("a connection");
            connection.write_all(b"{\"version\":1}").expect("is read");
        });
        for case in CASES {
            let line = case.line
                .replace("PIDFILE", &pidfile.display().to_string())
                .replace("ABSENT", &dir.join("absent").display().to_string())
                .replace("STALE", &dir.join("stale").display().to_string())
                .replace("STRANGER", &dir.join("stranger").display().to_string())
                .replace("GARBAGE", &dir.join("garbage").display().to_string())
                .replace("SOCKET", &server.socket.to_string())
                .replace("SILENT", &silent.local_addr().expect("an address").to_string())
                .replace("TALKER", &talks.to_string());
            let reloads = server.log().matches("spawned uWSGI worker 1").count();
            let (suspended, resumed) = (count(&server, "suspended"), count(&server, "resumed"));
            let (end, output) = run(kind, &line);
            let said = String::from_utf8_lossy(&output.stderr);
            let expected = if kind == Kind::Uwgate { case.uwgate } else { case.uwsgi };
            assert_eq!(end, expected, "{line} ({}): {said}", case.situation);
            if kind == Kind::Uwgate {
                assert!(said.contains(case.word), "{line}: {said}");
                assert_eq!(said.is_empty(), end == Code(0), "{line}: {said}");
            }
            match case.line {
                "--reload PIDFILE" => until_true("a reload", || {
                    server.log().matches("spawned uWSGI worker 1").count() > reloads
                }),
                "--pause PIDFILE" | "--suspend PIDFILE" => {
                    until_true("the pause", || count(&server, "suspended") > suspended);
                }
                "--resume PIDFILE" => {
                    until_true("the end of the pause", || count(&server, "resumed") > resumed);
                }
                "--connect-and-read TALKER" => {
                    // uWSGI writes it to stderr.
                    let all = [output.stdout.as_slice(), &output.stderr].concat();
                    assert_eq!(all, b"{\"version\":1}");
                }
                _ => {}
            }
            if case.line == "--reload PIDFILE" {
                server.wait_until_it_catches_signals();
            }
        }
        talking.join().expect("somebody connected");
        assert_eq!(server.process.wait().code(), Some(0));
    }
}

fn count(server: &Server, state: &str) -> usize {
    server.log().matches(&format!("worker 1 {state}")).count()
}

/// A service manager looks at these.
#[test]
fn a_start_that_fails_says_so_with_its_exit_code() {
    for kind in [Kind::Uwgate, Kind::Uwsgi] {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("an address");
        let mut server = Setup::app(kind, "hello.py")
            .option("http-socket", address)
            .spawn();
        assert_eq!(
            server.process.wait().code(),
            Some(1),
            "{kind:?}: the port is taken"
        );
        let mut server = Setup::source(kind, "raise RuntimeError('broken')\n")
            .option("http-socket", Address::free_port())
            .spawn();
        assert_eq!(
            server.process.wait().code(),
            Some(22),
            "{kind:?}: there is no app"
        );
        let (end, _) = run(kind, "--ini /dev/null/app.ini");
        assert_eq!(end, Code(1), "{kind:?}: there is no configuration");
    }
}

/// What was signalled really is the process in the file, and nobody else.
#[test]
fn a_stranger_is_left_alone() {
    let mut stranger = Stranger(
        Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep starts"),
    );
    let dir = TempDir::new();
    let file = dir.write("pid", format!("{}\n", stranger.0.id()));
    // Until it has become the other program it is a copy of us.
    until("sleep to run", || {
        let exe = fs::read_link(format!("/proc/{}/exe", stranger.0.id())).ok()?;
        (!exe.to_string_lossy().contains("e2e")).then_some(())
    });
    for command in ["--stop", "--reload", "--pause"] {
        let (end, output) = run(Kind::Uwgate, &format!("{command} {}", file.display()));
        assert_eq!(end, Code(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("sleep"), "{said}");
    }
    assert!(alive(stranger.0.id()));
    assert!(stranger.0.try_wait().expect("a child").is_none());
}

/// A command in a file would run at every reload.
#[test]
fn a_command_is_no_configuration() {
    let mut server = Setup::app(Kind::Uwgate, "hello.py")
        .option("stop", "/run/app.pid")
        .spawn();
    assert_eq!(server.process.wait().code(), Some(1));
    assert!(
        server.log().contains("this is a command"),
        "{}",
        server.log()
    );
}
