//! `/metrics` in Prometheus' text format, version 0.0.4.
//!
//! Where a value means the same as in the known exporters of uWSGI's JSON, it has their name and labels
//! (`uwsgi_...`), so that their dashboards and alerts go on; what only this program has is `uwgate_...`.

use std::fmt::{self, Display, Write as _};

use super::snapshot::{App, Core, InRequest, Snapshot, Socket, Status, Worker};

/// The Content-Type of what [`render`] makes.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page; `cores`: not `stats-no-cores`.
pub(super) fn render(snapshot: &Snapshot, cores: bool) -> Vec<u8> {
    let mut page = Page(String::new());
    for metric in INSTANCE {
        page.family(metric);
        page.sample(metric.name, &[], (metric.value)(snapshot));
    }
    info(&mut page);
    reloads(&mut page, snapshot);
    for metric in SOCKET {
        page.family(metric);
        for socket in &snapshot.sockets {
            let labels = [("name", &*socket.name), ("proto", socket.protocol)];
            page.sample(metric.name, &labels, (metric.value)(socket));
        }
    }
    for metric in WORKER {
        page.family(metric);
        for worker in &snapshot.workers {
            let id = worker.id.to_string();
            page.sample(metric.name, &[("worker_id", &id)], (metric.value)(worker));
        }
    }
    for metric in APP {
        page.family(metric);
        for (worker, app) in each(&snapshot.workers, |worker| &worker.apps) {
            let (worker, id) = (worker.id.to_string(), app.id.to_string());
            let labels = [
                ("worker_id", &*worker),
                ("app_id", &id),
                ("mountpoint", &app.mountpoint),
                ("chdir", ""),
            ];
            page.sample(metric.name, &labels, (metric.value)(app));
        }
    }
    for metric in CORE.iter().filter(|_| cores) {
        page.family(metric);
        for (worker, core) in each(&snapshot.workers, |worker| &worker.cores) {
            let (worker, id) = (worker.id.to_string(), core.id.to_string());
            let labels = [("worker_id", &*worker), ("core_id", &*id)];
            page.sample(metric.name, &labels, (metric.value)(core));
        }
    }
    page.0.into_bytes()
}

fn each<'s, T: 's>(
    workers: &'s [Worker],
    parts: impl Fn(&'s Worker) -> &'s Vec<T>,
) -> impl Iterator<Item = (&'s Worker, &'s T)> {
    workers
        .iter()
        .flat_map(move |worker| parts(worker).iter().map(move |part| (worker, part)))
}

/// One family of samples and where its value comes from.
struct Metric<T> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&T) -> Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Never goes back while the instance runs.
    Counter,
    Gauge,
}

/// A sample's number.
enum Value {
    Count(u64),
    /// Shown in seconds.
    Micros(u64),
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => count.fmt(f),
            Self::Micros(micros) => {
                write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000)
            }
        }
    }
}

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> Value) -> Metric<T> {
    let kind = Kind::Counter;
    Metric {
        name,
        kind,
        help,
        value,
    }
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> Value) -> Metric<T> {
    let kind = Kind::Gauge;
    Metric {
        name,
        kind,
        help,
        value,
    }
}

use Value::{Count, Micros};

const INSTANCE: &[Metric<Snapshot>] = &[
    gauge("uwsgi_up", "The instance answers.", |_| Count(1)),
    gauge(
        "uwsgi_workers",
        "Workers that the instance has places for.",
        |s| Count(s.workers.len() as u64),
    ),
    gauge(
        "uwsgi_listen_queue_length",
        "Connections that wait to be accepted, on the socket where most do.",
        |s| Count(s.listen_queue().into()),
    ),
    gauge(
        "uwsgi_listen_queue_errors",
        "Connections that the kernel turned away from TCP sockets because the queue was full.",
        |s| Count(s.listen_queue_errors()),
    ),
    counter(
        "uwgate_dropped_connections_total",
        "The same as a counter.",
        |s| Count(s.listen_queue_errors()),
    ),
    counter("uwsgi_requests_total", "Requests begun.", |s| {
        Count(s.total().requests)
    }),
    counter(
        "uwsgi_exceptions_total",
        "Requests whose application raised.",
        |s| Count(s.total().exceptions),
    ),
    counter(
        "uwsgi_harakiris_total",
        "Requests killed for taking too long.",
        |s| Count(s.harakiris()),
    ),
    counter("uwsgi_transmitted_bytes_total", "Bytes of answers.", |s| {
        Count(s.total().sent)
    }),
    counter(
        "uwgate_running_seconds_total",
        "Time spent in requests, of all cores.",
        |s| Micros(s.total().running),
    ),
    counter(
        "uwgate_write_errors_total",
        "Requests whose answer the peer did not take.",
        |s| Count(s.total().write_errors),
    ),
    counter(
        "uwgate_read_errors_total",
        "Requests whose body the peer did not send.",
        |s| Count(s.total().read_errors),
    ),
    gauge(
        "uwgate_cores",
        "Cores (threads) of all worker processes that serve.",
        |s| {
            let served = s.workers.iter().filter(|worker| worker.pid != 0);
            Count(served.map(|worker| worker.cores.len() as u64).sum())
        },
    ),
    gauge("uwgate_busy_cores", "Cores that serve a request.", |s| {
        Count(s.in_flight().count() as u64)
    }),
    gauge(
        "uwgate_oldest_request_seconds",
        "Age of the oldest request in flight; 0 without one.",
        |s| {
            Micros(
                s.in_flight()
                    .map(|it: &InRequest| it.age)
                    .max()
                    .unwrap_or_default()
                    * 1_000,
            )
        },
    ),
    gauge(
        "uwgate_connections",
        "Open client connections of the workers that serve.",
        |s| Count(s.workers.iter().map(|worker| worker.connections).sum()),
    ),
    gauge(
        "uwgate_leaving_processes",
        "Worker processes that finish what they have while their successors serve.",
        |s| Count(s.leaving_processes),
    ),
    gauge(
        "uwgate_leaving_requests",
        "Requests in flight in such processes.",
        |s| Count(s.leaving_requests),
    ),
    gauge(
        "uwgate_generation",
        "Which start of the application serves.",
        |s| Count(s.generation),
    ),
    gauge(
        "uwgate_start_time_seconds",
        "When the master was started, since 1970.",
        |s| Count(s.started),
    ),
];

const SOCKET: &[Metric<Socket>] = &[
    gauge(
        "uwsgi_socket_queue_length",
        "Connections that wait to be accepted.",
        |s| Count(s.waiting.into()),
    ),
    gauge(
        "uwsgi_socket_max_queue_length",
        "Connections that may wait to be accepted.",
        |s| Count(s.max.into()),
    ),
    counter(
        "uwgate_socket_dropped_connections_total",
        "Connections that the kernel turned away (TCP only).",
        |s| Count(s.dropped.into()),
    ),
];

const WORKER: &[Metric<Worker>] = &[
    gauge(
        "uwsgi_worker_accepting",
        "Whether the worker takes new connections.",
        |w| Count(w.accepting.into()),
    ),
    gauge(
        "uwsgi_worker_busy",
        "Whether at least one core serves a request.",
        |w| Count((w.status == Status::Busy).into()),
    ),
    gauge(
        "uwsgi_worker_idle",
        "Whether no core serves a request.",
        |w| Count((w.status == Status::Idle).into()),
    ),
    gauge(
        "uwsgi_worker_cheap",
        "Whether the worker was sent home for want of work.",
        |w| Count((w.status == Status::Cheap).into()),
    ),
    counter("uwsgi_worker_requests_total", "Requests begun.", |w| {
        Count(w.counters.requests)
    }),
    gauge(
        "uwsgi_worker_delta_requests",
        "Requests begun since the current process was started.",
        |w| Count(w.delta_requests),
    ),
    counter(
        "uwsgi_worker_exceptions_total",
        "Requests whose application raised.",
        |w| Count(w.counters.exceptions),
    ),
    counter(
        "uwsgi_worker_harakiri_count_total",
        "Requests killed for taking too long.",
        |w| Count(w.harakiris),
    ),
    counter(
        "uwsgi_worker_respawn_count_total",
        "Processes that have filled the place.",
        |w| Count(w.spawns),
    ),
    counter(
        "uwsgi_worker_transmitted_bytes_total",
        "Bytes of answers.",
        |w| Count(w.counters.sent),
    ),
    gauge(
        "uwsgi_worker_running_time_seconds",
        "Time spent in requests.",
        |w| Micros(w.counters.running),
    ),
    counter(
        "uwgate_worker_running_seconds_total",
        "The same as a counter.",
        |w| Micros(w.counters.running),
    ),
    gauge(
        "uwsgi_worker_average_response_time_seconds",
        "Moving average of the time of a request.",
        |w| Micros(w.average),
    ),
    gauge(
        "uwsgi_worker_rss_bytes",
        "Resident memory, as of now.",
        |w| Count(w.rss),
    ),
    gauge("uwsgi_worker_vsz_bytes", "Address space, as of now.", |w| {
        Count(w.vsz)
    }),
    gauge(
        "uwsgi_worker_last_spawn_time_seconds",
        "When the current process was started, since 1970.",
        |w| Count(w.last_spawn),
    ),
    gauge("uwsgi_worker_apps", "Applications.", |w| {
        Count(w.apps.len() as u64)
    }),
    gauge("uwsgi_worker_cores", "Cores (threads).", |w| {
        Count(w.cores.len() as u64)
    }),
    gauge(
        "uwgate_worker_connections",
        "Open client connections.",
        |w| Count(w.connections),
    ),
];

const APP: &[Metric<App>] = &[
    gauge(
        "uwsgi_worker_app_startup_time_seconds",
        "How long the application took to load.",
        |a| Count(a.startup_time),
    ),
    counter("uwsgi_worker_app_requests_total", "Requests begun.", |a| {
        Count(a.requests)
    }),
    counter(
        "uwsgi_worker_app_exceptions_total",
        "Requests that raised.",
        |a| Count(a.exceptions),
    ),
];

const CORE: &[Metric<Core>] = &[
    gauge(
        "uwsgi_worker_core_busy",
        "Whether the core serves a request.",
        |c| Count(c.request.is_some().into()),
    ),
    counter("uwsgi_worker_core_requests_total", "Requests begun.", |c| {
        Count(c.counters.requests)
    }),
    counter(
        "uwsgi_worker_core_write_errors_total",
        "Answers that the peer did not take.",
        |c| Count(c.counters.write_errors),
    ),
    counter(
        "uwsgi_worker_core_read_errors_total",
        "Bodies that the peer did not send.",
        |c| Count(c.counters.read_errors),
    ),
];

fn info(page: &mut Page) {
    let name = "uwgate_info";
    page.head(name, Kind::Gauge, "The program.");
    page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
}

fn reloads(page: &mut Page, snapshot: &Snapshot) {
    let name = "uwgate_reloads_total";
    page.head(
        name,
        Kind::Counter,
        "Reloads, by whether the new code serves.",
    );
    page.sample(name, &[("result", "done")], snapshot.reloads);
    page.sample(name, &[("result", "failed")], snapshot.failed_reloads);
}

/// The text in the making.
struct Page(String);

impl Page {
    fn family<T>(&mut self, metric: &Metric<T>) {
        self.head(metric.name, metric.kind, metric.help);
    }

    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // A string takes everything.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.0.push(if at == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            self.push_escaped(text);
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn push_escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn page() -> String {
        let snapshot = super::super::sample::sample();
        String::from_utf8(render(&snapshot, true)).unwrap()
    }

    fn has(page: &str, line: &str) {
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }

    #[test]
    fn values_and_labels() {
        let page = page();
        // Those of workers that the configuration no longer has count on.
        has(&page, "uwsgi_requests_total 15");
        has(&page, "uwsgi_harakiris_total 7");
        has(&page, "uwsgi_worker_requests_total{worker_id=\"1\"} 6");
        has(
            &page,
            "uwsgi_worker_running_time_seconds{worker_id=\"1\"} 3.000000",
        );
        has(
            &page,
            "uwsgi_worker_average_response_time_seconds{worker_id=\"1\"} 0.001250",
        );
        has(&page, "uwsgi_worker_cheap{worker_id=\"2\"} 1");
        has(
            &page,
            "uwsgi_worker_core_busy{worker_id=\"1\",core_id=\"0\"} 1",
        );
        has(&page, "uwgate_oldest_request_seconds 2.500000");
        has(&page, "uwgate_reloads_total{result=\"done\"} 3");
        has(
            &page,
            "uwsgi_socket_queue_length{name=\"/a\\\"b\\\\c\",proto=\"http\"} 3",
        );
    }

    #[test]
    fn each_family_is_described_once_and_its_samples_stand_together() {
        let (page, mut seen) = (page(), HashSet::new());
        let mut current = String::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                current = rest.split(' ').next().unwrap().into();
                assert!(seen.insert(current.clone()), "{current} twice");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(name, current);
            }
        }
    }

    /// Prometheus' own library takes a counter's name for one without its `_total` otherwise.
    #[test]
    fn counters_and_nothing_else_are_called_total() {
        for line in page().lines() {
            if let Some((name, kind)) = line
                .strip_prefix("# TYPE ")
                .and_then(|it| it.split_once(' '))
            {
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            }
        }
    }

    #[test]
    fn cores_can_be_left_out() {
        let page = render(&super::super::sample::sample(), false);
        assert!(!String::from_utf8(page).unwrap().contains("_core_"));
    }
}
