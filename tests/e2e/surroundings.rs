//! What is around the life of an instance: what `ps` shows, going to the background, the service manager.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::both;
use crate::support::process::{alive, children, signal};
use crate::support::wait::{PATIENCE, until, until_true};
use crate::support::{Address, Client, Kind, Request, Server, Setup, TempDir};

const HELLO: &str = "\
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '5')])
    return [b'hello']
";

/// The command line that the kernel shows.
fn title(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    text.trim_end().to_owned()
}

/// The titles of the master and of its children, sorted.
fn titles(server: &Server) -> Vec<String> {
    let master = server.process.pid();
    let mut titles: Vec<String> = children(master).into_iter().map(title).collect();
    titles.sort();
    titles.insert(0, title(master));
    titles
}

both! {
    fn titles_show_the_parts(kind) {
        let server = Setup::source(kind, HELLO)
            .option("processes", 2)
            .option("procname-prefix-spaced", "[shop]")
            .option("procname-append", "!")
            .start();
        let part = |part: &str| format!("[shop] uWSGI {part}!");
        let mut wanted = vec![part("master"), part("worker 1"), part("worker 2")];
        if kind == Kind::Uwgate {
            wanted.push(part("zygote"));
        }
        until_true("titles", || titles(&server) == wanted);
    }
}

/// The command line of the start, whoever shows it: scripts look for it.
#[test]
fn without_titles_every_process_shows_the_command_line() {
    let server = Setup::source(Kind::Uwgate, HELLO).start();
    let ini = server.dir.join("server.ini");
    let line = format!("uwgate --ini {}", ini.display());
    until_true("titles", || {
        let titles = titles(&server);
        titles.len() == 3
            && titles[0].ends_with(&line)
            && titles[1..] == [format!("{line} (worker 1)"), format!("{line} (zygote)")]
    });
}

both! {
    fn umask_is_for_files_and_sockets(kind) {
        use std::os::unix::fs::PermissionsExt;

        let server = Setup::source(kind, HELLO).option("umask", "027").start();
        let metadata = fs::metadata(server.dir.join("uwsgi.sock")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o750);
    }
}

both! {
    fn each_worker_has_its_cpu(kind) {
        let server = Setup::source(kind, HELLO)
            .option("processes", 3)
            .option("cpu-affinity", 1)
            .start();
        for worker in 1..=3 {
            server.wait_for_log(&format!("mapping worker {worker} to CPUs: "));
        }
        for worker in server.workers() {
            let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
            let line = status
                .lines()
                .find(|line| line.starts_with("Cpus_allowed_list"));
            let cpus = line.unwrap().split_whitespace().last().unwrap();
            assert!(cpus.parse::<u32>().is_ok(), "one CPU: {cpus}");
        }
    }
}

/// Runs an instance that goes to the background; gives back what its caller saw, and the log.
fn daemonized(dir: &Path, options: &[&str]) -> (Output, String) {
    let mut command = Kind::Uwgate.command();
    command
        .current_dir(dir)
        .args(["--master", "--need-app"])
        .args(options);
    let output = command.output().expect("it runs");
    (
        output,
        fs::read_to_string(dir.join("d.log")).unwrap_or_default(),
    )
}

fn pid_in(log: &str) -> Option<u32> {
    let (_, rest) = log.split_once("spawned uWSGI master process (pid: ")?;
    rest.split_once(')')?.0.parse().ok()
}

/// Ends an instance that is nobody's child, also when a test fails.
struct Ended(u32);

impl Drop for Ended {
    fn drop(&mut self) {
        if alive(self.0) {
            signal(self.0, Signal::INT);
        }
    }
}

fn goes_to_the_background(option: &str) {
    let dir = TempDir::new();
    dir.write("app.py", HELLO);
    let address = Address::free_port();
    let http = address.to_string();
    let args = [
        "--wsgi-file",
        "app.py",
        "--http-socket",
        &http,
        option,
        "d.log",
    ];
    let (output, log) = daemonized(&dir, &args);
    assert!(output.status.success(), "{output:?}");
    // The socket is open by now, whether or not the app is loaded.
    let answer = Client::connect(&address).send(&Request::get("/"));
    assert_eq!(answer.expect(200).text(), "hello");
    let pid = until("the pid in the log", || {
        pid_in(&fs::read_to_string(dir.join("d.log")).unwrap())
    });
    let _ended = Ended(pid);
    assert!(log.contains("*** Starting uwgate"), "{log}");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        shown.contains("spawned uWSGI worker 1"),
        option == "--daemonize2"
    );
    let link = |fd: &str| fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
    assert_eq!(link("0"), Path::new("/dev/null"));
    assert_eq!(link("2"), dir.join("d.log").canonicalize().unwrap());
    signal(pid, Signal::INT);
    until_true("the end", || !alive(pid));
}

#[test]
fn daemonize_goes_to_the_background() {
    goes_to_the_background("--daemonize");
}

#[test]
fn daemonize2_goes_to_the_background_when_it_serves() {
    goes_to_the_background("--daemonize2");
}

/// In uWSGI the caller of `daemonize` sees success.
#[test]
fn what_keeps_a_daemon_from_starting_is_its_callers_business() {
    let dir = TempDir::new();
    dir.write("app.py", HELLO);
    let taken = UnixListener::bind(dir.join("taken.sock")).unwrap();
    let args = ["--wsgi-file", "app.py", "--http-socket", "taken.sock"];
    for option in ["--daemonize", "--daemonize2"] {
        let (output, log) = daemonized(&dir, &[&args[..], &[option, "d.log"]].concat());
        assert_eq!(output.status.code(), Some(1));
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(shown.contains("cannot listen on taken.sock"), "{shown}");
        assert!(log.contains("cannot listen on taken.sock"), "{log}");
    }
    drop(taken);
    let (output, _) = daemonized(&dir, &["--daemonize", "nowhere/d.log"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot log to nowhere/d.log"));
}

#[test]
fn the_caller_of_daemonize2_sees_an_app_that_does_not_load() {
    let dir = TempDir::new();
    let args = [
        "--module",
        "nope",
        "--http-socket",
        "x.sock",
        "--daemonize2",
        "d.log",
    ];
    let (output, log) = daemonized(&dir, &args);
    assert_eq!(output.status.code(), Some(22));
    let shown = String::from_utf8_lossy(&output.stderr);
    for text in [&*shown, &*log] {
        assert!(text.contains("No module named 'nope'"), "{text}");
    }
}

/// A service manager's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn listening_at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message that is no sign of life.
    fn hear(&self) -> String {
        loop {
            let message = self.hear_any();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    fn hear_any(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

#[test]
fn the_service_manager_hears_of_readiness_reloads_and_the_end() {
    let setup = Setup::source(Kind::Uwgate, HELLO);
    let manager = Manager::listening_at(&setup.dir().join("notify"));
    let path = setup.dir().join("notify").display().to_string();
    let mut server = setup.env("NOTIFY_SOCKET", &path).start();
    assert_eq!(manager.hear(), "READY=1\nSTATUS=uwgate is ready");
    for _ in 0..2 {
        server.signal(Signal::HUP);
        let reloading = manager.hear();
        let (_, micros) = reloading
            .split_once("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        let micros = micros.lines().next().unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        assert!(manager.hear().starts_with("READY=1\n"));
    }
    // A reload that fails is over as well: the old code is ready.
    server.dir.write("app.py", "raise RuntimeError('broken')");
    server.signal(Signal::HUP);
    assert!(manager.hear().starts_with("RELOADING=1\n"));
    assert!(manager.hear().starts_with("READY=1\n"));
    // Nobody else may speak for the instance.
    for child in children(server.process.pid()) {
        let environment = fs::read(format!("/proc/{child}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("NOTIFY_SOCKET"));
    }
    assert!(server.stop_with(Signal::TERM).success());
    assert!(manager.hear().starts_with("STOPPING=1\n"));
}

/// An abstract name, a watchdog, and a configuration without a master: one is there all the same.
#[test]
fn the_watchdog_is_fed() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let setup = Setup::source(Kind::Uwgate, HELLO).option("master", "false");
    let name = setup.dir().join("notify").display().to_string();
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager(UnixDatagram::bind_addr(&address).unwrap());
    manager.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let _server = setup
        .env("NOTIFY_SOCKET", &format!("@{name}"))
        .env("WATCHDOG_USEC", "100000")
        .start();
    let mut alive = 0;
    while alive < 3 {
        match manager.hear_any().as_str() {
            "WATCHDOG=1" => alive += 1,
            other => assert!(other.starts_with("READY=1\n"), "{other}"),
        }
    }
}

/// Starts a server as systemd does: the sockets at 3 and beyond, and the pid of the process itself.
fn activated(dir: &TempDir, sockets: &[i32], options: &[&str]) -> crate::support::process::Process {
    let mut script = format!("LISTEN_PID=$$ LISTEN_FDS={} exec \"$@\"", sockets.len());
    for (number, socket) in (3..).zip(sockets) {
        script.push_str(&format!(" {number}<&{socket} {socket}<&-"));
    }
    let mut command = Command::new("/bin/bash");
    command
        .args(["-c", &script, "bash"])
        .arg(Kind::Uwgate.program());
    command
        .args(["--master", "--wsgi-file", "app.py"])
        .args(options)
        .current_dir(&**dir);
    crate::support::process::Process::start(command, &dir.join("server.log"))
}

#[test]
fn sockets_of_the_service_manager_are_matched_by_address_and_survive_a_reload() {
    let dir = TempDir::new();
    dir.write("app.py", HELLO);
    let unix = UnixListener::bind(dir.join("brought.sock")).unwrap();
    let address = Address::Unix(dir.join("brought.sock"));
    // The shell gets it at a number out of the way of those that systemd uses.
    let lent = rustix::io::fcntl_dupfd_cloexec(&unix, 20).unwrap();
    rustix::io::fcntl_setfd(&lent, rustix::io::FdFlags::empty()).unwrap();
    let options = ["--http-socket", "brought.sock", "--vacuum"];
    let mut server = activated(&dir, &[lent.as_raw_fd()], &options);
    drop((unix, lent));
    let answer = |target: &str| {
        let answer = Client::connect(&address).send(&Request::get(target));
        assert_eq!(answer.expect(200).text(), "hello");
    };
    answer("/");
    until_true("a worker", || {
        server.log().contains("spawned uWSGI worker 1")
    });
    server.signal(Signal::HUP);
    until_true("the old worker's end", || {
        server.log().contains("worker 1 buried")
    });
    answer("/");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(server.log().contains("comes from the service manager"));
    assert!(
        dir.join("brought.sock").exists(),
        "it is not ours to remove"
    );
}

/// A socket that no option names speaks what `protocol` says.
#[test]
fn a_socket_of_the_service_manager_needs_no_name() {
    let dir = TempDir::new();
    dir.write("app.py", HELLO);
    let unix = UnixListener::bind(dir.join("brought.sock")).unwrap();
    let lent = rustix::io::fcntl_dupfd_cloexec(&unix, 20).unwrap();
    rustix::io::fcntl_setfd(&lent, rustix::io::FdFlags::empty()).unwrap();
    let _server = activated(&dir, &[lent.as_raw_fd()], &["--protocol", "http"]);
    drop((unix, lent));
    let address = Address::Unix(dir.join("brought.sock"));
    let answer = Client::connect(&address).send(&Request::get("/"));
    assert_eq!(answer.expect(200).text(), "hello");
}

/// In a PID namespace of its own the master is process 1: whatever loses its parent there is its child.
#[test]
fn as_process_1_the_master_reaps_and_stops_in_time() {
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--fork", "--pid", "--mount-proc", "--kill-child"])
            .args(args);
        command
    };
    if !unshare(&["true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: unshare is not permitted here");
        return;
    }
    let dir = TempDir::new();
    let orphan = "import os
def application(environ, start_response):
    # In a group and session of its own, like a daemon: nobody but process 1 can reap it.
    if environ['PATH_INFO'] == '/orphan' and os.fork() == 0:
        os.setsid()
        os._exit(0) if os.fork() else os._exit(0)
    start_response('200 OK', [])
    zombies = 0
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            stat = open('/proc/%s/stat' % pid).read().rsplit(') ', 1)[1].split()
        except OSError:
            continue
        zombies += stat[0] == 'Z' and stat[1] == '1'
    return [b'%d' % zombies]
";
    dir.write("app.py", orphan);
    let address = Address::Unix(dir.join("http.sock"));
    let mut command = unshare(&[]);
    command.arg(Kind::Uwgate.program()).current_dir(&*dir);
    command.args([
        "--master",
        "--wsgi-file",
        "app.py",
        "--http-socket",
        "http.sock",
    ]);
    let mut server = crate::support::process::Process::start(command, &dir.join("server.log"));
    until_true("the socket", || address.connect().is_ok());
    let ask = |target: &str| {
        let answer = Client::connect(&address).send(&Request::get(target));
        answer.expect(200).text().parse::<u32>().unwrap()
    };
    for _ in 0..5 {
        ask("/orphan");
    }
    until_true("no zombies", || ask("/") == 0);
    // What a container's runtime sends to process 1.
    let master = until("process 1", || children(server.pid()).first().copied());
    signal(master, Signal::TERM);
    assert!(server.wait().success());
    assert!(server.log().contains("goodbye to uWSGI."));
}
