//! What a generation is for, and what its happenings mean for the master.

use uwgate_sys::process::Exit;

use crate::scoreboard::{Row, Side};
use crate::zygote::End;

/// Where a worker process belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::master) struct Key {
    pub(in crate::master) generation: u64,
    pub(in crate::master) worker: u32,
    pub(in crate::master) side: Side,
}

impl Key {
    pub(super) fn row(self) -> Row {
        Row {
            worker: self.worker,
            side: self.side,
        }
    }
}

/// What a generation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::master) enum Standing {
    /// Not all of its workers are ready yet.
    Rising,
    Serving,
    /// Its workers finish what they have.
    Leaving,
}

/// What the master has to do after a generation has handled something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::master) enum Change {
    Nothing,
    /// All of its workers are ready.
    Risen,
    /// It will never be ready.
    Failed(Fault),
}

impl Change {
    /// The first change counts: a generation fails or rises once.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            Self::Risen | Self::Failed(_) => self,
        }
    }
}

/// Why a generation will never be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::master) enum Fault {
    /// One of its processes ended by itself: this would be the exit code of an instance that has nothing else.
    Ended(i32),
    /// One was killed. Nothing is known against the code.
    Killed,
}

impl From<Exit> for Fault {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(0) => Self::Ended(End::Failed.code()),
            Exit::Code(code) => Self::Ended(code),
            Exit::Signal { .. } | Exit::Unseen => Self::Killed,
        }
    }
}
