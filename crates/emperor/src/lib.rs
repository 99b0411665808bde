//! The emperor: many instances (vassals) under one process, each with a configuration of its own.
//!
//! In the order in which a vassal meets it:
//! - [`source`]: where vassals come from. Each source says which there are to be ([`spec`]).
//! - [`reconcile`]: what there is to be against what there is. Pure: events and the time in, orders out.
//! - `vassal`: carries orders out. Starts processes, talks with them, reads what they print.
//! - `emperor`: the loop between them; [`snapshot`], `stats` and `control` show what it knows.
//!
//! A vassal is any program that understands uWSGI's bytes on `UWSGI_EMPEROR_FD`: ours, or a real uWSGI.
#![forbid(unsafe_code)]

mod commands;
mod control;
mod emperor;
mod happenings;
mod heritage;
mod kept;
mod listen;
mod race;
pub mod reconcile;
mod snapshot;
pub mod source;
pub mod spec;
mod start;
mod stats;
mod upgrade;
mod vassal;

pub use self::heritage::Heritage;
pub use self::snapshot::{Snapshot, VassalView};
pub use self::start::{is_asked, run};
pub use self::upgrade::{SUCCESSION, try_to_succeed};
pub use self::vassal::{LAUNCH, launch};
