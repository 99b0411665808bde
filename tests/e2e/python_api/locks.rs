//! `uwsgi.lock()` between threads, processes and generations.

use std::fs;

use rustix::process::Signal;

use super::{all, ask, begin};
use crate::both;
use crate::support::process::signal;
use crate::support::wait::until_true;
use crate::support::{Client, Kind, Setup, TempDir};

/// Two numbers that only a lock makes one.
const COUNTING: &str = "[(uwsgi.lock(), open('n', 'a+').close(), \
    (lambda n: (time.sleep(0.0005), open('n', 'w').write(str(n + 1))))(int(open('n').read() or 0)), \
    uwsgi.unlock()) for _ in range(10)][-1][0]";

both! {
    fn locks_hold_between_processes_and_threads(kind) {
        let server = Setup::app(kind, "ask.py").option("processes", 2).option("threads", 3).start();
        let mut clients: Vec<Client> = (0..12).map(|_| begin(&server, COUNTING)).collect();
        for client in &mut clients {
            assert_eq!(client.response("POST").expect(200).text(), "None");
        }
        let counted = fs::read_to_string(server.dir.join("n")).expect("was counted");
        assert_eq!(counted, "120");
    }
}

both! {
    fn there_are_as_many_locks_as_asked_for(kind) {
        let server = Setup::app(kind, "ask.py").option("locks", 2).start();
        all(&server, &[
            ("uwsgi.lock(2), uwsgi.is_locked(2), uwsgi.is_locked(1), uwsgi.is_locked()", "(None, True, False, False)"),
            ("uwsgi.unlock(2), uwsgi.unlock(2), uwsgi.is_locked(2)", "(None, None, False)"),
            ("uwsgi.lock(3)", "ValueError: Invalid lock number"),
            ("uwsgi.is_locked(-1)", "ValueError: Invalid lock number"),
        ]);
    }
}

both! {
    fn a_killed_worker_gives_its_locks_back(kind) {
        let server = Setup::app(kind, "ask.py").option("processes", 2).start();
        let dir = TempDir::new();
        let file = dir.join("never");
        let _holder = begin(&server, &format!(
            "uwsgi.lock(), open('pid', 'w').write(str(os.getpid())), wait_for('{}')", file.display()));
        until_true("the lock", || dir.join("never.started").exists());
        assert_eq!(ask(&server, "uwsgi.is_locked()"), "True");
        let mut waiting = begin(&server, "uwsgi.lock(), uwsgi.unlock()");
        let pid = fs::read_to_string(server.dir.join("pid")).expect("was written");
        signal(pid.parse().expect("a pid"), Signal::KILL);
        assert_eq!(waiting.response("POST").expect(200).text(), "(None, None)");
    }
}

/// New code must wait for what old code has locked, which in uWSGI it does not.
#[test]
fn locks_hold_over_a_reload() {
    // The application takes lock 0 while it is loaded.
    let server = Setup::app(Kind::Uwgate, "ask.py")
        .option("locks", 1)
        .start();
    let dir = TempDir::new();
    let file = dir.join("go");
    let mut holder = begin(
        &server,
        &format!(
            "uwsgi.lock(1), wait_for('{}'), uwsgi.unlock(1)",
            file.display()
        ),
    );
    until_true("the lock", || dir.join("go.started").exists());
    server.signal(Signal::HUP);
    until_true("the new worker", || {
        ask(&server, "uwsgi.is_a_reload") == "True"
    });
    assert_eq!(ask(&server, "uwsgi.is_locked(1)"), "True");
    let mut waiting = begin(
        &server,
        "uwsgi.lock(1), uwsgi.unlock(1), uwsgi.is_locked(1)",
    );
    dir.write("go", "");
    holder.response("POST").expect(200);
    assert_eq!(
        waiting.response("POST").expect(200).text(),
        "(None, None, False)"
    );
}
