//! What a child wants done and known.

use std::time::Duration;

use uwgate_sys::process::{Exit, Pid};

#[cfg(doc)]
use crate::Event;
use crate::policy::Verdict;

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the process, then say [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn,
    /// Ask this live process to end.
    Signal(Pid, StopKind),
    /// Tell the operator.
    Report(Report),
    /// It is over until the next [`Event::Start`]. How the last life ended; `None` when there was none.
    Finished(Option<Exit>),
}

/// How to ask a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// Finish the work at hand, then end. The shell knows the means: a message, a signal, a byte in a pipe.
    Graceful,
    /// SIGKILL.
    Kill,
}

/// What an operator may want to read in the log. Durations are since the moment each name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It runs; not ready yet.
    Spawned {
        /// The process.
        pid: Pid,
    },
    /// It could not be started.
    SpawnFailed,
    /// It is ready to work.
    Ready {
        /// The process.
        pid: Pid,
        /// Since it was spawned.
        after: Duration,
    },
    /// It did not become ready in time, and is killed.
    StartTimeout {
        /// The process.
        pid: Pid,
        /// Since it was spawned.
        after: Duration,
    },
    /// It ended and nobody had asked it to.
    Died {
        /// The process.
        pid: Pid,
        /// How.
        exit: Exit,
        /// What that means.
        verdict: Verdict,
        /// Whether it had been ready.
        was_ready: bool,
        /// Since it was spawned.
        lived: Duration,
    },
    /// It is started again now.
    Respawning,
    /// It dies too fast: it is started again later.
    Throttled {
        /// From now.
        wait: Duration,
        /// Short lives in a row.
        strikes: u32,
    },
    /// It did not stop in time, and is killed.
    Mercy {
        /// The process.
        pid: Pid,
        /// Since it was asked to stop.
        after: Duration,
    },
    /// It ended as it was asked to.
    Buried {
        /// The process.
        pid: Pid,
        /// How.
        exit: Exit,
        /// Since it was asked to stop.
        after: Duration,
    },
}
