//! What workers have done and are doing, as log lines for an operator who asks (SIGUSR1, SIGUSR2, the FIFO's `s`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use uwgate_sys::clock::{Millis, coarse_now};

use crate::scoreboard::{Core, Row, Scoreboard};

/// One line with the counters of a worker.
pub(crate) fn log_counters(scoreboard: &Scoreboard, worker: u32, pid: u32) {
    let cores = scoreboard.worker(worker);
    let sum = |counter: fn(&Core) -> u64| cores.iter().map(counter).sum::<u64>();
    tracing::info!(
        "worker {worker} (pid: {pid}) requests: {} exceptions: {} sent: {} bytes running: {} ms",
        sum(|core| core.requests.load(Ordering::Relaxed)),
        sum(|core| core.exceptions.load(Ordering::Relaxed)),
        sum(|core| core.sent.load(Ordering::Relaxed)),
        sum(|core| core.running.load(Ordering::Relaxed)) / 1000,
    );
}

/// A line for each core of a process: what it serves and for how long, or that it is idle.
pub(crate) fn log_activity(scoreboard: &Scoreboard, row: Row, pid: u32) {
    let worker = row.worker;
    for (number, core) in scoreboard.row(row).iter().enumerate() {
        let head = format!("SIGUSR2: --- uWSGI worker {worker} core {number} (pid: {pid})");
        match busy_for(core) {
            None => tracing::info!("{head} is idle ---"),
            Some(time) => {
                let what = request(scoreboard, row, number);
                tracing::info!(
                    "{head} is managing {what} since {} ms ---",
                    time.as_millis()
                );
            }
        }
    }
}

fn busy_for(core: &Core) -> Option<Duration> {
    let since = core.busy_since.load(Ordering::Relaxed);
    (since > 0).then(|| coarse_now().since(Millis(since)))
}

/// Method and URI, where an option has requests shown.
fn request(scoreboard: &Scoreboard, row: Row, core: usize) -> String {
    let vars = scoreboard
        .exhibit(row, core)
        .and_then(crate::scoreboard::Exhibit::look)
        .unwrap_or_default();
    let value = |wanted: &[u8]| {
        let found = vars.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.escape_ascii().to_string())
    };
    match (value(b"REQUEST_METHOD"), value(b"REQUEST_URI")) {
        (Some(method), Some(uri)) => format!("request {method} {uri}"),
        _ => "a request".to_owned(),
    }
}
