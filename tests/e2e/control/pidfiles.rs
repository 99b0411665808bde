//! Pidfiles: who writes them, when, and who takes them away.

use std::fs;

use rustix::process::Signal;

use super::rewrite;
use crate::both;
use crate::support::wait::until_true;
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
