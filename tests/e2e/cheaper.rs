//! How many workers run.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;

use crate::both;
use crate::support::wait::{until, until_true};
use crate::support::{Address, Client, Kind, Request, Server, Setup};

/// Takes as long as the query says, in seconds; `/gate` until there is a file of that name.
const SLOW: &str = "\
import os, time
GATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'gate')
def application(environ, start_response):
    time.sleep(float(environ.get('QUERY_STRING') or 0))
    if environ['PATH_INFO'] == '/gate':
        print('at the gate', flush=True)
        while not os.path.exists(GATE):
            time.sleep(0.01)
    start_response('200 OK', [])
    return [b'ok']
";

fn cheaper(kind: Kind) -> Setup {
    Setup::source(kind, SLOW)
        .option("processes", 3)
        .option("cheaper", 1)
}

fn until_workers(server: &Server, count: usize) {
    until_true(&format!("{count} workers"), || {
        server.workers().len() == count
    });
}

/// Writes commands to the FIFO, which may come to be only after the sockets.
fn say(fifo: &Path, commands: &str) {
    let mut pipe = until("the FIFO", || {
        let is_pipe = fifo.metadata().ok()?.file_type().is_fifo();
        let open = || OpenOptions::new().write(true).open(fifo).ok();
        is_pipe.then(open).flatten()
    });
    pipe.write_all(commands.as_bytes()).unwrap();
}

both! {
    /// One is there at first, more come when all are busy, and only one stays when nobody is.
    fn workers_come_and_go(kind) {
        let server = cheaper(kind).option("cheaper-overload", 1).start();
        until_workers(&server, 1);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| server.get("/?8").expect(200));
            }
            until_workers(&server, 3);
        });
        until_workers(&server, 1);
        server.wait_for_log("cheaped.");
        server.get("/").expect(200);
    }
}

both! {
    fn the_first_ones_are_as_many_as_asked_for(kind) {
        let server = cheaper(kind)
            .option("cheaper-initial", 2)
            .option("cheaper-overload", 30)
            .start();
        until_workers(&server, 2);
    }
}

both! {
    fn as_many_as_processes_are_an_error(kind) {
        let mut server = cheaper(kind).option("cheaper", 3).spawn();
        assert_eq!(server.process.wait().code(), Some(1));
        let log = server.log();
        assert!(log.contains("invalid cheaper value: must be lower than processes"), "{log}");
    }
}

both! {
    fn the_fifo_adds_and_takes_away(kind) {
        let setup = cheaper(kind).option("cheaper-algo", "manual");
        let fifo = setup.dir().join("fifo");
        let server = setup.option("master-fifo", fifo.display()).start();
        say(&fifo, "+");
        until_workers(&server, 2);
        say(&fifo, "-");
        until_workers(&server, 1);
        server.get("/").expect(200);
    }
}

/// A worker that goes finishes what it has; in uWSGI only an idle one is chosen, and `C` cuts requests.
#[test]
fn a_request_is_not_lost_to_a_worker_that_goes() {
    let setup = cheaper(Kind::Uwgate);
    let fifo = setup.dir().join("fifo");
    let server = setup.option("master-fifo", fifo.display()).start();
    thread::scope(|scope| {
        let slow = scope.spawn(|| server.get("/gate").expect(200).text().to_owned());
        server.wait_for_log("at the gate");
        say(&fifo, "C");
        server.wait_for_log("cheap mode enabled: waiting for socket connection...");
        // Somebody else needs a worker at once.
        server.get("/").expect(200);
        server.dir.write("gate", "");
        assert_eq!(slow.join().unwrap(), "ok");
    });
}

/// A server that listens at this address; it may have no worker, so nobody knocks.
fn asleep(setup: Setup) -> (Server, Address) {
    let http = Address::free_port();
    let server = setup.option("http-socket", &http).spawn();
    server.wait_for_log("cheap mode enabled: waiting for socket connection...");
    (server, http)
}

both! {
    fn a_cheap_instance_starts_with_its_first_client(kind) {
        let (server, http) = asleep(Setup::source(kind, SLOW).option("cheap", true));
        assert_eq!(server.workers().len(), 0);
        Client::connect(&http).send(&Request::get("/")).expect(200);
        until_workers(&server, 1);
    }
}

both! {
    fn an_idle_instance_sleeps_until_somebody_comes(kind) {
        let (server, http) = asleep(Setup::source(kind, SLOW).option("idle", 1));
        until_workers(&server, 0);
        Client::connect(&http).send(&Request::get("/")).expect(200);
        until_workers(&server, 1);
    }
}

both! {
    fn an_idle_instance_may_die(kind) {
        let setup = Setup::source(kind, SLOW).option("idle", 1).option("die-on-idle", true);
        let http = Address::free_port();
        let mut server = setup.option("http-socket", &http).spawn();
        assert_eq!(server.process.wait().code(), Some(0));
        let log = server.log();
        assert!(log.contains("workers have been inactive for more than"), "{log}");
    }
}

/// A reload has as many workers as there were, and one that comes while everybody sleeps wakes nobody.
#[test]
fn a_reload_keeps_the_number() {
    use rustix::process::Signal;

    let setup = cheaper(Kind::Uwgate).option("cheaper-algo", "manual");
    let fifo = setup.dir().join("fifo");
    let server = setup.option("master-fifo", fifo.display()).start();
    say(&fifo, "+");
    until_workers(&server, 2);
    let before = server.workers();
    server.signal(Signal::HUP);
    until_true("two others", || {
        let now = server.workers();
        now.len() == 2 && now.iter().all(|pid| !before.contains(pid))
    });

    let (server, http) = asleep(Setup::source(Kind::Uwgate, SLOW).option("cheap", true));
    server.signal(Signal::HUP);
    until_true("the new generation to sleep", || {
        server.log().matches("cheap mode enabled").count() == 2
    });
    assert_eq!(server.workers().len(), 0);
    Client::connect(&http).send(&Request::get("/")).expect(200);
}

/// The kernel lets one more wait than it was asked for.
#[test]
fn a_full_listen_queue_is_told() {
    let server = Setup::source(Kind::Uwgate, SLOW)
        .option("listen", 1)
        .start();
    thread::scope(|scope| {
        scope.spawn(|| server.get("/gate").expect(200));
        server.wait_for_log("at the gate");
        for address in [&server.http, &server.socket] {
            let _waiting = Client::connect(address);
            server.wait_for_log(&format!("\"{address}\" full !!! ("));
        }
        server.dir.write("gate", "");
    });
}
