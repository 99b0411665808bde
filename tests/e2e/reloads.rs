//! Reloads: new code, or none, but no request lost.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::support::process::{alive, children};
use crate::support::versioned::{versioned, wait_for_version};
use crate::support::wait::until_true;
use crate::support::{Address, Client, Kind, Packet, Request, Server, Setup, TempDir};

fn served(kind: Kind) -> Server {
    versioned(kind).start()
}

/// Not against uWSGI: it may close a connection without an answer while it reloads.
#[test]
fn hup_reloads() {
    let server = served(Kind::Uwgate);
    assert_eq!(server.get("/").expect(200).text(), "one");
    for version in ["two", "three"] {
        server
            .dir
            .write("version", format!("VERSION = '{version}'"));
        server.signal(Signal::HUP);
        wait_for_version(&server, version);
    }
    assert!(alive(server.process.pid()), "the master keeps its pid");
}

/// In uWSGI a version that does not import is an outage: everything answers 500.
#[test]
fn a_broken_version_leaves_the_old_one_serving() {
    let server = served(Kind::Uwgate);
    assert_eq!(server.get("/").expect(200).text(), "one");
    server
        .dir
        .write("version", "raise RuntimeError('the new version is broken')");
    server.signal(Signal::HUP);
    server.wait_for_log("the new version is broken");
    for _ in 0..50 {
        assert_eq!(server.get("/").expect(200).text(), "one");
    }
    // A repaired one is taken.
    server.dir.write("version", "VERSION = 'two'");
    server.signal(Signal::HUP);
    wait_for_version(&server, "two");
}

/// Clients that ask without a pause, in threads of their own.
struct Load {
    progress: Arc<Progress>,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Progress {
    answers: AtomicUsize,
    over: AtomicBool,
}

impl Progress {
    /// Counts an answer, and says whether more are wanted.
    fn goes_on(&self) -> bool {
        self.answers.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed)
    }
}

impl Load {
    /// Each client repeats `work`, a connection, until told to stop; any panic in there is a failure.
    fn start(clients: usize, work: impl Fn(&Progress) + Clone + Send + 'static) -> Self {
        let progress = Arc::new(Progress::default());
        let threads = (0..clients)
            .map(|_| {
                let (progress, work) = (progress.clone(), work.clone());
                thread::spawn(move || {
                    while !progress.over.load(Ordering::Relaxed) {
                        work(&progress);
                    }
                })
            })
            .collect();
        Self { progress, threads }
    }

    fn answers(&self) -> usize {
        self.progress.answers.load(Ordering::Relaxed)
    }

    /// Waits until this many more requests were answered.
    fn wait_for(&self, more: usize) {
        let goal = self.answers() + more;
        until_true("answers under load", || {
            self.answers() >= goal || self.threads.iter().any(|t| t.is_finished())
        });
    }

    /// Every request was answered, and there were at least as many.
    fn finish(self, least: usize) {
        self.progress.over.store(true, Ordering::Relaxed);
        assert!(self.answers() >= least);
        for thread in self.threads {
            thread.join().expect("every request was answered");
        }
    }
}

/// Reloads five times while clients ask; every single answer must be a 200.
fn reloads_under(server: &Server, load: Load) {
    for version in ["two", "three", "four", "five", "six"] {
        load.wait_for(100);
        server
            .dir
            .write("version", format!("VERSION = '{version}'"));
        server.signal(Signal::HUP);
        wait_for_version(server, version);
    }
    load.wait_for(100);
    load.finish(600);
}

#[test]
fn no_request_is_lost_in_a_reload_with_a_connection_for_each() {
    let server = served(Kind::Uwgate);
    let address = server.http.clone();
    let close = Request::get("/").header("Connection", "close");
    let load = Load::start(3, move |progress| {
        Client::connect(&address).send(&close).expect(200);
        progress.goes_on();
    });
    reloads_under(&server, load);
}

#[test]
fn no_request_is_lost_in_a_reload_over_uwsgi() {
    let server = served(Kind::Uwgate);
    let address = server.socket.clone();
    let packet = Packet::get("/").bytes();
    let load = Load::start(3, move |progress| {
        Client::connect(&address)
            .write(&packet)
            .response("GET")
            .expect(200);
        progress.goes_on();
    });
    reloads_under(&server, load);
}

/// A kept connection is told `Connection: close` with an answer, never just closed between a
/// request and its answer.
#[test]
fn no_request_is_lost_in_a_reload_with_kept_connections() {
    let server = served(Kind::Uwgate);
    let address = server.http.clone();
    let load = Load::start(3, move |progress| {
        let mut client = Client::connect(&address);
        for _ in 0..1_000 {
            let response = client.send(&Request::get("/")).expect(200);
            if !progress.goes_on() || response.header("Connection") == Some("close") {
                break;
            }
        }
    });
    reloads_under(&server, load);
}

/// The old code goes on with the sockets it has, also with those that the new configuration does not name; when that
/// was a mistake they are still there.
#[test]
fn a_socket_that_a_failed_reload_removed_can_come_back() {
    let second = Address::free_port();
    let server = versioned(Kind::Uwgate)
        .option("http-socket", &second)
        .start();
    wait_for_version(&server, "one");
    let ini = server.dir.join("server.ini");
    let good = fs::read_to_string(&ini).expect("is there");
    fs::write(&ini, good.replace(&format!("http-socket = {second}\n"), ""))
        .expect("can be written");
    server.dir.write("version", "raise RuntimeError('broken')");
    server.signal(Signal::HUP);
    server.wait_for_log("RELOAD FAILED");
    let get = Request::get("/").header("Connection", "close");
    assert_eq!(Client::connect(&second).send(&get).text(), "one");
    fs::write(&ini, &good).expect("can be written");
    server.dir.write("version", "VERSION = 'two'");
    server.signal(Signal::HUP);
    wait_for_version(&server, "two");
    until_true("the second socket to serve the new version", || {
        Client::connect(&second).send(&get).text() == "two"
    });
}

/// What the master does by itself stays as it was too: the pipe, the statistics, the log, the number of workers.
#[test]
fn a_reload_that_fails_changes_nothing_of_the_master() {
    let setup = versioned(Kind::Uwgate);
    let place = |name: &str| setup.dir().join(name);
    let [fifo, stats, other_log] = ["a.fifo", "a.stats", "other.log"].map(place);
    let setup = setup
        .option("master-fifo", fifo.display())
        .option("stats", stats.display())
        .option("cheaper", 1)
        .option("cheaper-algo", "manual");
    let server = setup.start();
    wait_for_version(&server, "one");
    let ini = server.dir.join("server.ini");
    let good = fs::read_to_string(&ini).expect("is there");
    let other = good
        .replace("a.fifo", "b.fifo")
        .replace("a.stats", "b.stats")
        .replace("processes = 2", "processes = 4")
        .replace("cheaper = 1", "cheaper = 3");
    let other = format!("{other}logto = {}\n", other_log.display());
    fs::write(&ini, other).expect("can be written");
    server.dir.write("version", "raise RuntimeError('broken')");
    server.signal(Signal::HUP);
    server.wait_for_log("the new code cannot serve");
    assert!(Address::Unix(stats).connect().is_ok());
    assert!(!server.dir.join("b.stats").exists());
    assert!(!server.dir.join("b.fifo").exists());
    let unblocked = i32::try_from(OFlags::NONBLOCK.bits()).expect("it fits");
    let pipe = OpenOptions::new()
        .write(true)
        .custom_flags(unblocked)
        .open(&fifo);
    pipe.and_then(|mut pipe| pipe.write_all(b"l"))
        .expect("somebody reads it");
    server.wait_for_log("there is no log file to reopen");
    assert_eq!(server.workers().len(), 1);
    server.dir.write("version", "VERSION = 'two'");
    server.signal(Signal::HUP);
    wait_for_version(&server, "two");
    until_true("the new number of workers, in the new log", || {
        let log = fs::read_to_string(&other_log).unwrap_or_default();
        log.matches("spawned uWSGI worker").count() == 3
    });
    until_true("the new addresses", || {
        ["b.stats", "b.fifo"]
            .iter()
            .all(|name| server.dir.join(name).exists())
    });
}

/// Whoever has connected to a socket before it was removed is served, as late as it may be.
#[test]
fn connections_that_wait_on_a_removed_socket_are_served() {
    let dir = TempDir::new();
    let removed = [
        Address::free_port(),
        Address::Unix(dir.join("removed.sock")),
    ];
    let mut setup = Setup::app(Kind::Uwgate, "slow.py");
    for address in &removed {
        setup = setup.option("http-socket", address);
    }
    let server = setup.start();
    let mut busy = server.client();
    busy.write(Request::get(&format!("/until{}", dir.join("go").display())).bytes());
    until_true("the request to start", || dir.join("go.started").exists());
    let waiting = removed.iter().cycle().take(6).map(|address| {
        let mut client = Client::connect(address);
        client.write(
            Request::get("/sleep/0")
                .header("Connection", "close")
                .bytes(),
        );
        client
    });
    let waiting: Vec<Client> = waiting.collect();
    let ini = server.dir.join("server.ini");
    let mut text = fs::read_to_string(&ini).expect("is there");
    for address in &removed {
        text = text.replace(&format!("http-socket = {address}\n"), "");
    }
    fs::write(&ini, text).expect("can be written");
    let old = server.workers();
    server.signal(Signal::HUP);
    until_true("the new worker", || {
        server.workers().iter().any(|pid| !old.contains(pid))
    });
    // It answers only when it serves, and then the old one has been told.
    server.get("/sleep/0").expect(200);
    dir.write("go", "");
    busy.response("GET").expect(200);
    for mut client in waiting {
        client.response("GET").expect(200);
    }
    drop(busy);
    for address in &removed {
        until_true("the removed socket to be closed", || {
            address.connect().is_err()
        });
    }
}

/// An impatient operator, or a deployment that touches many files.
#[test]
fn a_storm_of_reloads_ends_with_one_generation() {
    let server = served(Kind::Uwgate);
    until_true("both workers", || server.workers().len() == 2);
    for _ in 0..100 {
        server.signal(Signal::HUP);
        thread::sleep(Duration::from_millis(5));
    }
    server.dir.write("version", "VERSION = 'two'");
    server.signal(Signal::HUP);
    wait_for_version(&server, "two");
    until_true("a zygote and two workers", || {
        children(server.process.pid()).len() == 3 && server.workers().len() == 2
    });
}
