//! What an operator may ask of a generation without changing its processes.

use std::sync::atomic::Ordering;

use uwgate_sys::process::{self, Pid};

use super::{Generation, Standing};
use crate::activity;
use crate::message::{Message, ToWorker};
use crate::scoreboard::Row;

impl Generation {
    pub(in crate::master) fn is_leaving(&self) -> bool {
        self.standing == Standing::Leaving
    }

    /// Has all workers, and those that will come, take no new connections, or take them again.
    pub(in crate::master) fn pause(&mut self, paused: bool) {
        self.paused = paused;
        if self.is_leaving() {
            return;
        }
        let order = if paused {
            ToWorker::Pause
        } else {
            ToWorker::Resume
        };
        for slot in &mut self.slots {
            let channels = slot
                .occupants_mut()
                .iter()
                .filter_map(|it| it.channel.as_ref());
            for channel in channels {
                // One that does not take it is on its way out.
                let _ = channel.send(&order.encode(), &[]);
            }
        }
    }

    /// The counters of the instance and of each worker.
    pub(in crate::master) fn log_stats(&self) {
        tracing::info!(
            "workers total requests: {}",
            self.scoreboard.total_requests()
        );
        for worker in self.workers() {
            activity::log_counters(&self.scoreboard, worker, self.pid_of(worker));
        }
    }

    /// What each worker process is doing, those that are leaving included.
    pub(in crate::master) fn log_activity(&self) {
        for Row { worker, side } in self.keys().into_iter().map(super::Key::row) {
            let Some(slot) = self.slots.get((worker as usize).wrapping_sub(1)) else {
                continue;
            };
            if let Some(pid) = slot.at(side).child.pid() {
                let pid = u32::try_from(pid.as_raw()).unwrap_or_default();
                activity::log_activity(&self.scoreboard, Row { worker, side }, pid);
            }
        }
    }

    /// Notes in the scoreboard how much memory each worker takes.
    pub(in crate::master) fn measure_memory(&self) {
        for worker in self.workers() {
            let Some(seat) = self.scoreboard.seat(worker) else {
                continue;
            };
            let pid = i32::try_from(self.pid_of(worker)).ok();
            let memory = pid.and_then(Pid::from_raw).map(process::memory);
            // Whoever has just gone takes none.
            let (rss, vsz) = memory
                .and_then(Result::ok)
                .map_or((0, 0), |memory| (memory.rss, memory.vsz));
            seat.rss.store(rss, Ordering::Relaxed);
            seat.vsz.store(vsz, Ordering::Relaxed);
        }
    }

    fn pid_of(&self, worker: u32) -> u32 {
        let seat = self.scoreboard.seat(worker);
        let pid = seat.map(|seat| seat.pid.load(Ordering::Relaxed));
        pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0)
    }
}
