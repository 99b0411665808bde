//! Making and ending the processes of a generation.

use std::io;
use std::os::fd::AsFd;

use uwgate_supervisor::StopKind;
use uwgate_sys::channel::{self, Channel};
use uwgate_sys::process::{self, Pid, Signal};

use super::{Generation, Hands, Key};
use crate::message::{Message, ToWorker, ToZygote};

/// The process that workers are forked from.
pub(super) struct Zygote {
    pub(super) pid: Pid,
    pub(super) alive: bool,
    channel: Channel,
}

impl Zygote {
    pub(super) fn new(pid: Pid, channel: Channel) -> Self {
        Self {
            pid,
            alive: true,
            channel,
        }
    }

    /// It leaves at the end of its channel. The reading task has another handle of the same socket, so only a
    /// shutdown tells it.
    pub(super) fn let_go(&self) {
        let _ = rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Both);
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

    /// Asks the zygote for a worker process.
    pub(super) fn fork(&mut self, key: Key, hands: &mut Hands<'_>) -> io::Result<()> {
        let (ours, theirs) = channel::pair()?;
        if !self.zygote.alive {
            return Err(io::Error::other("the zygote is gone"));
        }
        let speaking = ours.try_clone()?;
        let zygote = &self.zygote;
        let Some(slot) = self.slots.get_mut((key.worker as usize).wrapping_sub(1)) else {
            return Ok(());
        };
        let occupant = slot.at_mut(key.side);
        occupant.life += 1;
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
