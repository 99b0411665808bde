//! What workers have done in their lives, for whoever decides that it was enough.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use uwgate_supervisor::recycling::Figures;
use uwgate_supervisor::{Event, Status};
use uwgate_sys::clock::{Millis, coarse_now};

use super::slot::{Handover, Slot};
use super::{Change, Generation, Hands, Key};
use crate::scoreboard::Side;

impl Generation {
    /// The workers that serve.
    pub(in crate::master) fn careers(&self) -> Vec<Figures> {
        let now = coarse_now();
        let workers = self.workers().zip(&self.slots);
        let careers = workers.filter_map(|(worker, slot)| self.career(worker, slot, now));
        careers.collect()
    }

    fn career(&self, worker: u32, slot: &Slot, now: Millis) -> Option<Figures> {
        let occupant = slot.current();
        if !slot.wanted || occupant.child.status() != Status::Running {
            return None;
        }
        let side = slot.current_side();
        let row = self.key(worker, side).row();
        let mut cores = self.scoreboard.row(row).iter();
        let seat = self.scoreboard.seat(worker)?;
        Some(Figures {
            worker,
            life: self.life(side, occupant.life),
            age: now.since(occupant.born),
            rss: seat.rss.load(Ordering::Relaxed),
            vsz: seat.vsz.load(Ordering::Relaxed),
            busy: cores.any(|core| core.busy_since.load(Ordering::Relaxed) > 0),
            replacing: slot.handover != Handover::None,
        })
    }

    /// How [`careers`](Self::careers) calls the life of a process, if it is the one that serves.
    pub(in crate::master) fn life_of(&self, key: Key, count: u64) -> Option<u64> {
        let slot = self.slots.get((key.worker as usize).checked_sub(1)?)?;
        let serves = slot.current_side() == key.side && slot.current().life == count;
        serves.then(|| self.life(key.side, count))
    }

    /// Kills a worker that is beyond patience; another takes its place.
    pub(in crate::master) fn abort_worker(
        &mut self,
        worker: u32,
        why: &dyn Display,
        hands: &mut Hands<'_>,
    ) -> Change {
        let Some(slot) = self.slot(worker) else {
            return Change::Nothing;
        };
        let side = slot.current_side();
        let Some(pid) = slot.current().child.pid() else {
            return Change::Nothing;
        };
        tracing::warn!("*** EVIL RELOAD ON WORKER {worker} (pid: {pid}): {why} ***");
        self.tell(self.key(worker, side), Event::Abort, hands)
    }

    /// The process that serves in a worker's place has done its work; the log says so when it is gone.
    pub(in crate::master) fn note_farewell(&mut self, worker: u32) {
        if let Some(slot) = self.slot(worker) {
            let side = slot.current_side();
            slot.at_mut(side).is_done = true;
        }
    }

    /// A name for one process: each generation, and in it each side, counts its own.
    fn life(&self, side: Side, count: u64) -> u64 {
        (self.number << 32) | (count * 2 + side as u64)
    }
}
