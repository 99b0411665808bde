//! Master, zygote and workers: start, stop, crash and reload.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::both;
use crate::support::process::{alive, children, signal};
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Packet, Request, Response, Server, Setup, TempDir, paths};

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

/// The processes that answer three requests which wait for each other's end: they can only run side by side.
fn three_side_by_side(server: &Server) -> Vec<u32> {
    let dir = TempDir::new();
    let clients = [0, 1, 2].map(|number| {
        let file = dir.join(number.to_string());
        let mut client = server.client();
        client.write(Request::get(&format!("/until{}", file.display())).bytes());
        until_true("the request to start", || {
            dir.join(format!("{number}.started")).exists()
        });
        (client, file)
    });
    let answers = clients.map(|(mut client, file)| {
        fs::write(file, "").expect("can be created");
        pid_in(&client.response("GET"))
    });
    answers.into()
}

both! {
    fn all_processes_serve(kind) {
        let server = Setup::app(kind, "slow.py").option("processes", 3).start();
        let mut pids = three_side_by_side(&server);
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 3);
    }
}

both! {
    fn threads_serve_side_by_side(kind) {
        let server = Setup::app(kind, "slow.py").option("threads", 3).start();
        let pids = three_side_by_side(&server);
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

/// A container that is stopped while it still starts.
#[test]
fn a_stop_during_the_import_is_obeyed() {
    let source = "import os, time\n\
        open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'importing'), 'w').close()\n\
        time.sleep(60)\n";
    for signal in [Signal::TERM, Signal::INT] {
        let setup = Setup::source(Kind::Uwgate, source);
        let http = setup.dir().join("http.sock");
        let mut server = setup.option("http-socket", http.display()).spawn();
        until_true("the import to start", || {
            server.dir.join("importing").exists()
        });
        server.stop_with(signal);
    }
}

/// More than the kernel would queue orders for.
#[test]
fn hundreds_of_processes_start_at_the_first_try() {
    let mut server = Setup::app(Kind::Uwgate, "hello.py")
        .option("processes", 300)
        .start();
    server.wait_for_log("uWSGI worker 300 ");
    until_true("all workers", || server.workers().len() == 300);
    let log = server.log();
    assert!(!log.contains("cannot be"), "{log}");
    assert!(!log.contains("espawn"), "{log}");
    assert_eq!(server.stop_with(Signal::TERM).code(), Some(0));
}

/// The zygote can be killed like any process; what it is for must go on.
#[test]
fn a_killed_zygote_is_replaced() {
    let server = Setup::app(Kind::Uwgate, "hello.py")
        .option("processes", 2)
        .start();
    for _ in 0..2 {
        let workers = until("both workers", || {
            let workers = server.workers();
            (workers.len() == 2).then_some(workers)
        });
        let children = children(server.process.pid());
        let zygote = children.into_iter().find(|child| !workers.contains(child));
        signal(zygote.expect("a child that is no worker"), Signal::KILL);
        // The workers may have been replaced in this moment.
        for worker in workers.into_iter().filter(|worker| alive(*worker)) {
            signal(worker, Signal::KILL);
        }
        let request = Request::get("/").header("Connection", "close").bytes();
        until_true("an answer", || {
            server.raw_http(&request).starts_with(b"HTTP/1.1 200")
        });
    }
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
