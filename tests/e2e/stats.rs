//! The stats server beside uWSGI's, what it says while things happen, and the programs that read it.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::both;
use crate::support::process::Process;
use crate::support::wait::{until, until_true};
use crate::support::{Address, Client, Kind, Packet, Request, Server, Setup, TempDir, paths};

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

both! {
    /// Of each its own, without the time that Python takes to begin; uWSGI tells `chdir` of applications only that
    /// front servers have named.
    fn applications_tell_how_long_they_took_to_load(kind) {
        for lazy in [false, true] {
            let slow = "\
import time; time.sleep(1.1)
def application(environ, start_response):
    start_response('200 OK', [])
    return []
";
            let setup = Setup::new(kind);
            let address = setup.dir().join("stats.sock");
            let quick = setup.write("quick.py", slow.replace("1.1", "0"));
            let slow = setup.write("slow.py", slow);
            let server = started(
                setup
                    .option("stats", address.display())
                    .option("chdir", "/tmp")
                    .option("lazy-apps", lazy)
                    .option("mount", format!("/quick={}", quick.display()))
                    .option("mount", format!("/slow={}", slow.display())),
            );
            let seen = until("the applications", || {
                let apps = worker(&stats(&server), 1)["apps"].as_array()?.clone();
                (apps.len() == 2).then_some(apps)
            });
            let [quick, slow] = [&seen[0], &seen[1]];
            assert_eq!([&quick["mountpoint"], &slow["mountpoint"]], ["/quick", "/slow"]);
            assert_eq!([&quick["chdir"], &slow["chdir"]], ["", ""]);
            // uWSGI looks at whole seconds before and after.
            let [quick, slow] = [quick, slow].map(|app| number(app, "startup_time"));
            assert!(quick < slow, "{quick} {slow} {lazy}");
        }
    }
}

#[test]
fn answers_to_slow_readers_count_as_offloaded() {
    let source = "\
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '16000000')])
    return [b'x' * 16000000]
";
    let setup = Setup::source(Kind::Uwgate, source);
    let address = setup.dir().join("stats.sock");
    let server = started(setup.option("stats", address.display()));
    let offloaded = || {
        number(
            &worker(&stats(&server), 1)["cores"][0],
            "offloaded_requests",
        )
    };
    assert_eq!(offloaded(), 0);
    let mut slow = server.client();
    slow.write(Request::get("/").bytes());
    until_true("the answer to be offloaded", || offloaded() == 1);
    slow.response("GET").expect(200);
    assert_eq!(offloaded(), 1);
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

/// The locks of uWSGI that there are none of here.
const LOCKS: [&str; 7] = [
    "signal", "filemon", "timer", "rbtimer", "cron", "rpc", "snmp",
];

/// Names in their order, with the depth at which they stand. Which core of which worker has the request is chance.
fn names(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().filter_map(|line| {
        let item = line.trim_start_matches('\t');
        let (name, _) = item.strip_prefix('"')?.split_once("\":")?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (name.bytes().all(is_name) && line != item).then(|| (line.len() - item.len(), name))
    });
    lines
        .filter(|(_, name)| !LOCKS.contains(name) && *name != "request_start")
        .collect()
}

/// The type of everything, a list standing for its first item.
fn types(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            assert!(
                value.as_i64().is_some(),
                "uWSGI has whole numbers only: {value}"
            );
            "number".into()
        }
        Value::String(_) => "text".into(),
        Value::Array(items) => items.iter().take(1).map(types).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(key, value)| (key.clone(), types(value)))
                .collect()
        }
    }
}

#[test]
fn the_json_is_that_of_uwsgi() {
    let texts = [Kind::Uwgate, Kind::Uwsgi].map(|kind| {
        let setup = setup(kind, "slow.py")
            .option("attach-daemon", "sleep 1000")
            .option("processes", 2)
            .option("threads", 2);
        let mount = format!("/other={}", paths::app("hello.py").display());
        let server = started(setup.option("mount", mount));
        let hanging = Hanging::start(&server, "go", "");
        let text = text(&Address::Unix(server.dir.join("stats.sock")));
        hanging.finish();
        text
    });
    let [ours, theirs] = &texts;
    assert_eq!(names(ours), names(theirs));
    let [ours, theirs] = texts.each_ref().map(|text| {
        let mut value: Value = serde_json::from_str(text).expect("is JSON");
        let workers = value["workers"].as_array_mut().expect("is a list");
        let is_busy = |worker: &Value| worker["status"] == "busy";
        workers.sort_by_key(|worker| !is_busy(worker));
        for worker in workers {
            let cores = worker["cores"].as_array_mut().expect("is a list");
            cores.sort_by_key(|core| core["in_request"] == 0);
        }
        types(&value)
    });
    assert_eq!(ours, theirs);
}

both! {
    fn a_request_in_flight(kind) {
        let server = started(setup(kind, "slow.py").option("threads", 2));
        let hanging = Hanging::start(&server, "go", "");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("it is after 1970").as_secs();
        let seen = stats(&server);
        let worker = worker(&seen, 1);
        assert_eq!(worker["status"], "busy");
        let cores = worker["cores"].as_array().expect("there are cores");
        let busy: Vec<_> = cores.iter().filter(|core| core["in_request"] == 1).collect();
        assert_eq!((cores.len(), busy.len()), (2, 1));
        let start = number(&busy[0]["req_info"], "request_start");
        assert!((now - 30..=now + 1).contains(&start), "{start} is not about {now}");
        let vars = busy[0]["vars"].as_array().expect("there are variables");
        for var in ["REQUEST_METHOD=GET", "HTTP_HOST=test.example"] {
            assert!(vars.iter().any(|it| it == var), "{var}: {vars:?}");
        }
        hanging.finish();
        until_true("the worker to be idle", || stats(&server)["workers"][0]["status"] == "idle");
    }
}

both! {
    fn counters(kind) {
        let server = started(setup(kind, "faults.py").option("threads", 2));
        for _ in 0..3 {
            server.get("/last").expect(200);
        }
        server.uwsgi(&Packet::get("/last")).expect(200);
        let raise = Request::get("/raise-at-call").header("Connection", "close");
        server.client().write(raise.bytes()).rest();
        let seen = until("five requests", || {
            let seen = stats(&server);
            (number(&seen["workers"][0], "requests") == 5).then_some(seen)
        });
        let worker = worker(&seen, 1);
        assert_eq!(number(worker, "exceptions"), 1);
        assert_eq!(number(worker, "delta_requests"), 5);
        assert_eq!(number(worker, "respawn_count"), 1);
        assert_eq!(number(worker, "harakiri_count"), 0);
        assert_eq!(number(worker, "accepting"), 1);
        assert!(number(worker, "tx") > 0);
        assert!(number(worker, "running_time") > 0);
        assert!(number(worker, "avg_rt") <= number(worker, "running_time"));
        assert_eq!(number(&worker["apps"][0], "requests"), 5);
        assert_eq!(number(&worker["apps"][0], "exceptions"), 1);
        let cores = worker["cores"].as_array().expect("there are cores");
        let of_cores: u64 = cores.iter().map(|core| number(core, "requests")).sum();
        assert_eq!(of_cores, 5);
        assert_eq!(number(&seen, "pid"), u64::from(server.process.pid()));
        let workers = crate::support::process::children(server.process.pid());
        let pid = u32::try_from(number(worker, "pid")).expect("is a pid");
        assert!(workers.contains(&pid), "{pid} is not among {workers:?}");
    }
}

both! {
    /// Each application's own, also those of several threads and of a worker's successors.
    fn applications_are_told_apart(kind) {
        let file = paths::app("faults.py");
        let setup = setup(kind, "hello.py")
            .option("mount", format!("/faults={}", file.display()))
            .option("manage-script-name", "true")
            .option("threads", 2);
        let server = started(setup);
        for path in ["/", "/faults/raise-at-call", "/faults/raise-at-call", "/faults/raise-at-call"] {
            let request = Request::get(path).header("Connection", "close");
            server.client().write(request.bytes()).rest();
        }
        let figures = |app: &Value| (number(app, "requests"), number(app, "exceptions"));
        until_true("each application's requests", || {
            let seen = stats(&server);
            let apps = &seen["workers"][0]["apps"];
            (figures(&apps[0]), figures(&apps[1])) == ((1, 0), (3, 3))
        });
    }
}

both! {
    fn a_worker_may_say_that_it_takes_nothing(kind) {
        let server = started(setup(kind, "ask.py"));
        for (said, shown) in [("False", 0), ("True", 1)] {
            let expression = format!("uwsgi.accepting({said})");
            server.post("/", expression.as_str()).expect(200);
            assert_eq!(number(&stats(&server)["workers"][0], "accepting"), shown);
        }
    }
}

/// A peer that promises more than it sends. uWSGI counts none of them.
#[test]
fn a_body_that_does_not_come_is_a_read_error() {
    let server = started(setup(Kind::Uwgate, "echo.py"));
    let head = "POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n";
    let mut client = server.client();
    client
        .write(head)
        .write(vec![b'x'; 100_000])
        .finish()
        .rest();
    until_true("a read error", || {
        number(&stats(&server)["workers"][0]["cores"][0], "read_errors") == 1
    });
}

both! {
    fn daemons(kind) {
        let server = started(setup(kind, "hello.py").option("attach-daemon", "sleep 1000"));
        let daemon = until("the daemon", || {
            let daemon = stats(&server)["daemons"][0].clone();
            (number(&daemon, "pid") > 0).then_some(daemon)
        });
        assert_eq!(daemon["cmd"], "sleep 1000");
        assert_eq!(number(&daemon, "respawns"), 0);
        let children = crate::support::process::children(server.process.pid());
        assert!(children.iter().any(|pid| u64::from(*pid) == number(&daemon, "pid")));
    }
}

both! {
    /// uWSGI has locks of its own beside those of the application.
    fn locks_and_who_holds_them(kind) {
        let app = "\
import uwsgi
def application(environ, start_response):
    uwsgi.lock(1)
    start_response('200 OK', [])
    return [b'locked']
";
        let setup = Setup::source(kind, app).option("locks", 1);
        let address = setup.dir().join("stats.sock");
        let server = started(setup.option("stats", address.display()));
        server.get("/").expect(200);
        let seen = stats(&server);
        let locks = seen["locks"].as_array().expect("there are locks");
        let user: Vec<_> = locks.iter().filter(|lock| lock.to_string().contains("user")).collect();
        assert_eq!(user.len(), 2, "{locks:?}");
        assert_eq!(user[0]["user 0"], 0);
        assert_eq!(user[1]["user 1"], worker(&seen, 1)["pid"]);
    }
}

both! {
    /// uWSGI looks once a second.
    fn a_tcp_queue_is_seen(kind) {
        let server = started(setup(kind, "slow.py"));
        let hanging = Hanging::start(&server, "go", "");
        let _waiting = [(); 3].map(|()| server.client());
        until_true("three in the queue", || number(&stats(&server)["sockets"][0], "queue") == 3);
        let seen = stats(&server);
        assert_eq!((number(&seen, "listen_queue"), number(&seen, "load")), (3, 3));
        assert_eq!(number(&seen["sockets"][0], "max_queue"), 100);
        hanging.finish();
    }
}

/// uWSGI says 0 of any.
#[test]
fn a_unix_queue_is_seen() {
    let server = started(setup(Kind::Uwgate, "slow.py"));
    let hanging = Hanging::start(&server, "go", "");
    // Whoever tried whether the server is there may not have been accepted yet.
    let before = number(&stats(&server)["sockets"][1], "queue");
    let _waiting = [(); 3].map(|()| Client::connect(&server.socket));
    let seen = stats(&server);
    let socket = &seen["sockets"][1];
    assert_eq!(socket["proto"], "uwsgi");
    // A kernel without unix_diag does not tell.
    if number(socket, "max_queue") > 0 {
        assert_eq!(number(socket, "queue"), before + 3);
        assert_eq!(number(&seen, "listen_queue"), before + 3);
    }
    hanging.finish();
}

/// uWSGI has them only with `memory-report`.
#[test]
fn memory_is_that_of_the_worker() {
    let server = started(setup(Kind::Uwgate, "hello.py"));
    let seen = stats(&server);
    let worker = worker(&seen, 1);
    let status = std::fs::read_to_string(format!("/proc/{}/status", number(worker, "pid")));
    let status = status.expect("the worker lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kilobytes: u64 = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("Linux says so");
    assert_eq!(number(worker, "vsz"), kilobytes * 1024);
    assert!(number(worker, "rss") > 1_000_000);
    assert!(number(worker, "rss") < number(worker, "vsz"));
}

/// uWSGI shows them to whoever reaches the port.
#[test]
fn secrets_are_masked_unless_they_are_asked_for() {
    for (option, shown) in [("false", false), ("true", true)] {
        let server = setup(Kind::Uwgate, "slow.py")
            .option("stats-show-secrets", option)
            .start();
        let hanging = Hanging::start(&server, "go", "?a=plain&access_token=abcdef");
        let text = text(&Address::Unix(server.dir.join("stats.sock")));
        assert!(text.contains("a=plain&access_token="), "{text}");
        assert_eq!(text.contains("abcdef"), shown, "{text}");
        hanging.finish();
    }
}

/// What uWSGI counts begins anew with a reload.
#[test]
fn no_counter_goes_back() {
    let page = Address::free_port();
    let setup = setup(Kind::Uwgate, "hello.py")
        .option("processes", 2)
        .option("prometheus-listen", &page);
    let server = started(setup);
    for _ in 0..10 {
        server.get("/").expect(200);
    }
    let before = metrics(&page);
    assert_eq!(before.value("uwsgi_requests_total"), 10.0);
    let pids = |stats: &Value| [1, 2].map(|id| number(worker(stats, id), "pid"));
    let old = pids(&stats(&server));
    server.signal(Signal::HUP);
    until_true("new workers", || {
        let new = pids(&stats(&server));
        new.iter().all(|pid| *pid > 0 && !old.contains(pid))
    });
    server.get("/").expect(200);
    let after = until("the old workers to be gone", || {
        let after = metrics(&page);
        (after.value("uwgate_leaving_processes") == 0.0).then_some(after)
    });
    assert_eq!(after.value("uwsgi_requests_total"), 11.0);
    assert_eq!(after.value("uwgate_reloads_total{result=\"done\"}"), 1.0);
    assert_eq!(after.value("uwgate_generation"), 2.0);
    assert_eq!(
        after.value("uwsgi_worker_respawn_count_total{worker_id=\"1\"}"),
        2.0
    );
    for (name, value) in before.counters() {
        assert!(after.value(name) >= value, "{name} went back from {value}");
    }
    let seen = stats(&server);
    let requests = |worker: &Value| number(worker, "requests");
    assert_eq!(requests(worker(&seen, 1)) + requests(worker(&seen, 2)), 11);
    let since = |worker: &Value| number(worker, "delta_requests");
    assert_eq!(since(worker(&seen, 1)) + since(worker(&seen, 2)), 1);
}

#[test]
fn a_reload_that_fails_is_counted() {
    let page = Address::free_port();
    let setup = Setup::source(
        Kind::Uwgate,
        "def application(e, s):\n    s('200 OK', [])\n    return []\n",
    );
    let server = setup.option("prometheus-listen", &page).start();
    server.get("/").expect(200);
    server.dir.write("app.py", "raise RuntimeError('broken')");
    server.signal(Signal::HUP);
    until_true("a failed reload", || {
        metrics(&page).value("uwgate_reloads_total{result=\"failed\"}") >= 1.0
    });
    assert_eq!(metrics(&page).value("uwgate_generation"), 1.0);
}

/// uWSGI has one stats server: the last line counts.
#[test]
fn every_address_serves_and_a_reload_moves_them() {
    let first = Address::free_port();
    let setup = Setup::app(Kind::Uwgate, "hello.py").option("stats", &first);
    let unix = Address::Unix(setup.dir().join("unix.sock"));
    let moved = Address::Unix(setup.dir().join("moved.sock"));
    let mode = |address: &Address| {
        use std::os::unix::fs::PermissionsExt;
        let Address::Unix(path) = address else {
            panic!("{address} has no file");
        };
        std::fs::metadata(path).map(|file| file.permissions().mode() & 0o777)
    };
    let mut server = setup
        .option("stats", &unix)
        .option("chmod-socket", 600)
        .option("vacuum", true)
        .start();
    assert!(text(&first).starts_with('{'));
    assert!(text(&unix).starts_with('{'));
    assert_eq!(mode(&unix).expect("it is there"), 0o600);

    let ini = server.dir.join("server.ini");
    let config = std::fs::read_to_string(&ini).expect("the ini file is there");
    let config = config.replace(&first.to_string(), &moved.to_string());
    server.dir.write("server.ini", config);
    server.signal(Signal::HUP);
    assert!(text(&moved).starts_with('{'));
    assert!(text(&unix).starts_with('{'));
    until_true("the old address to be closed", || first.connect().is_err());

    assert!(server.stop_with(Signal::INT).success());
    assert!(mode(&moved).is_err() && mode(&unix).is_err());
}

#[test]
fn an_address_that_is_taken_is_named_with_its_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = taken.local_addr().expect("it is bound");
    let mut server = Setup::app(Kind::Uwgate, "hello.py")
        .option("stats", address)
        .spawn();
    assert_eq!(server.process.wait().code(), Some(1));
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains("cannot serve statistics"));
    assert!(
        line.is_some_and(|line| line.contains("server.ini:")),
        "{log}"
    );
}

both! {
    fn http_in_front_of_the_json(kind) {
        let address = Address::free_port();
        let _server = Setup::app(kind, "hello.py")
            .option("stats", &address)
            .option("stats-http", true)
            .option("stats-minified", true)
            .start();
        until("the stats server", || address.connect().ok());
        for target in ["/", "/stats", "/whatever?a=b"] {
            let bytes = connect(&address).write(Request::get(target).bytes()).rest();
            let text = String::from_utf8(bytes).expect("is UTF-8");
            let head = "HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\
                        Content-Type: application/json\r\n\r\n{\"version\":\"";
            assert!(text.starts_with(head), "{text}");
            assert!(!text.ends_with('\n'));
        }
    }
}

/// uWSGI answers everything with the JSON.
#[test]
fn what_is_not_get_is_refused() {
    let address = Address::free_port();
    let _server = Setup::app(Kind::Uwgate, "hello.py")
        .option("prometheus-listen", &address)
        .start();
    let send = |bytes: &[u8]| {
        let bytes = connect(&address).write(bytes).finish().rest();
        String::from_utf8(bytes).expect("is UTF-8")
    };
    let refused = send(&Request::post("/", "a body").bytes());
    assert!(refused.starts_with("HTTP/1.0 405 "), "{refused}");
    assert!(refused.contains("\r\nAllow: GET, HEAD\r\n"), "{refused}");
    let head = send(&Request::new("HEAD", "/metrics").bytes());
    assert!(
        head.starts_with("HTTP/1.0 200 OK\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(send(b"\x16\x03\x01\x02\x00\n\n").starts_with("HTTP/1.0 400 "));
    assert!(send(&[b'x'; 20_000]).starts_with("HTTP/1.0 431 "));
}

/// They hold what they may hold for a few seconds, and nobody else waits for them.
#[test]
fn clients_that_stand_still_stop_nobody() {
    let address = Address::free_port();
    let server = setup(Kind::Uwgate, "hello.py")
        .option("prometheus-listen", &address)
        .start();
    drop(connect(&address));
    let connect = || address.connect().expect("the address is open");
    let _idle: Vec<_> = (0..16).map(|_| connect()).collect();
    server.get("/").expect(200);
    assert_eq!(number(&stats(&server)["workers"][0], "requests"), 1);
    server.signal(Signal::HUP);
    until_true("a reload", || {
        let worker = &stats(&server)["workers"][0];
        number(worker, "respawn_count") == 2 && number(worker, "accepting") == 1
    });
    let page = Client::connect(&address)
        .write(Request::get("/metrics").bytes())
        .rest();
    assert!(page.starts_with(b"HTTP/1.0 200 OK\r\n"));
}

/// A page of metrics as Prometheus' own library reads it.
struct Metrics(serde_json::Map<String, Value>);

impl Metrics {
    fn value(&self, sample: &str) -> f64 {
        let found = self.samples().find(|(_, name, _)| *name == sample);
        found.unwrap_or_else(|| panic!("{sample} is missing")).2
    }

    fn counters(&self) -> impl Iterator<Item = (&str, f64)> {
        let counters = self.samples().filter(|(kind, ..)| *kind == "counter");
        counters.map(|(_, name, value)| (name, value))
    }

    /// Type, name with labels, value.
    fn samples(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        self.0.values().flat_map(|family| {
            let kind = family[0].as_str().expect("a family has a type");
            let samples = family[1].as_object().expect("a family has samples");
            let value = |value: &Value| value.as_f64().expect("is a number");
            samples
                .iter()
                .map(move |(name, it)| (kind, name.as_str(), value(it)))
        })
    }
}

fn metrics(address: &Address) -> Metrics {
    let url = format!("http://{address}/metrics");
    let json = read_with("metrics.py", &[&url]);
    Metrics(serde_json::from_str(&json).expect("it prints JSON"))
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

#[test]
fn metrics_agree_with_the_json() {
    let address = Address::free_port();
    let setup = setup(Kind::Uwgate, "slow.py")
        .option("processes", 2)
        .option("threads", 2)
        .option("prometheus-listen", &address);
    let server = started(setup);
    for _ in 0..5 {
        server.get("/sleep/0").expect(200);
    }
    let hanging = Hanging::start(&server, "go", "");
    let (page, json) = (metrics(&address), stats(&server));
    for worker in json["workers"].as_array().expect("there are workers") {
        let id = number(worker, "id");
        let of = |name: &str| page.value(&format!("uwsgi_worker_{name}{{worker_id=\"{id}\"}}"));
        for (name, key) in [
            ("requests_total", "requests"),
            ("exceptions_total", "exceptions"),
            ("harakiri_count_total", "harakiri_count"),
            ("respawn_count_total", "respawn_count"),
            ("transmitted_bytes_total", "tx"),
            ("delta_requests", "delta_requests"),
            ("accepting", "accepting"),
            ("last_spawn_time_seconds", "last_spawn"),
            ("vsz_bytes", "vsz"),
        ] {
            assert_eq!(of(name), number(worker, key) as f64, "{name}");
        }
        let micros = number(worker, "running_time") as f64;
        assert!((of("running_time_seconds") * 1e6 - micros).abs() < 1.0);
        assert_eq!(
            of("running_time_seconds"),
            page.value(&format!(
                "uwgate_worker_running_seconds_total{{worker_id=\"{id}\"}}"
            ))
        );
        assert_eq!(of("busy") == 1.0, worker["status"] == "busy");
    }
    assert_eq!(page.value("uwsgi_requests_total"), 6.0);
    assert_eq!(page.value("uwgate_busy_cores"), 1.0);
    assert_eq!(page.value("uwgate_cores"), 4.0);
    assert_eq!(page.value("uwsgi_workers"), 2.0);
    let queue = format!(
        "uwsgi_socket_queue_length{{name=\"{}\",proto=\"http\"}}",
        server.http
    );
    assert_eq!(page.value(&queue), 0.0);
    hanging.finish();
}

both! {
    /// Over each kind of address that it knows.
    fn uwsgitop_shows_the_workers(kind) {
        let program = paths::there(paths::venv().join("bin/uwsgitop"));
        let program = program.display().to_string();
        let unix = started(setup(kind, "hello.py").option("processes", 2));
        unix.get("/").expect(200);
        let pids = |stats: &Value| [1, 2].map(|id| number(worker(stats, id), "pid").to_string());
        let socket = unix.dir.join("stats.sock").display().to_string();
        let [first, second] = pids(&stats(&unix));
        read_with("uwsgitop.py", &[&program, &socket, "req: 1", &first, &second, "idle"]);

        let address = Address::free_port();
        let http = Setup::app(kind, "hello.py")
            .option("stats", &address)
            .option("stats-http", true)
            .start();
        until("the stats server", || address.connect().ok());
        let master = format!("masterpid: {}", http.process.pid());
        let url = format!("http://{address}");
        read_with("uwsgitop.py", &[&program, &url, "req: 0", &master, "WID"]);
    }
}

both! {
    /// `uwsgi_exporter` and `uwsgi-prometheus` of PyPI.
    fn exporters_read_the_json(kind) {
        let address = Address::free_port();
        let server = Setup::app(kind, "hello.py")
            .option("processes", 2)
            .option("stats", &address)
            .option("stats-http", true)
            .start();
        for _ in 0..4 {
            server.get("/").expect(200);
        }
        until("the stats server", || address.connect().ok());
        let url = format!("http://{address}");
        until_true("four requests", || {
            let said = read_with("collector.py", &[&url]);
            said == "uwsgi_listen_queue_requests 0\nuwsgi_requests_total 4\nuwsgi_harakiris_total 0\n"
        });
        let page = Address::free_port();
        let _exporter = exporter(&server.dir, &address, &page);
        let families = until("the exporter", || page.connect().ok().map(|_| metrics(&page)));
        let requests = |id| families.value(&format!("uwsgi_workers_requests{{worker=\"{id}\"}}"));
        assert_eq!(requests(1) + requests(2), 4.0);
        families.value("uwsgi_workers_cores_in_request{core=\"0\",worker=\"2\"}");
        families.value("uwsgi_workers_apps_startup_time{app=\"0\",worker=\"1\"}");
        families.value(&format!("uwsgi_sockets_queue{{socket=\"{}\"}}", server.http));
    }
}

fn exporter(dir: &TempDir, stats: &Address, page: &Address) -> Process {
    let mut command = Command::new(paths::venv().join("bin/python"));
    command
        .arg(paths::there(paths::venv().join("bin/uwsgi_exporter.py")))
        .args(["--stats_addr", &format!("http://{stats}")])
        .args(["--bind_address", "127.0.0.1"])
        .args(["--bind_port", &page.port().to_string()]);
    Process::start(command, &dir.join("exporter.log"))
}

both! {
    /// What timonwong/uwsgi_exporter (written in Go) decodes into whole numbers and texts: anything of another type
    /// would make it refuse all of the JSON.
    fn the_types_that_the_go_exporter_decodes(kind) {
        let server = started(setup(kind, "hello.py"));
        let seen = stats(&server);
        let whole = |object: &Value, keys: &[&str]| {
            for key in keys {
                number(object, key);
            }
        };
        let texts = |object: &Value, keys: &[&str]| {
            for key in keys {
                assert!(object[key].is_string(), "{key} is no text: {object}");
            }
        };
        texts(&seen, &["version", "cwd"]);
        whole(&seen, &["listen_queue", "listen_queue_errors", "signal_queue", "load", "pid", "uid", "gid"]);
        let socket = &seen["sockets"][0];
        texts(socket, &["name", "proto"]);
        whole(socket, &["queue", "max_queue", "shared", "can_offload"]);
        let worker = worker(&seen, 1);
        texts(worker, &["status"]);
        whole(worker, &[
            "id", "pid", "accepting", "requests", "delta_requests", "exceptions", "harakiri_count", "signals",
            "signal_queue", "rss", "vsz", "running_time", "last_spawn", "respawn_count", "tx", "avg_rt",
        ]);
        let app = &worker["apps"][0];
        texts(app, &["mountpoint", "chdir"]);
        whole(app, &["id", "modifier1", "startup_time", "requests", "exceptions"]);
        let core = &worker["cores"][0];
        whole(core, &[
            "id", "requests", "static_requests", "routed_requests", "offloaded_requests", "write_errors", "read_errors",
            "in_request",
        ]);
        assert!(core["vars"].is_array());
    }
}

both! {
    /// Those that cheaper has not started yet are no idle workers.
    fn a_worker_that_was_not_needed_yet_is_cheap(kind) {
        let server = setup(kind, "hello.py").option("processes", 3).option("cheaper", 1).start();
        let words = || {
            let stats = stats(&server);
            let workers = stats["workers"].as_array().expect("there are workers").iter();
            workers.map(|worker| worker["status"].to_string()).collect::<Vec<_>>()
        };
        // uWSGI's first worker is busy while it starts.
        until_true("one idle worker", || {
            words() == ["\"idle\"", "\"cheap\"", "\"cheap\""]
        });
    }
}
