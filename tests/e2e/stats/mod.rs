//! The stats server beside uWSGI's, what it says while things happen, and the programs that read it.

mod addresses;
mod json;
mod metrics;
mod readers;
mod workers;

use std::process::Command;

use serde_json::Value;

use crate::support::wait::{until, until_true};
use crate::support::{Address, Client, Kind, Request, Server, Setup, paths};

/// A setup with a stats server on a unix socket in its directory.
fn setup(kind: Kind, file: &str) -> Setup {
    let setup = Setup::app(kind, file);
    let address = setup.dir().join("stats.sock");
    setup.option("stats", address.display())
}

/// Connects to a stats address, which is opened after the sockets, and in uWSGI after the workers are there.
fn connect(address: &Address) -> Client {
    drop(until("the stats server", || address.connect().ok()));
    Client::connect(address)
}

/// What a stats address sends to whoever connects.
fn text(address: &Address) -> String {
    let bytes = connect(address).rest();
    String::from_utf8(bytes).expect("the statistics are UTF-8")
}

/// Starts a server with a stats server and waits until its workers take connections. uwgate listens before that.
fn started(setup: Setup) -> Server {
    let server = setup.start();
    until_true("the workers", || {
        let seen = stats(&server);
        let workers = seen["workers"].as_array().expect("there are workers");
        !workers.is_empty() && workers.iter().all(|worker| worker["accepting"] == 1)
    });
    server
}

fn stats(server: &Server) -> Value {
    let address = Address::Unix(server.dir.join("stats.sock"));
    serde_json::from_str(&text(&address)).expect("the statistics are JSON")
}

fn worker(stats: &Value, id: u64) -> &Value {
    let workers = stats["workers"].as_array().expect("there are workers");
    let found = workers.iter().find(|worker| worker["id"] == id);
    found.unwrap_or_else(|| panic!("there is no worker {id}: {stats}"))
}

fn number(value: &Value, key: &str) -> u64 {
    let number = value[key].as_u64();
    number.unwrap_or_else(|| panic!("{key} is no number: {value}"))
}

/// A request to `slow.py` that hangs until it is dropped.
struct Hanging {
    client: Client,
    release: std::path::PathBuf,
}

impl Hanging {
    fn start(server: &Server, name: &str, query: &str) -> Self {
        let release = server.dir.join(name);
        let mut client = server.client();
        let target = format!("/until{}{query}", release.display());
        let request = Request::get(&target)
            .header("Authorization", "Bearer abcdef")
            .header("Cookie", "session=abcdef")
            .header("X-Api-Key", "abcdef");
        client.write(request.bytes());
        let started = server.dir.join(format!("{name}.started"));
        until_true("the request to begin", || started.exists());
        Self { client, release }
    }

    fn finish(mut self) {
        std::fs::write(&self.release, "").expect("the file can be written");
        self.client.response("GET").expect(200);
    }
}

/// What a script of `tests/readers` prints, run by the venv's Python.
fn read_with(script: &str, arguments: &[&str]) -> String {
    let script = paths::repository().join("tests/readers").join(script);
    let output = Command::new(paths::there(paths::venv().join("bin/python")))
        .arg(script)
        .args(arguments)
        .output()
        .expect("Python can be run");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}
