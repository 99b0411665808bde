//! What a child is told.

use uwgate_sys::process::{Exit, Pid};

#[cfg(doc)]
use crate::Action;

/// What happened to the child, or what is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is wanted. While it waits out a throttle: try again now, all is forgiven. While it stops: come back after.
    Start,
    /// It is not wanted any more: graceful stop, SIGKILL after the mercy.
    Stop,
    /// It is not wanted any more: SIGKILL at once.
    Kill,
    /// It is wanted, but fresh: graceful stop (or SIGKILL after the mercy), then start without waiting.
    /// A child that is being stopped for good stays so.
    Restart,
    /// It misbehaves (harakiri, memory): SIGKILL at once, then whatever an unexpected death brings.
    Abort,
    /// Answer to [`Action::Spawn`]: it lives.
    Spawned(Pid),
    /// Answer to [`Action::Spawn`]: it could not be started.
    SpawnFailed,
    /// It has started up and does its work.
    Ready,
    /// It was reaped.
    Exited(Exit),
}
