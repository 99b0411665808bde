//! The life of one child process as a pure state machine: a worker, a zygote, a router, a daemon, a vassal.
//!
//! In scope: when to start it, when to start it again and how long to wait before, how to stop it and when to lose
//! patience. Out of scope: clocks, processes, logs. Those are the shell's, which follows this order:
//!
//! 1. [`Child::new`] with a [`Policy`], then [`Child::handle`] with [`Event::Start`];
//! 2. perform every returned [`Action`], in order, and tell what came of it by the next event;
//! 3. sleep until [`Child::deadline`] at the latest, then [`Child::handle_timer`];
//! 4. feed each reaped end as [`Event::Exited`] **before** performing any later signal.
//!
//! Two promises of the shell carry the rest: each [`Action::Spawn`] is answered by exactly one [`Event::Spawned`] or
//! [`Event::SpawnFailed`], and each spawned process by exactly one [`Event::Exited`]. Then there are never two live
//! processes in one slot, and no signal goes to a process that was reaped.
//!
//! Where processes are started by somebody else (a zygote), an end may be reaped before the start was heard of:
//! [`Roster`] holds it back until then.
#![forbid(unsafe_code)]

mod action;
pub mod cheaper;
mod child;
mod event;
mod policy;
pub mod recycling;
mod roster;

pub use action::{Action, Report, StopKind};
pub use child::{Child, Status};
pub use event::Event;
pub use policy::{Policy, Throttle, Verdict};
pub use roster::Roster;
pub use uwgate_sys::clock::Millis;
pub use uwgate_sys::process::{Exit, Pid};
