//! Making and ending the processes of a generation.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use uwgate_supervisor::{Event, StopKind};
use uwgate_sys::channel::{self, Channel};
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process::{self, Pid, Signal};

use super::{Change, Generation, Hands, Key};
use crate::listen::Listening;
use crate::message::{Message, ToWorker, ToZygote};
use crate::scoreboard::sum;

/// The process that workers are forked from.
pub(super) struct Zygote {
    pub(super) pid: Pid,
    pub(super) alive: bool,
    channel: Channel,
    /// It was told to go, and has until then.
    kill_at: Option<Millis>,
}

/// How many processes it is asked for at a time. The kernel holds under 300 orders for one that is slow to read them.
const ORDERS: usize = 64;

/// A zygote has nothing to finish. One that does not leave waits for a thread of the application.
const ZYGOTE_MERCY: Duration = Duration::from_secs(5);

impl Zygote {
    pub(super) fn new(pid: Pid, channel: Channel) -> Self {
        Self {
            pid,
            alive: true,
            channel,
            kill_at: None,
        }
    }

    /// It leaves at the end of its channel. The reading task has another handle of the same socket, so only a
    /// shutdown tells it.
    pub(super) fn let_go(&mut self) {
        let _ = rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Both);
        self.kill_at.get_or_insert(coarse_now() + ZYGOTE_MERCY);
    }

    /// Whether it forks.
    fn serves(&self) -> bool {
        self.alive && self.kill_at.is_none()
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.kill_at.filter(|_| self.alive)
    }

    pub(super) fn handle_time(&mut self, now: Millis) {
        if self.deadline().is_some_and(|at| at <= now) {
            tracing::warn!("the zygote (pid: {}) does not leave: killing it", self.pid);
            self.kill();
        }
    }

    pub(super) fn kill(&mut self) {
        if self.alive {
            let _ = process::kill(self.pid, Signal::KILL);
        }
        self.kill_at = Some(Millis(u64::MAX));
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Generation {
    /// The live worker processes and the way to each.
    pub(in crate::master) fn processes(&self) -> impl Iterator<Item = (Pid, &Channel)> {
        let occupants = self.slots.iter().flat_map(super::Slot::occupants);
        occupants.filter_map(|it| Some((it.child.pid()?, it.channel.as_ref()?)))
    }

    /// Asks the zygote for as many of the wanted processes as it will not lose count of; none waits for one that is gone.
    pub(super) fn fork_next(&mut self, hands: &mut Hands<'_>) -> Change {
        let mut change = Change::Nothing;
        while !self.to_fork.is_empty() && (self.orders() < ORDERS || !self.zygote.serves()) {
            let Some(key) = self.to_fork.pop_front() else {
                break;
            };
            if let Err(error) = self.fork(key, hands) {
                if !self.is_leaving() {
                    tracing::error!("worker {} cannot be started: {error}", key.worker);
                }
                change = change.or(self.tell(key, Event::SpawnFailed, hands));
            }
        }
        change
    }

    /// How many processes the zygote has been asked for and not answered.
    fn orders(&self) -> usize {
        let occupants = self.slots.iter().flat_map(super::Slot::occupants);
        occupants.filter(|it| it.awaited).count()
    }

    /// Asks the zygote for a worker process.
    fn fork(&mut self, key: Key, hands: &mut Hands<'_>) -> io::Result<()> {
        let (ours, theirs) = channel::pair()?;
        if !self.zygote.serves() {
            return Err(io::Error::other("the zygote is gone"));
        }
        let speaking = ours.try_clone()?;
        let zygote = &self.zygote;
        let Some(slot) = self.slots.get_mut((key.worker as usize).wrapping_sub(1)) else {
            return Ok(());
        };
        let occupant = slot.at_mut(key.side);
        occupant.life += 1;
        occupant.requests_before = sum(self.scoreboard.row(key.row()));
        // All that can fail comes first: once the order is out, a process may come.
        hands.happenings.follow_worker(key, occupant.life, ours)?;
        let (worker, side) = (key.worker, key.side);
        if self.paused {
            // It is there before the worker is.
            speaking.send(&ToWorker::Pause.encode(), &[])?;
        }
        let order = ToZygote::Fork { worker, side }.encode();
        zygote.channel.send(&order, &[theirs.as_fd()])?;
        occupant.awaited = true;
        occupant.gave_up = false;
        occupant.channel = Some(speaking);
        hands.roster.expect();
        Ok(())
    }

    /// Tells the workers of sockets that nobody will accept from after them.
    pub(in crate::master) fn close_after(&self, closing: impl Fn(&Listening) -> bool) {
        let doors = (0..u32::BITS).zip(self.listeners.iter());
        let doors = doors.filter(|(_, listening)| closing(listening));
        let doors = doors.fold(0, |all, (number, _)| all | 1 << number);
        if doors == 0 {
            return;
        }
        for (_, channel) in self.processes() {
            let _ = channel.send(&ToWorker::Closing { doors }.encode(), &[]);
        }
    }

    /// Asks a worker process to end.
    pub(super) fn signal(&mut self, key: Key, pid: Pid, kind: StopKind) {
        let Some(slot) = self.slot(key.worker) else {
            return;
        };
        let occupant = slot.at(key.side);
        match (kind, &occupant.channel) {
            (StopKind::Graceful, Some(channel)) => {
                let _ = channel.send(&occupant.farewell.encode(), &[]);
            }
            _ => {
                let _ = process::kill(pid, Signal::KILL);
            }
        }
    }
}
