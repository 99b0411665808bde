//! How a vassal is: words for it.

use uwgate_supervisor::{Exit, Millis};

/// Whether it is to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A source names it.
    Wanted,
    /// None does, or all is to end.
    Unwanted,
    /// The operator has stopped it.
    Held,
    /// It has left by itself and stays away until its configuration is touched.
    Exiled,
}

/// How it is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No process, and none is to be.
    Stopped,
    /// No process until somebody connects.
    OnDemand,
    /// No process for a while: it failed.
    Throttled,
    /// A process that does not accept requests yet.
    Starting,
    /// It accepts requests.
    Running,
    /// It was told to reload and has not said anything since.
    Reloading,
    /// A process on its way out.
    Stopping,
}

/// How a process ended that was not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// It ended so.
    Exited(Exit),
    /// It could not be started at all.
    NotStarted(String),
    /// It was killed for its silence.
    NoHeartbeat,
    /// It was killed as it did not listen any more.
    Deaf,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(exit) => exit.fmt(f),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::NoHeartbeat => f.write_str("killed: it sent no heartbeat"),
            Self::Deaf => f.write_str("killed: it did not listen any more"),
        }
    }
}

/// What was heard from the process that lives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Its master is there, since.
    pub ready: Option<Millis>,
    /// It accepts requests, since.
    pub accepting: Option<Millis>,
    /// It has served, since.
    pub loyal: Option<Millis>,
    /// Its last sign of life.
    pub heartbeat: Option<Millis>,
    /// It can hear and say nothing any more, since.
    pub(super) mute: Option<Millis>,
    /// It is not in touch with this emperor yet, since.
    pub(super) away: Option<Millis>,
    /// Told to reload, and nothing was heard since.
    pub(super) reloading: bool,
}
