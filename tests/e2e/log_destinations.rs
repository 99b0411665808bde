//! Where lines go: loggers, routes, encoders, files that are rotated and reopened.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::both;
use crate::support::wait::{Over, PATIENCE, until_true};
use crate::support::{Kind, Server, Setup};

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

#[track_caller]
fn wait_for(file: &Path, wanted: &str) {
    until_true(&format!("{wanted:?} in {}", file.display()), || {
        text(file).contains(wanted)
    });
}

both! {
    fn request_lines_have_a_logger_of_their_own(kind) {
        let setup = Setup::app(kind, "prints.py");
        let (all, requests) = (setup.dir().join("all.log"), setup.dir().join("requests.log"));
        let server = setup
            .option("logger", format!("file:{}", all.display()))
            .option("req-logger", format!("file:{}", requests.display()))
            .option("log-req-encoder", "prefix [r]")
            .start();
        server.get("/hello").expect(200);
        wait_for(&requests, "GET /hello => generated 4 bytes");
        for line in ["spawned uWSGI worker 1", "to stdout", "to stderr"] {
            wait_for(&all, line);
        }
        assert!(text(&requests).starts_with("[r][pid: "));
        assert!(!text(&all).contains("GET /hello"));
    }
}

both! {
    fn lines_are_routed_by_what_they_say(kind) {
        let setup = Setup::app(kind, "prints.py");
        let (named, routed) = (setup.dir().join("named.log"), setup.dir().join("routed.log"));
        let server = setup
            .option("logger", format!("named file:{}", named.display()))
            .option("logger", format!("routed file:{}", routed.display()))
            .option("log-route", "routed to std(out|err)")
            .option("log-encoder", "format:routed <${msg}>")
            .option("log-encoder", "nl:routed")
            .start();
        server.get("/hello").expect(200);
        wait_for(&routed, "<to stdout>\n");
        wait_for(&routed, "<to stderr>\n");
        // What no route names goes where it always went, not to loggers with a name.
        server.wait_for_log("GET /hello => generated");
        server.wait_for_log("to wsgi.errors");
        assert!(!server.log().contains("to stdout"));
        assert_eq!(text(&named), "");
    }
}

both! {
    fn lines_are_drained_and_filtered(kind) {
        let server = Setup::app(kind, "prints.py")
            .option("log-drain", "^to stdout")
            .option("log-filter", "^to |generated")
            .start();
        server.get("/hello").expect(200);
        server.wait_for_log("GET /hello => generated");
        let log = server.log();
        assert!(log.contains("to stderr") && !log.contains("to stdout"), "{log}");
        assert!(!log.contains("spawned uWSGI worker"), "{log}");
    }
}

both! {
    fn lines_are_made_json_on_their_way(kind) {
        let setup = Setup::source(kind, r#"
import sys
def application(environ, start_response):
    sys.stderr.write('a "quoted" word\n')
    start_response("200 OK", [])
    return [b"done"]
"#);
        let server = setup
            .option("log-encoder", r#"json {"at": ${unix}, "year": "${strftime:%%Y}", "line": "${msg}"}"#)
            .option("log-encoder", "nl")
            .start();
        server.get("/").expect(200);
        let line = server.wait_for_line("the line", |line| line.contains("quoted"));
        let value: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        assert_eq!(value["line"], "a \"quoted\" word");
        assert!(value["at"].is_u64() && value["year"].as_str().is_some_and(|year| year.len() == 4));
    }
}

both! {
    fn lines_go_to_sockets(kind) {
        let setup = Setup::app(kind, "prints.py");
        let path = setup.dir().join("log.sock");
        let unix = UnixDatagram::bind(&path).expect("a socket can be bound");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let syslog = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound").to_string();
        unix.set_read_timeout(Some(PATIENCE)).expect("it can");
        for socket in [&udp, &syslog] {
            socket.set_read_timeout(Some(PATIENCE)).expect("it can");
        }
        let server = setup
            .option("log-socket", path.display())
            .option("logger", format!("socket:{},prefix:", address(&udp)))
            .option("logger", format!("rsyslog:{},tag", address(&syslog)))
            .start();
        server.get("/hello").expect(200);
        let find = |receive: &dyn Fn(&mut [u8]) -> std::io::Result<usize>| loop {
            let mut datagram = [0; 2000];
            let len = receive(&mut datagram).expect("a line comes");
            let text = String::from_utf8_lossy(&datagram[..len]).into_owned();
            if text.contains("to stdout") {
                return text;
            }
        };
        assert_eq!(find(&|it| unix.recv(it)), "to stdout\n");
        assert_eq!(find(&|it| udp.recv(it)), "prefix:to stdout\n");
        let message = find(&|it| syslog.recv(it));
        assert!(message.starts_with("<29>") && message.ends_with(" tag: to stdout"), "{message}");
    }
}

/// A file that was moved away keeps what it has, and everything later is in the new one, from all processes.
#[test]
fn a_moved_file_is_reopened_by_all_processes() {
    let setup = Setup::app(Kind::Uwgate, "prints.py");
    let (log, old) = (setup.dir().join("its.log"), setup.dir().join("its.log.1"));
    let fifo = setup.dir().join("fifo");
    let server = setup
        .option("processes", 2)
        .option("logto", log.display())
        .option("master-fifo", fifo.display())
        .option("logfile-chmod", "600")
        .start();
    for number in 0..10 {
        server.get(&format!("/before{number}")).expect(200);
    }
    for number in 0..10 {
        wait_for(&log, &format!("GET /before{number} =>"));
    }
    std::fs::rename(&log, &old).expect("a file can be moved");
    std::fs::write(&fifo, "l").expect("the fifo can be written to");
    wait_for(&log, "reopened.");
    for number in 0..10 {
        server.get(&format!("/after{number}")).expect(200);
    }
    for number in 0..10 {
        wait_for(&log, &format!("GET /after{number} =>"));
    }
    assert_eq!(text(&old).matches("GET /before").count(), 10);
    assert!(!text(&old).contains("/after") && !text(&log).contains("/before"));
    server.get("/hello").expect(200);
    wait_for(&log, "to stdout");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&log)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Lines written all the while: each is in exactly one of the files.
#[test]
fn no_line_is_lost_while_files_are_rotated() {
    for how in ["logto", "logger"] {
        let setup = Setup::app(Kind::Uwgate, "hello.py");
        let (log, fifo) = (setup.dir().join("its.log"), setup.dir().join("fifo"));
        let value = match how {
            "logto" => log.display().to_string(),
            _ => format!("file:{}", log.display()),
        };
        let server = setup
            .option("processes", 2)
            .option(how, value)
            .option("master-fifo", fifo.display())
            .start();
        let done = AtomicBool::new(false);
        let counts = std::thread::scope(|scope| {
            let clients = [0, 1].map(|client| {
                let (server, done) = (&server, &done);
                scope.spawn(move || {
                    let mut count = 0;
                    while !done.load(Ordering::Relaxed) {
                        server.get(&format!("/c{client}-{count}-")).expect(200);
                        count += 1;
                    }
                    count
                })
            });
            let over = Over(&done);
            for round in 1..=3 {
                wait_for(&log, "GET /c0-");
                std::fs::write(&fifo, "L").expect("the fifo can be written to");
                until_true("a rotated file", || rotated(&server).len() == round);
            }
            drop(over);
            clients.map(|client| client.join().expect("a client does not fail"))
        });
        let all = || {
            let mut files = rotated(&server);
            files.push(log.clone());
            files.iter().map(|file| text(file)).collect::<String>()
        };
        let total = counts.iter().sum::<usize>();
        until_true("all lines", || {
            all().matches("=> generated").count() == total
        });
        let all = all();
        for (client, count) in counts.into_iter().enumerate() {
            for number in 0..count {
                let line = format!("GET /c{client}-{number}- =>");
                assert_eq!(all.matches(&line).count(), 1, "{how}: {line}");
            }
        }
    }
}

fn rotated(server: &Server) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(&*server.dir).expect("it can be read");
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let is_rotated = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("its.log.")
    };
    paths.filter(is_rotated).collect()
}

both! {
    fn a_file_that_is_too_large_is_rotated(kind) {
        let setup = Setup::app(kind, "hello.py");
        let (log, backup) = (setup.dir().join("its.log"), setup.dir().join("backup.log"));
        let server = setup
            .option("logto", log.display())
            .option("log-maxsize", 4000)
            .option("log-backupname", backup.display())
            .start();
        for _ in 0..20 {
            server.get("/before").expect(200);
        }
        wait_for(&backup, "triggering rotation to ");
        server.get("/after").expect(200);
        wait_for(&log, "GET /after =>");
    }
}

#[test]
fn a_reload_takes_new_destinations() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let (first, second) = (
        setup.dir().join("first.log"),
        setup.dir().join("second.log"),
    );
    let server = setup.option("logto", first.display()).start();
    server.get("/before").expect(200);
    wait_for(&first, "GET /before =>");
    let ini = server.dir.join("server.ini");
    let new = text(&ini).replace(
        &format!("logto = {}", first.display()),
        &format!("logger = file:{}\nlog-json = true", second.display()),
    );
    std::fs::write(&ini, new).expect("it can be written");
    server.signal(Signal::HUP);
    wait_for(&second, "spawned uWSGI worker 1");
    until_true("the new worker's line", || {
        server.get("/after").expect(200);
        std::thread::sleep(Duration::from_millis(5));
        text(&second).contains("\"uri\":\"/after\"")
    });
}

#[test]
fn what_is_said_last_is_written_too() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let log = setup.dir().join("its.log");
    let mut server = setup
        .option("logger", format!("file:{}", log.display()))
        .start();
    server.get("/last").expect(200);
    server.stop_with(Signal::INT);
    let log = text(&log);
    assert!(log.contains("GET /last =>"), "{log}");
    assert!(log.ends_with("goodbye to uWSGI.\n"), "{log}");
}

#[test]
fn what_cannot_be_a_destination_is_refused_with_its_line() {
    for (key, value, words) in [
        (
            "logger",
            "redislog:x",
            "the logger `redislog` is not supported",
        ),
        ("logger", "file:/dev/null/x", "cannot log to /dev/null/x"),
        ("log-route", "nobody x", "no logger is called `nobody`"),
        ("log-encoder", "gzip", "the encoder `gzip` is not supported"),
        ("log-filter", "(?=x)", "not a regular expression"),
        ("logto", "/dev/null/x", "cannot log to /dev/null/x"),
    ] {
        let setup = Setup::app(Kind::Uwgate, "hello.py").option(key, value);
        let mut server = setup.spawn();
        let status = server.process.wait();
        assert_eq!(status.code(), Some(1), "{key} = {value}");
        let log = server.log();
        let place = log.contains("server.ini:");
        assert!(log.contains(words) && place, "{key} = {value}: {log}");
    }
}
