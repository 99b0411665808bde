//! An instance ends in bounded time, whatever hangs, and leaves nothing behind.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::load::{APP, Fault};
use crate::support::process::{alive, children, group, signal, state};
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Load, Request, Server, Setup, TempDir, Way};

fn start(setup: Setup, workers: usize) -> Server {
    let server = setup.option("processes", workers).start();
    until_true("all workers", || server.workers().len() == workers);
    server
}

fn zygote(server: &Server) -> u32 {
    let workers = server.workers();
    let children = children(server.process.pid());
    let zygote = children.into_iter().find(|pid| !workers.contains(pid));
    zygote.expect("a child that is no worker")
}

fn ends(mut server: Server, with: Signal) {
    let leader = server.process.pid();
    assert_eq!(server.stop_with(with).code(), Some(0));
    until_true("the whole group to be gone", || group(leader).is_empty());
}

/// A debugger or a cgroup freezer may hold any process.
#[test]
fn a_frozen_zygote_does_not_keep_an_instance_from_ending() {
    for with in [Signal::TERM, Signal::INT] {
        let server = start(Setup::source(Kind::Uwgate, APP), 2);
        signal(zygote(&server), Signal::STOP);
        ends(server, with);
    }
}

/// It was asked for workers before.
#[test]
fn a_frozen_zygote_that_owes_workers_does_not_keep_an_instance_from_ending() {
    let server = start(Setup::source(Kind::Uwgate, APP), 2);
    signal(zygote(&server), Signal::STOP);
    for worker in server.workers() {
        signal(worker, Signal::KILL);
    }
    server.wait_for_log("DAMN");
    ends(server, Signal::TERM);
}

/// The master hears of the stop, and in the same moment that the code of a reload is loaded: it begins no workers of it.
#[test]
fn a_stop_at_the_end_of_a_reload_is_obeyed() {
    let held = "import os, time\nwhile os.path.exists('held'): time.sleep(0.005)\n";
    let setup = Setup::source(Kind::Uwgate, &format!("{held}{APP}"));
    let fifo = setup.dir().join("fifo");
    let mut server = start(setup.option("master-fifo", fifo.display()), 1);
    let master = server.process.pid();
    until_true("the FIFO", || fifo.exists());
    server.dir.write("held", "");
    let before = children(master);
    server.signal(Signal::HUP);
    let new = until("a second zygote", || {
        children(master).into_iter().find(|it| !before.contains(it))
    });
    server.signal(Signal::STOP);
    until_true("the master to be stopped", || state(master) == Some('T'));
    fs::write(&fifo, "q").expect("the FIFO is open");
    fs::remove_file(server.dir.join("held")).expect("was written");
    until_true("the new code to be loaded", || {
        server.log().matches("WSGI app 0 (").count() == 2
    });
    until_true("its zygote to wait for orders", || state(new) == Some('S'));
    server.signal(Signal::CONT);
    assert_eq!(server.process.wait().code(), Some(0));
}

/// Python waits for such a thread when it ends.
#[test]
fn a_thread_of_the_application_does_not_keep_a_generation_alive() {
    let source = format!(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n{APP}"
    );
    let server = start(Setup::source(Kind::Uwgate, &source), 1);
    let old = zygote(&server);
    server.signal(Signal::HUP);
    until_true("the old zygote to end", || !alive(old));
    server.get("/").expect(200);
    ends(server, Signal::TERM);
}

/// The application does not know of threads; those that serve it must not be waited for.
#[test]
fn workers_with_threads_leave_when_they_have_nothing_to_do() {
    let source = "def application(environ, start_response):\n\
        \x20   start_response('200 OK', [('Content-Length', '2')])\n\
        \x20   return [b'ok']\n";
    for lazy in ["false", "true"] {
        let setup = Setup::source(Kind::Uwgate, source).option("lazy-apps", lazy);
        let server = start(setup.option("threads", 2), 2);
        let old = server.workers();
        server.signal(Signal::HUP);
        until_true("the old workers to leave", || {
            !old.iter().any(|pid| alive(*pid))
        });
        ends(server, Signal::TERM);
    }
}

/// Those who go on connecting must not be served for ever.
#[test]
fn a_stop_under_load_ends_and_answers_whoever_was_connected() {
    let mut server = start(Setup::source(Kind::Uwgate, APP).option("listen", 1024), 2);
    let ways = [
        Way::Close(server.http.clone()),
        Way::Uwsgi(server.socket.clone()),
    ];
    let load = Load::start(&ways, 8, Duration::ZERO);
    load.wait_for(500);
    let begun = Instant::now();
    assert_eq!(server.stop_with(Signal::TERM).code(), Some(0));
    let took = begun.elapsed();
    let failures = load.finish().failures;
    let cut = failures
        .iter()
        .filter(|failure| matches!(failure.fault, Fault::Cut | Fault::Timeout));
    assert_eq!(cut.count(), 0, "{failures:?}");
    println!(
        "{took:?}, {} clients found the door closing",
        failures
            .iter()
            .filter(|it| it.fault != Fault::Refused)
            .count()
    );
}

/// Whoever ends a worker by hand: its successor is there before it goes.
#[test]
fn a_signal_to_a_worker_costs_no_request() {
    let server = start(Setup::source(Kind::Uwgate, APP), 2);
    let ways = [
        Way::Keep(server.http.clone()),
        Way::Close(server.http.clone()),
        Way::Uwsgi(server.socket.clone()),
    ];
    let load = Load::start(&ways, 2, Duration::from_millis(1));
    for with in [Signal::TERM, Signal::HUP, Signal::INT, Signal::TERM] {
        load.wait_for(100);
        let worker = server.workers()[0];
        signal(worker, with);
        until_true("it to be replaced", || !alive(worker));
    }
    load.wait_for(100);
    load.finish().expect_no_loss(500);
}

/// `kill -9` of the master, and a service manager that starts it again at once.
#[test]
fn an_instance_whose_master_was_killed_can_be_started_again_at_once() {
    let dir = TempDir::new();
    let import = format!(
        "import os, time\nwhile os.path.exists('{}'): time.sleep(0.01)\n",
        dir.join("slow").display()
    );
    let until = "if environ['PATH_INFO'] == '/until':\n        open(environ['QUERY_STRING'] + '.started', 'w').close()\n        while not os.path.exists(environ['QUERY_STRING']): time.sleep(0.01)\n    ";
    let source = format!(
        "{import}{}",
        APP.replacen("kind, _,", &format!("{until}kind, _,"), 1)
    );
    let mut server = start(Setup::source(Kind::Uwgate, &source), 2);
    // One worker is busy, and a new generation is deep in its import.
    let mut client = server.client();
    client.write(Request::get(&format!("/until?{}", dir.join("go").display())).bytes());
    until_true("the request to start", || dir.join("go.started").exists());
    dir.write("slow", "");
    server.signal(Signal::HUP);
    until_true("a second zygote", || {
        children(server.process.pid()).len() == 4
    });
    server.signal(Signal::KILL);
    server.process.wait();
    fs::remove_file(dir.join("slow")).expect("was written");

    // As a service manager does, which tries again after 100 milliseconds by default, five times at most.
    let ini = server.dir.join("server.ini");
    let mut again = server.again(&ini);
    let mut left = 4;
    until_true("the same addresses to be served again", || {
        if again.try_wait().is_some() {
            assert!(left > 0, "{}", again.log());
            left -= 1;
            thread::sleep(Duration::from_millis(100));
            again = server.again(&ini);
        }
        again.log().contains("spawned uWSGI worker 2")
    });
    server.get("/echo/x").expect(200);
    dir.write("go", "");
    client.response("GET").expect(200);
}
