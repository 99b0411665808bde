//! How many workers of a generation run: starting some that do not, and stopping some that do.

use std::sync::atomic::Ordering;

use uwgate_supervisor::cheaper::{Life, Service, Worker};
use uwgate_supervisor::{Event, Status};
use uwgate_sys::clock::{Millis, coarse_now};

use super::slot::{Handover, Slot};
use super::{Change, Generation, Hands};
use crate::message::ToWorker;
use crate::scoreboard::{Core, Row, Scoreboard};

impl Generation {
    /// How many workers are to run.
    pub(in crate::master) fn strength(&self) -> u32 {
        let wanted = self.slots.iter().filter(|slot| slot.wanted);
        u32::try_from(wanted.count()).unwrap_or(u32::MAX)
    }

    /// Has a worker run, also when its last process has not gone yet.
    pub(in crate::master) fn start_worker(&mut self, worker: u32, hands: &mut Hands<'_>) -> Change {
        let Some(slot) = self.slot(worker).filter(|slot| !slot.wanted) else {
            return Change::Nothing;
        };
        slot.wanted = true;
        slot.asked = coarse_now();
        slot.handover = Handover::None;
        if !slot.current().is_empty() && slot.other().is_empty() {
            slot.swap();
        }
        let side = slot.current_side();
        slot.at_mut(side).farewell = ToWorker::Drain;
        self.set_cheap(worker, false);
        self.tell(self.key(worker, side), Event::Start, hands)
    }

    /// Sends a worker home: it finishes what it has, and nobody follows it.
    pub(in crate::master) fn stop_worker(&mut self, worker: u32, hands: &mut Hands<'_>) -> Change {
        let Some(slot) = self.slot(worker).filter(|slot| slot.wanted) else {
            return Change::Nothing;
        };
        slot.wanted = false;
        slot.handover = Handover::None;
        self.set_cheap(worker, true);
        let keys = self.keys().into_iter().filter(|key| key.worker == worker);
        for key in keys.collect::<Vec<_>>() {
            self.tell(key, Event::Stop, hands);
        }
        // With one less to wait for, a rising generation may have risen.
        self.risen()
    }

    /// Sends all workers home.
    pub(in crate::master) fn stop_workers(&mut self, hands: &mut Hands<'_>) {
        for worker in self.workers() {
            self.stop_worker(worker, hands);
        }
    }

    /// Has the first `count` workers run.
    pub(in crate::master) fn wake_workers(&mut self, count: u32, hands: &mut Hands<'_>) {
        for worker in self.workers().take(count as usize) {
            self.start_worker(worker, hands);
        }
    }

    /// Every worker, as far as it concerns how many there should be.
    pub(in crate::master) fn sights(&self) -> Vec<Worker> {
        let now = coarse_now();
        let workers = self.workers().zip(&self.slots);
        workers
            .map(|(number, slot)| self.sight(number, slot, now))
            .collect()
    }

    fn sight(&self, number: u32, slot: &Slot, now: Millis) -> Worker {
        let occupant = slot.current();
        let status = occupant.child.status();
        let life = match (slot.wanted, status) {
            (false, _) if slot.is_empty() => Life::Cheap,
            (false, _) => Life::Leaving,
            (true, Status::Running) => {
                let row = Row {
                    worker: number,
                    side: slot.current_side(),
                };
                Life::Serving(service(self.scoreboard.row(row), occupant.born, now))
            }
            (true, _) => Life::Starting { since: slot.asked },
        };
        let rss = self.scoreboard.seat(number);
        Worker {
            number,
            life,
            rss: rss.map_or(0, |seat| seat.rss.load(Ordering::Relaxed)),
        }
    }

    /// Whether a request is being served.
    pub(in crate::master) fn is_busy(&self) -> bool {
        let mut lines = self
            .workers()
            .flat_map(|worker| self.scoreboard.worker(worker));
        lines.any(|core| core.busy_since.load(Ordering::Relaxed) > 0)
    }

    /// Requests begun by this generation.
    pub(in crate::master) fn requests(&self) -> u64 {
        self.scoreboard.total_requests()
    }

    fn set_cheap(&self, worker: u32, cheap: bool) {
        if let Some(seat) = self.scoreboard.seat(worker) {
            seat.cheap.store(cheap.into(), Ordering::Relaxed);
        }
    }
}

/// Shows the workers of a new generation that do not begin as what they are.
pub(super) fn send_home_beyond(scoreboard: &Scoreboard, begin_with: u32, processes: u32) {
    for seat in (begin_with + 1..=processes).filter_map(|worker| scoreboard.seat(worker)) {
        seat.cheap.store(1, Ordering::Relaxed);
    }
}

fn service(cores: &[Core], since: Millis, now: Millis) -> Service {
    let read = |core: &Core| {
        let busy_since = core.busy_since.load(Ordering::Relaxed);
        let current = match busy_since {
            0 => 0,
            begun => now.0.saturating_sub(begun) * 1000,
        };
        (
            busy_since > 0,
            core.running.load(Ordering::Relaxed) + current,
        )
    };
    let figures: Vec<(bool, u64)> = cores.iter().map(read).collect();
    let connections = cores
        .first()
        .map(|core| core.connections.load(Ordering::Relaxed));
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Service {
        since,
        cores: count(cores.len()),
        busy: count(figures.iter().filter(|(busy, _)| *busy).count()),
        busy_micros: figures.iter().map(|(_, micros)| micros).sum(),
        connections: u32::try_from(connections.unwrap_or(0)).unwrap_or(u32::MAX),
    }
}
