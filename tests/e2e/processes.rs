//! Master, zygote and workers: start, stop, crash and reload.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::both;
use crate::support::process::{alive, signal};
use crate::support::wait::{until, until_true};
use crate::support::{Client, Kind, Packet, Request, Response, Server, Setup, TempDir, paths};

fn worker_pid(server: &Server) -> u32 {
    pid_in(&server.get("/pid").expect(200))
}

fn pid_in(response: &Response) -> u32 {
    response.text().parse().expect("the app answers with a pid")
}

/// Asks until the worker with this pid is not the one that answers.
fn other_worker_than(server: &Server, old: u32) -> u32 {
    until("another worker", || {
        let pid = worker_pid(server);
        (pid != old).then_some(pid)
    })
}

both! {
    fn all_processes_serve(kind) {
        let server = Setup::app(kind, "slow.py").option("processes", 3).start();
        // Three requests that wait for each other's end can only run side by side.
        let dir = TempDir::new();
        let mut clients = Vec::new();
        for number in 0..3 {
            let file = dir.join(number.to_string());
            let mut client = server.client();
            client.write(Request::get(&format!("/until{}", file.display())).bytes());
            until_true("the request to start", || dir.join(format!("{number}.started")).exists());
            clients.push((client, file));
        }
        let mut pids = Vec::new();
        for (mut client, file) in clients {
            fs::write(file, "").expect("can be created");
            pids.push(pid_in(&client.response("GET")));
        }
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 3);
    }
}

both! {
    fn threads_serve_side_by_side(kind) {
        let server = Setup::app(kind, "slow.py").option("threads", 3).start();
        let dir = TempDir::new();
        let mut clients = Vec::new();
        for number in 0..3 {
            let file = dir.join(number.to_string());
            let mut client = server.client();
            client.write(Request::get(&format!("/until{}", file.display())).bytes());
            until_true("the request to start", || dir.join(format!("{number}.started")).exists());
            clients.push((client, file));
        }
        let pids: Vec<u32> = clients
            .into_iter()
            .map(|(mut client, file)| {
                fs::write(file, "").expect("can be created");
                pid_in(&client.response("GET"))
            })
            .collect();
        assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    }
}

both! {
    fn a_killed_worker_is_replaced(kind) {
        let server = Server::app(kind, "hello.py");
        let mut pid = worker_pid(&server);
        for _ in 0..3 {
            signal(pid, Signal::KILL);
            pid = other_worker_than(&server, pid);
        }
    }
}

both! {
    /// `kill -9` in the middle of a request: that request is lost, and no other.
    fn a_kill_loses_one_request_only(kind) {
        let server = Setup::app(kind, "slow.py").option("processes", 2).start();
        let dir = TempDir::new();
        let mut victim = server.client();
        victim.write(Request::get(&format!("/until{}", dir.join("never").display())).bytes());
        until_true("the request to start", || dir.join("never.started").exists());
        // The other worker answers, and its pid is not the victim's.
        let other = pid_in(&server.get("/sleep/0").expect(200));
        let victim_pid = server.workers().into_iter().find(|pid| *pid != other);
        signal(victim_pid.expect("there are two workers"), Signal::KILL);
        for _ in 0..50 {
            server.get("/sleep/0").expect(200);
        }
        assert_eq!(victim.rest(), b"", "the killed worker's client gets nothing");
    }
}

both! {
    fn int_stops_everything_with_exit_0(kind) {
        stops_with(kind, Signal::INT, &[]);
    }
}

both! {
    fn quit_stops_everything_with_exit_0(kind) {
        stops_with(kind, Signal::QUIT, &[]);
    }
}

both! {
    fn term_stops_with_die_on_term(kind) {
        stops_with(kind, Signal::TERM, &[("die-on-term", "true")]);
    }
}

/// The most asked-for change: in uWSGI TERM reloads.
#[test]
fn term_stops_by_default() {
    stops_with(Kind::Uwgate, Signal::TERM, &[]);
}

fn stops_with(kind: Kind, signal: Signal, options: &[(&str, &str)]) {
    let setup = Setup::app(kind, "hello.py").option("processes", 2);
    let mut server = options
        .iter()
        .fold(setup, |setup, (key, value)| setup.option(key, value))
        .start();
    let pid = worker_pid(&server);
    let status = server.stop_with(signal);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(server.http.connect().is_err(), "still listens");
    until_true("the workers to end", || !alive(pid));
}

/// TERM lets what runs finish, INT and QUIT do not wait.
#[test]
fn term_finishes_the_running_request() {
    let server = Server::app(Kind::Uwgate, "slow.py");
    let dir = TempDir::new();
    let mut client = server.client();
    client.write(Request::get(&format!("/until{}", dir.join("go").display())).bytes());
    until_true("the request to start", || dir.join("go.started").exists());
    server.signal(Signal::TERM);
    until_true("the server to stop listening", || {
        server.http.connect().is_err()
    });
    dir.write("go", "");
    client.response("GET").expect(200);
    let mut server = server;
    assert_eq!(server.process.wait().code(), Some(0));
}

/// The whole of it dies with the master, even by `kill -9`.
#[test]
fn workers_do_not_outlive_their_master() {
    let mut server = Setup::app(Kind::Uwgate, "hello.py")
        .option("processes", 2)
        .start();
    let pid = worker_pid(&server);
    server.signal(Signal::KILL);
    server.process.wait();
    until_true("the worker to end", || !alive(pid));
    until_true("the port to be free", || server.http.connect().is_err());
}

both! {
    fn without_a_master(kind) {
        let mut server = Setup::app(kind, "hello.py").option("master", "false").start();
        let pid = worker_pid(&server);
        server.get("/").expect(200);
        if kind == Kind::Uwsgi {
            assert_eq!(pid, server.process.pid());
        }
        // What uWSGI ends with here; an operator's scripts may look for it.
        let status = server.stop_with(Signal::INT);
        assert_eq!(status.code(), Some(30), "{status}");
        assert!(!alive(pid));
    }
}

both! {
    fn lazy_apps_load_in_each_worker(kind) {
        let source = "import os\n\
            LOADED = os.getpid()\n\
            def application(environ, start_response):\n\
            \x20   start_response('200 OK', [])\n\
            \x20   return [b'%d %d' % (LOADED, os.getpid())]\n";
        for (lazy, same) in [("true", true), ("false", false)] {
            let server = Setup::source(kind, source).option("lazy-apps", lazy).start();
            let response = server.get("/").expect(200);
            let (loaded, serving) = response.text().split_once(' ').expect("two pids");
            assert_eq!(loaded == serving, same, "lazy-apps = {lazy}");
        }
    }
}

/// An app that tells its version, which stands in a file that it reads at import.
const VERSIONED: &str = "\
import os
HERE = os.path.dirname(os.path.abspath(__file__))
exec(open(os.path.join(HERE, 'version')).read())
def application(environ, start_response):
    start_response('200 OK', [])
    return [VERSION.encode()]
";

fn versioned(kind: Kind) -> Server {
    let setup = Setup::source(kind, VERSIONED).option("processes", 2);
    setup.write("version", "VERSION = 'one'");
    setup.start()
}

fn wait_for_version(server: &Server, version: &str) {
    until_true(&format!("version {version}"), || {
        server.get("/").expect(200).text() == version
    });
}

both! {
    fn hup_reloads(kind) {
        let server = versioned(kind);
        assert_eq!(server.get("/").expect(200).text(), "one");
        for version in ["two", "three"] {
            server.dir.write("version", format!("VERSION = '{version}'"));
            server.signal(Signal::HUP);
            wait_for_version(&server, version);
        }
        assert!(alive(server.process.pid()), "the master keeps its pid");
    }
}

/// In uWSGI a version that does not import is an outage: everything answers 500.
#[test]
fn a_broken_version_leaves_the_old_one_serving() {
    let server = versioned(Kind::Uwgate);
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
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<usize>>,
    done: Arc<AtomicUsize>,
}

impl Load {
    /// Each client repeats `work` until told to stop; any panic in there is a failure.
    fn start(clients: usize, work: impl Fn() + Clone + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let threads = (0..clients)
            .map(|_| {
                let (stop, done, work) = (stop.clone(), done.clone(), work.clone());
                thread::spawn(move || {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        work();
                        count += 1;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    count
                })
            })
            .collect();
        Self {
            stop,
            threads,
            done,
        }
    }

    /// Waits until this many more requests were answered.
    fn wait_for(&self, more: usize) {
        let goal = self.done.load(Ordering::Relaxed) + more;
        until_true("answers under load", || {
            self.done.load(Ordering::Relaxed) >= goal
                || self.threads.iter().any(|t| t.is_finished())
        });
    }

    /// The number of requests, all of which were answered.
    fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self
            .threads
            .into_iter()
            .map(|thread| thread.join().expect("every request was answered"));
        counts.sum()
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
    assert!(load.finish() > 500);
}

#[test]
fn no_request_is_lost_in_a_reload_with_a_connection_for_each() {
    let server = versioned(Kind::Uwgate);
    let address = server.http.clone();
    let close = Request::get("/").header("Connection", "close");
    let load = Load::start(3, move || {
        Client::connect(&address).send(&close).expect(200);
    });
    reloads_under(&server, load);
}

#[test]
fn no_request_is_lost_in_a_reload_over_uwsgi() {
    let server = versioned(Kind::Uwgate);
    let address = server.socket.clone();
    let packet = Packet::get("/").bytes();
    let load = Load::start(3, move || {
        Client::connect(&address)
            .write(&packet)
            .response("GET")
            .expect(200);
    });
    reloads_under(&server, load);
}

/// A kept connection is told `Connection: close` with an answer, never just closed between a
/// request and its answer.
#[test]
fn no_request_is_lost_in_a_reload_with_kept_connections() {
    let server = versioned(Kind::Uwgate);
    let address = server.http.clone();
    let load = Load::start(3, move || {
        let mut client = Client::connect(&address);
        for _ in 0..1_000 {
            let response = client.send(&Request::get("/")).expect(200);
            if response.header("Connection") == Some("close") {
                break;
            }
        }
    });
    reloads_under(&server, load);
}

/// Two applications under one binary, each with its own Python. The host module for every version
/// stands beside the executable, as it would be installed.
#[test]
fn two_python_versions_under_one_binary() {
    let source = "import sys\n\
        def application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   return ['{}.{}'.format(*sys.version_info).encode()]\n";
    let others = other_pythons();
    if others.is_empty() {
        eprintln!(
            "SKIPPED: this machine has one Python only (no pyenv, no python3.N beside python3)"
        );
        return;
    }
    let installed = TempDir::new();
    let program = installed.join("uwgate");
    fs::copy(paths::uwgate(), &program).expect("can be copied");
    fs::copy(
        host_for_all_versions(),
        installed.join("uwgate_host.abi3.so"),
    )
    .expect("was built");
    for (version, python) in others
        .iter()
        .chain([&(String::new(), "/usr/bin/python3".to_owned())])
    {
        let setup = Setup::source(Kind::Uwgate, source).option("python", python);
        let server = setup.program(&program).start();
        let answer = server.get("/").expect(200);
        assert!(
            answer.text().starts_with(version.as_str()),
            "{python}: {answer:?}"
        );
        server.uwsgi(&Packet::get("/")).expect(200);
    }
}

/// Builds the host module that fits every Python; the tests' own build made the one for python3.
fn host_for_all_versions() -> PathBuf {
    let cargo = std::env::var_os("CARGO").expect("cargo runs the tests");
    let target = paths::repository().join("target/abi3");
    let output = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "uwgate-python",
            "--features",
            "abi3",
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(paths::repository())
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    target.join("debug/libuwgate_python.so")
}

/// Version and path of each Python from 3.10 on that is not Debian's own.
fn other_pythons() -> Vec<(String, String)> {
    let home = std::env::var("HOME").unwrap_or_default();
    let pyenv = fs::read_dir(format!("{home}/.pyenv/versions"));
    let installed = pyenv
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin/python3"));
    let beside = (10..15).map(|minor| format!("/usr/local/bin/python3.{minor}").into());
    installed
        .chain(beside)
        .filter_map(|python: PathBuf| {
            let output = Command::new(&python)
                .args(["-c", "import sys; print('{}.{}'.format(*sys.version_info))"])
                .output()
                .ok()?;
            let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
            let minor: u32 = version.strip_prefix("3.")?.parse().ok()?;
            (minor >= 10).then(|| (version, python.display().to_string()))
        })
        .collect()
}

/// A venv's Python is the application's: its packages, its prefix, its executable.
#[test]
fn a_venv_is_the_real_one() {
    let source = "import sys, django\n\
        def application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   return [(sys.prefix + ' ' + sys.executable).encode()]\n";
    let venv = paths::venv();
    let server = Setup::source(Kind::Uwgate, source)
        .option("virtualenv", venv.display())
        .start();
    let response = server.get("/").expect(200);
    let (prefix, executable) = response.text().split_once(' ').expect("two paths");
    assert_eq!(prefix, venv.display().to_string());
    assert!(
        executable.starts_with(&format!("{}/bin/python", venv.display())),
        "{executable}"
    );
}
