//! Files by which an instance is controlled: pidfiles, FIFOs, touched and watched files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::Signal;

use crate::both;
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Server, Setup};

const PIDFILES: [&str; 4] = ["pidfile", "pidfile2", "safe-pidfile", "safe-pidfile2"];

fn with_pidfiles(kind: Kind, app: &str) -> Setup {
    let setup = Setup::app(kind, app);
    PIDFILES.iter().fold(setup, |setup, option| {
        let file = setup.dir().join(option);
        setup.option(option, file.display())
    })
}

fn pid_in(server: &Server, file: &str) -> Option<u32> {
    let text = fs::read_to_string(server.dir.join(file)).ok()?;
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.trim().parse().ok()
}

both! {
    fn pidfiles_hold_the_masters_pid(kind) {
        for vacuum in [false, true] {
            let mut server = with_pidfiles(kind, "hello.py").option("vacuum", vacuum).start();
            let pid = server.process.pid();
            for option in PIDFILES {
                until_true(option, || pid_in(&server, option) == Some(pid));
            }
            assert_eq!(server.stop_with(Signal::INT).code(), Some(0));
            for option in PIDFILES {
                assert_eq!(server.dir.join(option).exists(), !vacuum, "{option}");
            }
        }
    }
}

/// In uWSGI the pidfile then names a process that is gone, and nobody stops the one that runs.
#[test]
fn a_second_start_leaves_the_pidfile_alone() {
    let server = with_pidfiles(Kind::Uwgate, "hello.py").start();
    let mut again = Setup::app(Kind::Uwgate, "hello.py")
        .option("http-socket", &server.http)
        .option("pidfile", server.dir.join("pidfile").display())
        .option("safe-pidfile", server.dir.join("safe-pidfile").display())
        .option("vacuum", "true")
        .spawn();
    assert_eq!(again.process.wait().code(), Some(1));
    for option in ["pidfile", "safe-pidfile"] {
        until_true(option, || {
            pid_in(&server, option) == Some(server.process.pid())
        });
    }
}

#[test]
fn a_safe_pidfile_is_only_written_when_the_instance_serves() {
    let setup = Setup::source(Kind::Uwgate, "raise RuntimeError('broken')\n");
    let (safe, early) = (setup.dir().join("safe"), setup.dir().join("early"));
    let mut server = setup
        .option("http-socket", "127.0.0.1:0")
        .option("safe-pidfile", safe.display())
        .option("pidfile", early.display())
        .spawn();
    assert_eq!(server.process.wait().code(), Some(22));
    assert!(early.exists() && !safe.exists());
}

#[test]
fn a_pidfile_that_cannot_be_written_is_told_at_start() {
    let mut server = Setup::app(Kind::Uwgate, "hello.py")
        .option("http-socket", "127.0.0.1:0")
        .option("pidfile", "/dev/null/pid")
        .spawn();
    assert_eq!(server.process.wait().code(), Some(1));
    let log = server.log();
    assert!(
        log.contains("server.ini:") && log.contains("cannot write /dev/null/pid"),
        "{log}"
    );
}

/// uWSGI says that it reads a pipe before it makes it.
fn write_to(path: &Path, text: &str) {
    let open = || fs::OpenOptions::new().write(true).open(path).ok();
    let mut fifo = until("the FIFO", open);
    fifo.write_all(text.as_bytes())
        .expect("the FIFO can be written to");
}

both! {
    /// Only the pipe of the active slot is there and read.
    fn a_digit_chooses_another_fifo(kind) {
        let setup = Setup::app(kind, "hello.py");
        let paths = ["zero", "one"].map(|name| setup.dir().join(name));
        let [zero, one] = &paths;
        let mut server = setup
            .option("master-fifo", zero.display())
            .option("master-fifo", one.display())
            .start();
        until_true("the first FIFO", || zero.exists());
        assert!(!one.exists());
        let made = fs::metadata(zero).expect("is there");
        assert!(made.file_type().is_fifo());
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
        write_to(zero, "1");
        server.wait_for_log(&format!("active master fifo is now {}", one.display()));
        write_to(one, "s");
        server.wait_for_log("workers total requests");
        // uWSGI begins with the first slot again.
        if kind == Kind::Uwgate {
            server.signal(Signal::HUP);
            server.wait_for_log("buried");
        }
        write_to(one, "Q");
        assert_eq!(server.process.wait().code(), Some(0));
    }
}

/// Even if it is as small as what `echo r > FILE` leaves where there is no pipe.
#[test]
fn a_file_in_the_place_of_a_fifo_is_left_alone() {
    for content in ["r\n".to_owned(), "important\n".repeat(50)] {
        let setup = Setup::app(Kind::Uwgate, "hello.py");
        let file = setup.write("fifo", &content);
        let other = setup.dir().join("other");
        let mut server = setup
            .option("http-socket", "127.0.0.1:0")
            .option("master-fifo", other.display())
            .option("master-fifo", file.display())
            .spawn();
        assert_eq!(server.process.wait().code(), Some(1));
        let log = server.log();
        let told = log.lines().any(|line| {
            line.contains("server.ini:") && line.contains("something else than a named pipe")
        });
        assert!(told, "{log}");
        assert_eq!(fs::read_to_string(&file).expect("is there"), content);
        assert!(!other.exists());
    }
}

/// Puts another value in the place of one in the server's configuration.
fn rewrite(server: &Server, from: &str, to: &str) {
    let ini = server.dir.join("server.ini");
    let text = fs::read_to_string(&ini).expect("is there");
    assert!(text.contains(from), "{from} in {text}");
    fs::write(&ini, text.replace(from, to)).expect("can be written");
}

both! {
    /// Whoever writes on a pipe that nobody reads waits for ever.
    fn a_reload_that_renames_the_fifo_leaves_no_other_behind(kind) {
        let setup = Setup::app(kind, "hello.py");
        let (first, second) = (setup.dir().join("first"), setup.dir().join("second"));
        let server = setup.option("master-fifo", first.display()).start();
        until_true("the first FIFO", || first.exists());
        rewrite(&server, "/first", "/second");
        server.signal(Signal::HUP);
        until_true("the second FIFO", || second.exists());
        if kind == Kind::Uwsgi {
            assert!(first.exists(), "nobody removes it");
            return;
        }
        until_true("the first FIFO to go", || !first.exists());
        write_to(&second, "s");
        server.wait_for_log("workers total requests");
        rewrite(&server, "master-fifo", "# ");
        server.signal(Signal::HUP);
        until_true("the second FIFO to go", || !second.exists());
    }
}

/// The pipe that is read stays when other slots come and go, and so does a command that was written meanwhile.
#[test]
fn a_reload_that_brings_another_slot_reads_on() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let [zero, one, two] = ["zero", "one", "two"].map(|name| setup.dir().join(name));
    let server = setup
        .option("master-fifo", zero.display())
        .option("master-fifo", one.display())
        .start();
    write_to(&zero, "1");
    until_true("the other slot", || one.exists());
    let inode = |path: &Path| fs::metadata(path).expect("is there").ino();
    let before = inode(&one);
    let line = format!("master-fifo = {}\n", one.display());
    let more = format!("{line}master-fifo = {}\n", two.display());
    rewrite(&server, &line, &more);
    server.signal(Signal::HUP);
    server.wait_for_log("buried");
    write_to(&one, "s");
    server.wait_for_log("workers total requests");
    assert_eq!(inode(&one), before);
    write_to(&one, "2");
    server.wait_for_log(&format!("active master fifo is now {}", two.display()));
}

#[test]
fn a_reload_whose_fifo_is_a_file_is_refused() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let first = setup.dir().join("first");
    let file = setup.write("file", "r\n");
    let server = setup.option("master-fifo", first.display()).start();
    until_true("the first FIFO", || first.exists());
    rewrite(&server, "/first", "/file");
    server.signal(Signal::HUP);
    server.wait_for_log("something else than a named pipe");
    server.wait_for_log("RELOAD FAILED");
    write_to(&first, "s");
    server.wait_for_log("workers total requests");
    assert_eq!(fs::read_to_string(&file).expect("is there"), "r\n");
}

both! {
    fn a_reload_writes_the_pidfiles_that_it_names(kind) {
        let server = with_pidfiles(kind, "hello.py").start();
        let pid = server.process.pid();
        for option in PIDFILES {
            until_true(option, || pid_in(&server, option) == Some(pid));
        }
        for option in PIDFILES {
            rewrite(&server, &format!("/{option}\n"), &format!("/new-{option}\n"));
        }
        server.signal(Signal::HUP);
        if kind == Kind::Uwsgi {
            until_true("the second start", || {
                server.log().matches("spawned uWSGI worker 1").count() == 2
            });
        }
        for option in PIDFILES {
            let new = format!("new-{option}");
            match kind {
                Kind::Uwgate => until_true(option, || {
                    pid_in(&server, &new) == Some(pid) && !server.dir.join(option).exists()
                }),
                Kind::Uwsgi => {
                    assert_eq!(pid_in(&server, option), Some(pid), "nobody removes it");
                    assert!(!server.dir.join(&new).exists(), "nobody writes it");
                }
            }
        }
    }
}

/// The same file by another name must not be taken away, nor one that is another instance's by now.
#[test]
fn a_reload_removes_only_its_own_pidfiles() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let path = |name: &str| setup.dir().join(name).display().to_string();
    let (same, other, new) = (path("same"), path("other"), path("new"));
    let by_another_name = path("./same");
    let server = setup
        .option("pidfile", &same)
        .option("safe-pidfile", &other)
        .start();
    let pid = Some(server.process.pid());
    until_true("the pidfiles", || pid_in(&server, "other") == pid);
    fs::write(&other, "1\n").expect("can be written");
    rewrite(&server, &same, &by_another_name);
    rewrite(&server, &other, &new);
    server.signal(Signal::HUP);
    until_true("the new pidfile", || pid_in(&server, "new") == pid);
    server.wait_for_log("buried");
    assert_eq!(pid_in(&server, "same"), pid);
    assert_eq!(pid_in(&server, "other"), Some(1));
}

/// An app that tells the version it was loaded with, and its pid.
const VERSIONED: &str = "\
import os
HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = open(os.path.join(HERE, 'version')).read()
def application(environ, start_response):
    start_response('200 OK', [('Connection', 'close')])
    return [('%s %d' % (VERSION, os.getpid())).encode()]
";

/// Starts it and waits until it serves what was there at the start.
fn started(setup: Setup) -> Server {
    let server = setup.start();
    assert_eq!(version(&server), "one");
    server
}

fn versioned(kind: Kind) -> Setup {
    let setup = Setup::source(kind, VERSIONED);
    setup.write("version", "one");
    setup
}

fn version(server: &Server) -> String {
    answer(server).0
}

fn answer(server: &Server) -> (String, String) {
    let response = server.get("/").expect(200);
    let (version, pid) = response.text().split_once(' ').expect("two words");
    (version.to_owned(), pid.to_owned())
}

both! {
    /// A file that is not there at first counts when it is made; relative names start from `chdir`.
    fn touch_reload_reloads(kind) {
        let setup = versioned(kind);
        let there = setup.dir().join("there");
        fs::create_dir(setup.dir().join("sub")).expect("can be made");
        fs::write(&there, "").expect("can be written");
        let missing = setup.dir().join("sub/missing");
        let setup = setup
            .option("chdir", "sub")
            .option("touch-reload", there.display())
            .option("touch-reload", "missing");
        let server = started(setup);
        server.wait_for_log("missing, events will be triggered as soon as the file is created");
        for (file, text) in [(&there, "two"), (&missing, "three"), (&missing, "four")] {
            server.dir.write("version", text);
            // uWSGI looks at whole seconds, and only once the reload before is over.
            until_true(text, || {
                let touched = fs::File::create(file).expect("can be made");
                touched.set_modified(std::time::SystemTime::now()).expect("can be touched");
                std::thread::sleep(std::time::Duration::from_millis(300));
                server.http.connect().is_ok() && {
                    let mut client = server.client();
                    client.write(crate::support::Request::get("/").header("Connection", "close").bytes());
                    String::from_utf8_lossy(&client.rest()).contains(text)
                }
            });
        }
    }
}

#[test]
fn touched_files_have_their_own_wishes() {
    let setup = versioned(Kind::Uwgate);
    let file = |name: &str| setup.dir().join(name);
    let (workers, chain) = (file("workers"), file("chain"));
    let (reopen, rotate) = (file("reopen"), file("rotate"));
    let setup = setup
        .option("touch-workers-reload", workers.display())
        .option("touch-chain-reload", chain.display())
        .option("touch-logreopen", reopen.display())
        .option("touch-logrotate", rotate.display());
    let server = started(setup);
    server.dir.write("version", "two");
    for file in [&workers, &chain] {
        let (before, pid) = answer(&server);
        fs::write(file, "").expect("can be written");
        until_true("a new worker", || answer(&server).1 != pid);
        assert_eq!(version(&server), before, "the code is the same");
    }
    for file in [&reopen, &rotate] {
        fs::write(file, "").expect("can be written");
        server.wait_for_log(&format!("*** {} has been touched...", file.display()));
    }
    server.get("/").expect(200);
}

/// The touch that a reload answers is not asked for again by that reload, and one that comes meanwhile is not lost.
#[test]
fn a_touch_is_one_reload() {
    let setup = versioned(Kind::Uwgate);
    let file = setup.dir().join("touch");
    let server = started(setup.option("touch-reload", file.display()));
    for (count, text) in [(1, "two"), (2, "three")] {
        server.dir.write("version", text);
        fs::write(&file, text).expect("can be written");
        until_true(text, || version(&server) == text);
        server.signal(Signal::USR1);
        until_true("the signal after it", || {
            server.log().matches("workers total requests").count() == count
        });
        assert_eq!(server.log().matches("has been touched").count(), count);
    }
}

/// A configuration that a reload brings has other files to look at.
#[test]
fn a_reload_brings_other_files_to_look_at() {
    let setup = versioned(Kind::Uwgate);
    let (first, second) = (setup.dir().join("first"), setup.dir().join("second"));
    let fifo = setup.dir().join("fifo");
    let server = started(setup.option("touch-reload", first.display()));
    let ini = server.dir.join("server.ini");
    let text = fs::read_to_string(&ini).expect("is there");
    let text = text.replace(&first.display().to_string(), &second.display().to_string());
    fs::write(&ini, format!("{text}master-fifo = {}\n", fifo.display())).expect("can be written");
    server.signal(Signal::HUP);
    until_true("the FIFO", || fifo.exists());
    for (word, text) in [("touch", "two"), ("FIFO", "three")] {
        server.dir.write("version", text);
        match word {
            "touch" => fs::write(&second, "").expect("can be written"),
            _ => write_to(&fifo, "r"),
        }
        until_true(text, || version(&server) == text);
    }
}

#[test]
fn fs_reload_sees_changes_in_a_directory_and_of_a_file() {
    let setup = versioned(Kind::Uwgate);
    let (directory, file) = (setup.dir().join("directory"), setup.dir().join("file"));
    fs::create_dir(&directory).expect("can be made");
    let setup = setup.option("fs-reload", directory.display());
    let server = started(setup.option("fs-reload", file.display()));
    // What is not there is waited for.
    let changes: [(&str, &dyn Fn()); 4] = [
        ("two", &|| {
            fs::write(directory.join("x"), "").expect("can be written");
        }),
        ("three", &|| {
            fs::remove_file(directory.join("x")).expect("is there");
        }),
        ("four", &|| fs::write(&file, "").expect("can be written")),
        ("five", &|| {
            let new = directory.with_file_name("new");
            fs::write(&new, "").expect("can be written");
            fs::rename(new, &file).expect("can be moved");
        }),
    ];
    for (text, change) in changes {
        server.dir.write("version", text);
        change();
        until_true(text, || version(&server) == text);
    }
}

const RELOADED: &str = "\
import sys
sys.path.insert(0, __file__.rpartition('/')[0])
import part
def application(environ, start_response):
    import late
    start_response('200 OK', [('Connection', 'close')])
    return [('%s %s' % (part.VERSION, late.VERSION)).encode()]
";

/// Modules that were imported before the fork and in a request; a broken version, which only a new file repairs; one
/// that is not to be looked at.
#[test]
fn py_autoreload_follows_the_code() {
    let setup = Setup::source(Kind::Uwgate, RELOADED);
    setup.write("part.py", "VERSION = 1");
    setup.write("late.py", "VERSION = 1");
    let server = setup
        .option("processes", 2)
        .option("py-autoreload", 1)
        .option("py-auto-reload-ignore", "ignored")
        .start();
    let reloads = || server.log().matches("...gracefully reloading").count();
    let serves = |text: &str| {
        until_true(text, || server.get("/").expect(200).text() == text);
    };
    serves("1 1");
    for (count, (file, text)) in (1..).zip([("part.py", "22 1"), ("late.py", "22 22")]) {
        server.dir.write(file, "VERSION = 22");
        // A worker that has not imported it yet would serve the new one without a reload.
        until_true("the old workers to go", || {
            reloads() == count && server.log().matches("buried").count() == 2 * count
        });
        serves(text);
    }
    server.dir.write("ignored.py", "VERSION = 1");
    server.dir.write(
        "part.py",
        "from ignored import VERSION\nfrom other import VERSION",
    );
    server.wait_for_log("RELOAD FAILED");
    assert_eq!(server.get("/").expect(200).text(), "22 22");
    server.dir.write("other.py", "VERSION = 333");
    serves("333 22");
    let before = reloads();
    server.dir.write("ignored.py", "VERSION = 4444");
    server.dir.write("other.py", "VERSION = 4444");
    serves("4444 22");
    assert_eq!(reloads(), before + 1, "one change, one reload");
}

/// Nobody else would end it, and a worker with one thread hears of nothing while it is in a request (or an import).
#[test]
fn mercy_ends_without_a_master_too() {
    for import in [false, true] {
        let source = format!(
            "import time\n\
            def application(environ, start_response):\n\
            \x20   open('waiting', 'w').close()\n\
            \x20   time.sleep(600)\n\
            if {}: application(0, 0)\n",
            if import { "True" } else { "False" }
        );
        for signal in [Signal::TERM, Signal::INT] {
            let setup = Setup::source(Kind::Uwgate, &source);
            let http = setup.dir().join("http.sock");
            let mut server = setup
                .option("master", "false")
                .option("http-socket", http.display())
                .option("worker-reload-mercy", 1)
                .option("reload-mercy", 1)
                .spawn();
            let mut client = until("a connection", || {
                std::os::unix::net::UnixStream::connect(&http).ok()
            });
            let request = crate::support::Request::get("/").bytes();
            client.write_all(&request).expect("can be written");
            until_true("it to be stuck", || server.dir.join("waiting").exists());
            assert_eq!(
                server.stop_with(signal).code(),
                Some(30),
                "{signal:?} {import}"
            );
        }
    }
}

/// Requests that take longer than the mercy are cut.
#[test]
fn mercy_ends() {
    for (option, signal) in [
        ("worker-reload-mercy", Signal::TERM),
        ("reload-mercy", Signal::INT),
    ] {
        let mut server = Setup::app(Kind::Uwgate, "slow.py")
            .option(option, 1)
            .start();
        let mut client = server.client();
        let never = server.dir.join("never");
        let target = format!("/until{}", never.display());
        client.write(crate::support::Request::get(&target).bytes());
        until_true("the request to start", || {
            server.dir.join("never.started").exists()
        });
        assert_eq!(server.stop_with(signal).code(), Some(0));
        assert!(client.rest().is_empty(), "{option}");
    }
}
