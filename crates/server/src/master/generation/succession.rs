//! Replacing a worker without a gap: its successor is ready before it is told to leave.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use uwgate_supervisor::{Event, Status};
use uwgate_sys::process::Pid;

use super::slot::{Handover, Manner};
use super::{Generation, Hands, Key, Standing};
use crate::message::ToWorker;

impl Generation {
    /// Has a worker replaced, and says why in the log. A worker that is being replaced already is not replaced twice;
    /// one whose predecessor has not gone yet waits for that.
    pub(in crate::master) fn replace(
        &mut self,
        worker: u32,
        manner: Manner,
        why: &dyn Display,
        hands: &mut Hands<'_>,
    ) {
        if self.standing != Standing::Serving {
            return;
        }
        let Some(slot) = self.slot(worker) else {
            return;
        };
        let Some(pid) = slot.current().child.pid().filter(|_| slot.wanted) else {
            return;
        };
        if slot.handover != Handover::None {
            return;
        }
        tracing::info!("worker {worker} (pid: {pid}) is to be replaced: {why}");
        self.start_successor(worker, manner, hands);
    }

    /// Has all workers replaced at once.
    pub(in crate::master) fn replace_all(
        &mut self,
        manner: Manner,
        why: &dyn Display,
        hands: &mut Hands<'_>,
    ) {
        for worker in self.workers() {
            self.replace(worker, manner, why, hands);
        }
    }

    /// Has the workers replaced one after the other, the next when the one before is served by its successor.
    pub(in crate::master) fn chain_reload(&mut self, hands: &mut Hands<'_>) {
        self.chain = self.workers().collect();
        self.next_in_chain(hands);
    }

    fn next_in_chain(&mut self, hands: &mut Hands<'_>) {
        while let Some(worker) = self.chain.pop_front() {
            let is_there =
                |slot: &mut super::Slot| slot.wanted && slot.current().child.pid().is_some();
            if self.slot(worker).is_some_and(is_there) {
                return self.replace(worker, Manner::Graceful, &"chain reload", hands);
            }
        }
    }

    fn start_successor(&mut self, worker: u32, manner: Manner, hands: &mut Hands<'_>) {
        let Some(slot) = self.slot(worker) else {
            return;
        };
        if !slot.other().is_empty() {
            slot.handover = Handover::Wanted(manner);
            return;
        }
        slot.handover = Handover::Rising(manner);
        let side = slot.current_side().other();
        slot.at_mut(side).farewell = ToWorker::Drain;
        let key = self.key(worker, side);
        self.tell(key, Event::Start, hands);
    }

    /// A process is ready: if it is the successor of another, that one may go.
    pub(super) fn take_over(&mut self, key: Key, hands: &mut Hands<'_>) {
        let Some(slot) = self.slot(key.worker) else {
            return;
        };
        let Handover::Rising(manner) = slot.handover else {
            return;
        };
        let is_ready = slot.other().child.status() == Status::Running;
        if slot.current_side() == key.side || !is_ready {
            return;
        }
        slot.swap();
        let Some(pid) = slot.current().child.pid() else {
            return;
        };
        self.seat_process(key, pid);
        let event = match manner {
            Manner::Graceful => Event::Stop,
            Manner::Brutal => Event::Kill,
        };
        self.tell(self.key(key.worker, key.side.other()), event, hands);
        self.next_in_chain(hands);
    }

    /// A process is gone: if it was all that a successor waited for, that one may come.
    pub(super) fn predecessor_gone(&mut self, key: Key, hands: &mut Hands<'_>) {
        let Some(slot) = self.slot(key.worker) else {
            return;
        };
        if let Handover::Wanted(manner) = slot.handover
            && slot.other().is_empty()
        {
            self.start_successor(key.worker, manner, hands);
        }
    }

    /// Notes in the scoreboard who serves in a slot from now on.
    pub(super) fn seat_process(&mut self, key: Key, pid: Pid) {
        let Some(slot) = self.slot(key.worker) else {
            return;
        };
        if slot.current_side() != key.side {
            return;
        }
        let requests = slot.current().requests_before;
        let Some(seat) = self.scoreboard.seat(key.worker) else {
            return;
        };
        let pid = u64::try_from(pid.as_raw()).unwrap_or_default();
        let first = seat.last_spawn.load(Ordering::Relaxed) == 0;
        if !first {
            seat.respawns.fetch_add(1, Ordering::Relaxed);
        }
        seat.requests_before.store(requests, Ordering::Relaxed);
        seat.side.store(key.side as u64, Ordering::Relaxed);
        let now = uwgate_sys::clock::coarse_realtime().as_secs();
        seat.last_spawn.store(now, Ordering::Relaxed);
        seat.pid.store(pid, Ordering::Relaxed);
    }

    /// Notes that nobody serves in a slot, if it was this process that did.
    pub(super) fn unseat_process(&mut self, key: Key) {
        let is_current = |slot: &mut super::Slot| slot.current_side() == key.side;
        if self.slot(key.worker).is_some_and(is_current)
            && let Some(seat) = self.scoreboard.seat(key.worker)
        {
            seat.pid.store(0, Ordering::Relaxed);
        }
    }
}
