//! A server under test: `uwgate`, or the real uWSGI as the judge of the test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::Signal;

use super::address::Address;
use super::client::{Client, Request};
use super::packet::Packet;
use super::paths;
use super::process::{self, Process};
use super::response::Response;
use super::temp::TempDir;
use super::wait::{until, until_true};

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Uwgate,
    Uwsgi,
}

impl Kind {
    pub fn program(self) -> PathBuf {
        match self {
            Self::Uwgate => paths::uwgate(),
            Self::Uwsgi => paths::uwsgi(),
        }
    }

    /// The program with a clean environment, in which `python3` is Debian's.
    pub fn command(self) -> Command {
        clean_command(&self.program())
    }
}

/// A program with a clean environment.
pub fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/nonexistent")
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC");
    command
}

/// A server to be: an ini file in the making.
#[derive(Debug)]
pub struct Setup {
    kind: Kind,
    program: PathBuf,
    dir: TempDir,
    options: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

/// What a setup has unless it says otherwise.
const DEFAULTS: [(&str, &str); 3] = [("master", "true"), ("processes", "1"), ("need-app", "true")];

impl Setup {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            program: kind.program(),
            dir: TempDir::new(),
            options: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// A setup that serves `tests/apps/FILE`.
    pub fn app(kind: Kind, file: &str) -> Self {
        Self::new(kind).option("wsgi-file", paths::app(file).display())
    }

    /// A setup that serves an app made of this source text.
    pub fn source(kind: Kind, text: &str) -> Self {
        let setup = Self::new(kind);
        let file = setup.dir.write("app.py", text);
        setup.option("wsgi-file", file.display())
    }

    /// A setup that serves `module`, found below `tests/apps`, with the venv's packages.
    pub fn framework(kind: Kind, module: &str) -> Self {
        Self::new(kind)
            .option("virtualenv", paths::venv().display())
            .option("pythonpath", paths::app("").display())
            .option("module", module)
    }

    /// One more line of the ini file.
    pub fn option(mut self, key: &str, value: impl ToString) -> Self {
        self.options.push((key.to_owned(), value.to_string()));
        self
    }

    /// Another copy of the program.
    pub fn program(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The server's directory: it holds the ini file and the log, and is where the server runs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file into the server's directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.dir.write(name, content)
    }

    /// Starts the server on an HTTP port and a uwsgi unix socket and waits until both listen.
    pub fn start(self) -> Server {
        let http = Address::free_port();
        let socket = Address::Unix(self.dir.join("uwsgi.sock"));
        let setup = self.option("http-socket", &http).option("socket", &socket);
        let mut server = setup.launch(http, socket);
        server.wait_until_ready();
        server
    }

    /// Starts a server of which it is not known whether it will stand: only its own options, no
    /// waiting.
    pub fn spawn(self) -> Server {
        let http = Address::Unix(self.dir.join("no-http.sock"));
        let socket = Address::Unix(self.dir.join("uwsgi.sock"));
        self.launch(http, socket)
    }

    fn launch(self, http: Address, socket: Address) -> Server {
        let ini = self.dir.write("server.ini", self.ini());
        let workers = match (self.last("master"), self.last("cheap")) {
            (Some("false"), _) | (_, Some("true")) => 0,
            _ => ["cheaper-initial", "cheaper", "processes"]
                .into_iter()
                .find_map(|key| self.last(key))
                .map_or(1, |count| count.parse().expect("is a number")),
        };
        let mut command = clean_command(&self.program);
        command
            .arg("--ini")
            .arg(&ini)
            .current_dir(&*self.dir)
            .envs(self.environment);
        Server {
            process: Process::start(command, &self.dir.join("server.log")),
            kind: self.kind,
            http,
            socket,
            workers,
            dir: self.dir,
        }
    }

    /// The value that wins, unless it is the default.
    fn last(&self, key: &str) -> Option<&str> {
        let mut values = self.options.iter().rev().filter(|(name, _)| name == key);
        values.next().map(|(_, value)| value.as_str())
    }

    fn ini(&self) -> String {
        let mut ini = "[uwsgi]\n".to_owned();
        let given = |key: &str| self.options.iter().any(|(name, _)| name == key);
        let defaults = DEFAULTS.iter().filter(|(key, _)| !given(key));
        for (key, value) in defaults {
            writeln!(ini, "{key} = {value}").expect("a string can be written to");
        }
        for (key, value) in &self.options {
            writeln!(ini, "{key} = {value}").expect("a string can be written to");
        }
        ini
    }
}

/// A running server, stopped when it goes out of scope.
#[derive(Debug)]
pub struct Server {
    // Fields are dropped in this order: first the process, then its directory.
    pub process: Process,
    pub kind: Kind,
    pub http: Address,
    pub socket: Address,
    pub dir: TempDir,
    /// The number of workers that a master begins with.
    workers: usize,
}

impl Server {
    /// A server of `tests/apps/FILE` with nothing special.
    pub fn app(kind: Kind, file: &str) -> Self {
        Setup::app(kind, file).start()
    }

    /// A new HTTP connection.
    pub fn client(&self) -> Client {
        Client::connect(&self.http)
    }

    /// One HTTP request on a connection of its own.
    pub fn send(&self, request: &Request) -> Response {
        self.client().send(request)
    }

    pub fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target))
    }

    pub fn post(&self, target: &str, body: impl Into<Vec<u8>>) -> Response {
        self.send(&Request::post(target, body))
    }

    /// One request through the uwsgi socket.
    pub fn uwsgi(&self, packet: &Packet) -> Response {
        let method = packet
            .vars
            .iter()
            .find(|(key, _)| key == b"REQUEST_METHOD")
            .map_or_else(String::new, |(_, value)| {
                String::from_utf8_lossy(value).into_owned()
            });
        Client::connect(&self.socket)
            .write(packet.bytes())
            .response(&method)
    }

    /// Sends bytes to the HTTP port and reads all that comes back until the server closes.
    pub fn raw_http(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.client().write(bytes).rest()
    }

    /// Sends bytes to the uwsgi socket and reads all that comes back until the server closes.
    pub fn raw_uwsgi(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        Client::connect(&self.socket).write(bytes).rest()
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the log holds `text`.
    pub fn wait_for_log(&self, text: &str) {
        until_true(&format!("{text:?} in the log"), || {
            self.log().contains(text)
        });
    }

    /// Waits until a line of the log satisfies `wanted`, and returns it.
    pub fn wait_for_line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        until(what, || {
            let log = self.log();
            let line = log.lines().find(|line| wanted(line));
            line.map(str::to_owned)
        })
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// The pids of the workers that live, as the log names them.
    ///
    /// A worker may serve before its line is there, so the first ones are waited for.
    pub fn workers(&self) -> Vec<u32> {
        let spawned = until("the first workers in the log", || {
            let spawned = spawned_workers(&self.log());
            (spawned.len() >= self.workers).then_some(spawned)
        });
        spawned
            .into_iter()
            .filter(|pid| process::alive(*pid))
            .collect()
    }

    /// The same program with the same file once more.
    pub fn again(&self, ini: &Path) -> Process {
        let mut command = self.kind.command();
        command.arg("--ini").arg(ini).current_dir(&*self.dir);
        Process::start(command, &self.dir.join("again.log"))
    }

    /// Sends the signal and waits for the end.
    pub fn stop_with(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.process.wait()
    }

    fn wait_until_ready(&mut self) {
        for address in [self.http.clone(), self.socket.clone()] {
            let process = &mut self.process;
            until(&format!("{address} to listen"), || {
                if let Some(status) = process.try_wait() {
                    panic!("the server ended at once: {status}");
                }
                address.connect().ok()
            });
        }
        self.wait_until_it_catches_signals();
    }

    /// Signals that come before uWSGI and its workers have set their handlers, after a start or a
    /// reload, are lost or kill them. uwgate needs no such care.
    pub fn wait_until_it_catches_signals(&self) {
        if self.kind == Kind::Uwsgi && self.workers > 0 {
            until_true("uWSGI to catch signals", || self.catches_signals());
        }
    }

    /// Whether master and workers have set their handlers; the last one of a worker is for USR2,
    /// which the master does not catch.
    fn catches_signals(&self) -> bool {
        let master = self.process.pid();
        // Daemons are children as well.
        let workers = process::children(master)
            .into_iter()
            .filter(|child| process::catches(*child, Signal::USR2));
        process::catches(master, Signal::TSTP) && workers.count() == self.workers
    }
}

/// The pids of all workers that a log speaks of, dead or alive.
fn spawned_workers(log: &str) -> Vec<u32> {
    let pid = |line: &str| {
        let (_, rest) = line.split_once("pawned uWSGI worker ")?;
        let (_, rest) = rest.split_once("pid: ")?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    log.lines().filter_map(pid).collect()
}

/// uWSGI takes a second to stop in good order, and nobody waits for that.
impl Drop for Server {
    fn drop(&mut self) {
        if self.kind == Kind::Uwsgi {
            self.process.kill();
        }
    }
}
