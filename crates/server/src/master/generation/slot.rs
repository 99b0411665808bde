//! A worker's place: the process that serves, and for a while a second one, its successor or its predecessor.

use std::time::Duration;

use uwgate_config::Options;
use uwgate_supervisor::{Child, Policy, Status, Throttle};
use uwgate_sys::channel::Channel;
use uwgate_sys::clock::{Millis, coarse_now};

use crate::message::ToWorker;
use crate::scoreboard::Side;

/// A worker's place, whoever fills it.
pub(super) struct Slot {
    /// One for each row of the scoreboard.
    occupants: [Occupant; 2],
    /// Which of them serves, or will.
    current: Side,
    /// Somebody is to fill it: not sent home for want of work.
    pub(super) wanted: bool,
    /// When it was last said that somebody is to fill it.
    pub(super) asked: Millis,
    /// What is happening to the other one.
    pub(super) handover: Handover,
}

/// Whether the place changes hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handover {
    /// It does not. The other process, if there is one, is on its way out.
    None,
    /// The other process is the successor, not ready yet.
    Rising(Manner),
    /// A successor is wanted as soon as the predecessor of the current process has gone.
    Wanted(Manner),
}

/// How much patience there is with a process that has a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::master) enum Manner {
    /// It finishes what it has.
    Graceful,
    /// It is killed.
    Brutal,
}

/// One process of a slot, or none.
pub(super) struct Occupant {
    pub(super) child: Child,
    pub(super) channel: Option<Channel>,
    /// Counts the processes: an end of file may be heard after the next one was started.
    pub(super) life: u64,
    /// A process was asked for and has not said its name yet.
    pub(super) awaited: bool,
    /// When the process was started.
    pub(super) born: Millis,
    /// What those before it in the same row have begun: it may serve before the master hears of it.
    pub(super) requests_before: u64,
    /// It is being replaced because it has done enough.
    pub(super) is_done: bool,
    /// What a graceful stop means for it.
    pub(super) farewell: ToWorker,
    /// It has given up a request, and goes by itself.
    pub(super) gave_up: bool,
}

/// A worker that has served may die a few times at no cost; one that cannot even start is tried ever more slowly.
const THROTTLE: Throttle = Throttle {
    base: Duration::from_millis(250),
    factor: 2.0,
    cap: Duration::from_secs(5),
    free: 10,
    stable: Duration::from_secs(5),
};

/// How worker processes are treated.
pub(super) fn policy(options: &Options) -> Policy {
    let throttle = match options.recycling.forkbomb_delay {
        None => THROTTLE,
        Some(seconds) => Throttle {
            base: Duration::from_secs(seconds.into()),
            factor: 1.0,
            cap: Duration::from_secs(seconds.into()),
            ..THROTTLE
        },
    };
    Policy {
        throttle,
        mercy: Duration::from_secs(options.control.worker_reload_mercy.into()),
        ..Policy::default()
    }
}

impl Slot {
    pub(super) fn new(policy: Policy, wanted: bool) -> Self {
        Self {
            occupants: [Occupant::new(policy), Occupant::new(policy)],
            current: Side::First,
            wanted,
            asked: coarse_now(),
            handover: Handover::None,
        }
    }

    /// Which row the process that serves writes.
    pub(super) fn current_side(&self) -> Side {
        self.current
    }

    pub(super) fn current(&self) -> &Occupant {
        self.at(self.current)
    }

    pub(super) fn other(&self) -> &Occupant {
        self.at(self.current.other())
    }

    pub(super) fn at(&self, side: Side) -> &Occupant {
        let [first, second] = &self.occupants;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }

    pub(super) fn at_mut(&mut self, side: Side) -> &mut Occupant {
        let [first, second] = &mut self.occupants;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }

    pub(super) fn occupants(&self) -> &[Occupant; 2] {
        &self.occupants
    }

    pub(super) fn occupants_mut(&mut self) -> &mut [Occupant; 2] {
        &mut self.occupants
    }

    /// The successor takes over.
    pub(super) fn swap(&mut self) {
        self.current = self.current.other();
        self.handover = Handover::None;
    }

    /// Whether there is no process and none on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.occupants.iter().all(Occupant::is_empty)
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let deadlines = self.occupants.iter().filter_map(|it| it.child.deadline());
        deadlines.min()
    }
}

impl Occupant {
    fn new(policy: Policy) -> Self {
        Self {
            child: Child::new(policy),
            channel: None,
            life: 0,
            awaited: false,
            born: Millis(0),
            requests_before: 0,
            is_done: false,
            farewell: ToWorker::Drain,
            gave_up: false,
        }
    }

    /// Whether there is no process and none on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.child.status() == Status::Idle && !self.awaited
    }
}
