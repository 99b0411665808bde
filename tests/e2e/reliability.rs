//! What an operator may do a hundred times under load without a failed request, beside what it costs with uWSGI.
//!
//! For minutes, with figures: `tests/reliability/run`. A few rounds of it run with all other tests.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::idle::kill_an_idle_worker;
use crate::support::install::Installed;
use crate::support::load::{APP, Findings, percentile};
use crate::support::process::alive;
use crate::support::wait::until_true;
use crate::support::{Kind, Load, Nginx, Server, Setup, Way};

/// So many seconds of computing at import, as large applications need.
const HEAVY: &str = "\
import time
_end = time.process_time() + 2
while time.process_time() < _end:
    sum(range(1000))
";

const WORKERS: usize = 4;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drill {
    Reload,
    Upgrade,
    Recycle,
    Kill,
}

/// A server under load from all sides.
struct Stand {
    server: Server,
    installed: Installed,
    // Declared after the server, so that it outlives it no longer than a moment.
    _nginx: Nginx,
    ways: Vec<Way>,
}

impl Stand {
    fn new(kind: Kind, source: &str, drill: Drill) -> Self {
        let installed = Installed::new(kind);
        let mut setup = Setup::source(kind, source)
            .program(&installed.program())
            .option("processes", WORKERS)
            .option("listen", 1024)
            .option("disable-logging", "true");
        if drill == Drill::Recycle {
            setup = setup.option("max-requests", 1000);
        }
        let server = setup.start();
        until_true("all workers", || server.workers().len() == WORKERS);
        let nginx = Nginx::before(&server.socket);
        let mut ways = vec![
            Way::Close(nginx.http.clone()),
            Way::Close(server.http.clone()),
        ];
        if kind == Kind::Uwgate {
            // uWSGI keeps no connection on an http-socket, and a worker of its http11-socket serves nobody else
            // for as long as a client keeps one.
            ways.push(Way::Keep(server.http.clone()));
        }
        Self {
            server,
            installed,
            _nginx: nginx,
            ways,
        }
    }

    fn repeat(&self, drill: Drill, rounds: usize, clients: usize, pace: Duration) -> Findings {
        let mut load = Load::start(&self.ways, clients, pace);
        load.wait_for(500);
        for _ in 0..rounds {
            load.during(|_| match drill {
                Drill::Reload => self.reload(),
                Drill::Upgrade => {
                    self.installed.upgrade();
                    self.reload();
                }
                Drill::Recycle => self.recycle(),
                Drill::Kill => self.kill(),
            });
            std::thread::sleep(Duration::from_millis(500));
        }
        load.finish()
    }

    fn reload(&self) {
        self.server.wait_until_it_catches_signals();
        let before = self.server.workers();
        self.server.signal(Signal::HUP);
        until_true("new workers only", || {
            let now = self.server.workers();
            now.len() == WORKERS && !before.iter().any(|pid| now.contains(pid))
        });
    }

    /// Until one more worker has been replaced.
    fn recycle(&self) {
        let before = self.server.workers();
        until_true("a worker to be recycled", || {
            before.iter().any(|pid| !alive(*pid))
        });
    }

    fn kill(&self) {
        kill_an_idle_worker(&self.server);
        until_true("all workers", || self.server.workers().len() == WORKERS);
    }
}

#[test]
fn a_few_rounds_of_everything_lose_no_request() {
    for drill in [Drill::Reload, Drill::Upgrade, Drill::Kill] {
        let stand = Stand::new(Kind::Uwgate, APP, drill);
        let findings = stand.repeat(drill, 3, 2, Duration::from_millis(10));
        findings.expect_no_loss(500);
    }
}

/// For minutes. `UWGATE_ROUNDS` (100), `UWGATE_SERVERS` (`uwgate uwsgi`), `UWGATE_DRILLS`, `UWGATE_APPS`.
#[test]
#[ignore = "takes many minutes: tests/reliability/run"]
fn all_rounds() {
    let words = |name: &str, default: &str| {
        let words = std::env::var(name).unwrap_or_else(|_| default.to_owned());
        words
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let rounds: usize = words("UWGATE_ROUNDS", "100")[0].parse().expect("a number");
    println!(
        "{:7} {:6} {:8} {:>6} {:>9}  {:>15}  {:>15}  {:>6}  failed",
        "server", "app", "drill", "rounds", "requests", "quiet p50/p99", "during p50/p99", "ratio"
    );
    for server in words("UWGATE_SERVERS", "uwgate uwsgi") {
        for app in words("UWGATE_APPS", "hello heavy") {
            for drill in words("UWGATE_DRILLS", "reload recycle kill upgrade") {
                let kind = if server == "uwgate" {
                    Kind::Uwgate
                } else {
                    Kind::Uwsgi
                };
                let source = if app == "heavy" {
                    format!("{HEAVY}{APP}")
                } else {
                    APP.to_owned()
                };
                let (drill, rounds) = match drill.as_str() {
                    "reload" => (Drill::Reload, rounds),
                    "recycle" => (Drill::Recycle, rounds),
                    "kill" => (Drill::Kill, rounds),
                    _ => (Drill::Upgrade, rounds.div_ceil(5)),
                };
                let begun = Instant::now();
                let stand = Stand::new(kind, &source, drill);
                // Some workers have to be without a kept connection.
                let clients = if drill == Drill::Kill { 2 } else { 4 };
                let findings = stand.repeat(drill, rounds, clients, Duration::from_millis(12));
                show(&server, &app, drill, rounds, &findings, begun.elapsed());
            }
        }
    }
}

fn show(server: &str, app: &str, drill: Drill, rounds: usize, findings: &Findings, took: Duration) {
    let pair = |sorted: &[u64]| (percentile(sorted, 50.0), percentile(sorted, 99.0));
    let (quiet, inside) = (pair(&findings.quiet), pair(&findings.inside));
    let milli = |micros: u64| format!("{}.{:02}", micros / 1000, micros % 1000 / 10);
    let ratio = inside.1 * 10 / quiet.1.max(1);
    println!(
        "{server:7} {app:6} {:8} {rounds:6} {:9}  {:>15}  {:>15}  {:>6}  {} ({} s)",
        format!("{drill:?}").to_lowercase(),
        findings.answered() + findings.failures.len(),
        format!("{}/{}", milli(quiet.0), milli(quiet.1)),
        format!("{}/{}", milli(inside.0), milli(inside.1)),
        format!("{}.{}", ratio / 10, ratio % 10),
        findings.faults(),
        took.as_secs(),
    );
    for failure in findings.failures.iter().take(5) {
        println!("    {failure}");
    }
}
