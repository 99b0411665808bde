//! `uwgate ctl`: an operator looks at the vassals of a running emperor and tells them what to do.
//!
//! The [`protocol`] is what both sides say, one JSON text a line over a unix socket; whoever wants to write a program
//! against an emperor may speak it too (docs/emperor.md). The rest is the operator's side: [`command`] names what can
//! be asked, [`client`] asks, [`show`] draws the answers.
#![forbid(unsafe_code)]

mod client;
mod command;
mod complete;
pub mod protocol;
mod run;
mod show;

pub use self::complete::{is_completing, print_completions};
pub use self::run::run;
