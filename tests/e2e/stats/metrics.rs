//! The page for Prometheus.

use rustix::process::Signal;
use serde_json::Value;

use super::{Hanging, number, read_with, setup, started, stats, worker};
use crate::support::wait::{until, until_true};
use crate::support::{Address, Kind, Setup};

/// A page of metrics as Prometheus' own library reads it.
pub(super) struct Metrics(serde_json::Map<String, Value>);

impl Metrics {
    pub(super) fn value(&self, sample: &str) -> f64 {
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

pub(super) fn metrics(address: &Address) -> Metrics {
    let url = format!("http://{address}/metrics");
    let json = read_with("metrics.py", &[&url]);
    Metrics(serde_json::from_str(&json).expect("it prints JSON"))
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
    // What came of the others is counted a moment after their answers.
    let (page, json) = until("a moment in which nothing changes", || {
        let before = stats(&server);
        let page = metrics(&address);
        (stats(&server) == before).then_some((page, before))
    });
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
