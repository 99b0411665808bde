//! How busy the workers were since the last look.

use std::collections::HashMap;

use uwgate_sys::clock::Millis;

use super::{Life, Service, Worker};

/// Remembers what it saw last.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<Millis>,
    /// By worker: the process's start, and its busy time.
    seen: HashMap<u32, (Millis, u64)>,
}

impl Meter {
    /// How many workers' time was spent in requests since the last call, from 0 to the number of those that serve.
    pub(super) fn load(&mut self, now: Millis, workers: &[Worker]) -> f64 {
        let before = std::mem::take(&mut self.seen);
        let passed = self.last.replace(now).map_or(0, |last| now.0 - last.0);
        let mut load = 0.0;
        for worker in workers {
            let Life::Serving(service) = worker.life else {
                continue;
            };
            let known = before
                .get(&worker.number)
                .filter(|(since, _)| *since == service.since && passed > 0);
            load += match known {
                Some((_, micros)) => share(&service, *micros, passed),
                // Nothing to compare with: what it does now counts for the whole.
                None => f64::from(service.busy) / f64::from(service.cores.max(1)),
            }
            .clamp(0.0, 1.0);
            let seen = (service.since, service.busy_micros);
            self.seen.insert(worker.number, seen);
        }
        load
    }
}

fn share(service: &Service, before: u64, passed: u64) -> f64 {
    let busy = service.busy_micros.saturating_sub(before) as f64;
    busy / (passed as f64 * 1000.0 * f64::from(service.cores.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(number: u32, busy: u32, busy_micros: u64) -> Worker {
        let service = Service {
            since: Millis(1),
            cores: 2,
            busy,
            busy_micros,
            connections: 0,
        };
        Worker {
            number,
            life: Life::Serving(service),
            rss: 0,
        }
    }

    #[test]
    fn a_worker_is_as_busy_as_its_cores_were() {
        let mut meter = Meter::default();
        meter.load(Millis(1000), &[worker(1, 0, 500), worker(2, 0, 0)]);
        let load = meter.load(
            Millis(2000),
            &[worker(1, 0, 1_000_500), worker(2, 2, 2_000_000)],
        );
        assert!((load - 1.5).abs() < 1e-9, "{load}");
    }

    #[test]
    fn a_new_worker_counts_with_what_it_does() {
        let mut meter = Meter::default();
        let load = meter.load(Millis(1000), &[worker(1, 1, 5_000_000)]);
        assert!((load - 0.5).abs() < 1e-9, "{load}");
    }
}
