//! Programs that run beside the workers.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::both;
use crate::support::install::Installed;
use crate::support::process::{alive, signal};
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Server, Setup};

const HELLO: &str = "\
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
";

/// A daemon that leaves its pid in a file and stays.
const STAYS: &str = "sh -c 'echo $$ > daemon.pid; exec sleep 600'";

fn pid_in(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The pid in `daemon.pid`, once a process has it that is not `before`.
fn daemon_after(server: &Server, before: u32) -> u32 {
    let path = server.dir.join("daemon.pid");
    until("the daemon", || {
        pid_in(&path).filter(|pid| *pid != before && alive(*pid))
    })
}

both! {
    fn a_daemon_runs_beside_the_workers_and_ends_with_them(kind) {
        let mut server = Setup::source(kind, HELLO)
            .option("attach-daemon", STAYS)
            .start();
        let first = daemon_after(&server, 0);
        server.wait_for_log(&format!("[uwsgi-daemons] spawning \"{STAYS}\" (uid: "));
        signal(first, Signal::KILL);
        let second = daemon_after(&server, first);
        server.wait_for_log("[uwsgi-daemons] respawning ");
        assert!(server.stop_with(Signal::INT).success());
        assert!(server.log().contains("[uwsgi-daemons] stopping daemon (pid: "));
        until_true("the daemon's end", || !alive(second));
    }
}

both! {
    fn a_daemon_that_dies_at_once_is_throttled(kind) {
        let server = Setup::source(kind, HELLO).option("attach-daemon", "exit 3").start();
        server.wait_for_log("[uwsgi-daemons] throttling \"exit 3\" for 1 seconds");
    }
}

both! {
    fn the_end_of_a_control_daemon_is_the_end(kind) {
        let mut server = Setup::source(kind, HELLO)
            .option("attach-control-daemon", "while ! test -e go; do sleep 0.05; done")
            .start();
        server.dir.write("go", "");
        assert!(server.process.wait().success());
        assert!(server.log().contains("goodbye to uWSGI."));
    }
}

/// A daemon runs the code of the application more often than not.
#[test]
fn a_reload_that_succeeds_starts_daemons_anew() {
    let server = Setup::source(Kind::Uwgate, HELLO)
        .option("attach-daemon", STAYS)
        .start();
    let first = daemon_after(&server, 0);
    server.signal(Signal::HUP);
    let second = daemon_after(&server, first);
    until_true("the first one's end", || !alive(first));
    server.dir.write("app.py", "raise RuntimeError('broken')");
    server.signal(Signal::HUP);
    server.wait_for_log("RELOAD FAILED");
    assert!(alive(second), "code that does not serve changes nothing");
}

#[test]
fn a_reload_signal_is_sent_instead() {
    let daemon = "trap 'echo heard the reload' HUP; while :; do sleep 0.02; done";
    let server = Setup::source(Kind::Uwgate, HELLO)
        .option("attach-daemon2", format!("cmd={daemon},reloadsignal=1"))
        .start();
    server.wait_for_log("[uwsgi-daemons] spawning ");
    server.signal(Signal::HUP);
    server.wait_for_log("heard the reload");
    server.wait_for_log("worker 1 buried");
    assert!(!server.log().contains("stopping daemon"));
}

/// It outlives the instance: ended by its pid, also when a test fails.
struct Outliving(u32);

impl Drop for Outliving {
    fn drop(&mut self) {
        if alive(self.0) {
            signal(self.0, Signal::KILL);
        }
    }
}

both! {
    fn a_smart_daemon_outlives_the_instance_and_is_found_again(kind) {
        let setup = |setup: Setup| setup.option("smart-attach-daemon2", "smart.pid exec sleep 600");
        let mut server = setup(Setup::source(kind, HELLO)).start();
        let path = server.dir.join("smart.pid");
        let pid = until("the pidfile", || pid_in(&path).filter(|pid| alive(*pid)));
        let _outliving = Outliving(pid);
        server.signal(Signal::HUP);
        server.wait_until_it_catches_signals();
        assert!(server.stop_with(Signal::INT).success());
        assert!(alive(pid));
        let next = Setup::source(kind, HELLO);
        next.write("smart.pid", pid.to_string());
        let next = setup(next).start();
        next.wait_for_log("found valid/active pidfile for \"exec sleep 600\"");
        assert!(alive(pid));
    }
}

/// Nothing of the instance's own is handed on: no sockets, no standard input, no name of the service manager's.
#[test]
fn a_daemon_inherits_only_its_output() {
    let server = Setup::source(Kind::Uwgate, HELLO)
        .option("attach-daemon", STAYS)
        .option("env", "FOR_THE_APP=yes")
        .start();
    let pid = daemon_after(&server, 0);
    let mut open: Vec<(u32, String)> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            let number = entry.file_name().to_string_lossy().parse().ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        // What whoever started the tests has left open.
        .filter(|(_, target)| !target.starts_with("pipe:"))
        .collect();
    open.sort();
    assert_eq!(open[0], (0, "/dev/null".to_owned()));
    assert!(
        open.iter()
            .all(|(_, target)| !target.starts_with("socket:") && !target.contains("memfd")),
        "{open:?}"
    );
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(String::from_utf8_lossy(&environment).contains("FOR_THE_APP=yes"));
}

/// The new master knows the daemons of the old one: none runs twice, none is forgotten.
#[test]
fn daemons_go_over_to_a_newer_binary() {
    let installed = Installed::new(Kind::Uwgate);
    let mut server = Setup::source(Kind::Uwgate, HELLO)
        .program(&installed.program())
        .option("attach-daemon", STAYS)
        .start();
    let first = daemon_after(&server, 0);
    installed.upgrade();
    server.signal(Signal::HUP);
    let second = daemon_after(&server, first);
    until_true("the first one's end", || !alive(first));
    assert!(server.log().contains("becoming "), "an upgrade");
    assert!(server.stop_with(Signal::INT).success());
    until_true("the second one's end", || !alive(second));
}
