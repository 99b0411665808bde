//! The typed configuration: what an instance is told to do, one section per consumer.
//!
//! A field carries its option's name with `_` for `-`. A consumer takes its section apart without `..`, so that
//! the compiler names every option that nobody reads. What can still fail later (a path, a user) is [`Located`].

mod cheaper;
mod control;
mod daemons;
mod emperor;
mod harakiri;
mod hooks;
mod http;
mod limits;
mod log;
mod process;
mod python;
mod recycling;
mod sockets;
mod stats;
mod vassals;
mod workers;

use std::path::{Path, PathBuf};

pub use self::cheaper::{Cheaper, CheaperAlgo};
pub use self::control::{Control, SignalAction};
pub use self::daemons::{Daemon, Daemons};
pub use self::emperor::Emperor;
pub use self::harakiri::Harakiri;
pub use self::hooks::{Action, Awaited, Hook, Hooks, Phase};
pub use self::http::Http;
pub use self::limits::Limits;
pub use self::log::{Log, LogDate};
pub use self::process::{Process, Titles};
pub use self::python::{EnvChange, Mount, Python};
pub use self::recycling::Recycling;
pub use self::sockets::{Ownership, Sockets};
pub use self::stats::Stats;
pub use self::vassals::{GroupSetting, ResourceLimit, Vassals};
pub use self::workers::Workers;
pub use crate::log_format::{LogFormat, Piece, Place, VARIABLES, Value, Variable};
pub use crate::log_target::{Change, Encoder, LogTo, Logger, Route, Sink, Template, TemplatePiece};

/// Every option that this program acts on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Where the instance listens.
    pub sockets: Sockets,
    /// Processes and threads.
    pub workers: Workers,
    /// How many workers run.
    pub cheaper: Cheaper,
    /// When a worker is replaced, and what it may use.
    pub recycling: Recycling,
    /// The interpreter and the applications in it.
    pub python: Python,
    /// Privileges and signals.
    pub process: Process,
    /// How an operator reaches the running instance.
    pub control: Control,
    /// What is done at its turning points.
    pub hooks: Hooks,
    /// Programs that run beside the workers.
    pub daemons: Daemons,
    /// Log destinations.
    pub log: Log,
    /// Bounds on a request.
    pub limits: Limits,
    /// Requests that take too long.
    pub harakiri: Harakiri,
    /// The HTTP side of `http-socket`.
    pub http: Http,
    /// What the instance tells about itself.
    pub stats: Stats,
    /// Other instances that this one looks after.
    pub emperor: Emperor,
    /// What is done with each of them.
    pub vassals: Vassals,
}

impl Options {
    /// Where `path` is for everything that happens after `chdir`.
    pub fn in_chdir(&self, path: &Path) -> PathBuf {
        match &self.python.chdir {
            Some(chdir) => chdir.join(path),
            None => path.to_owned(),
        }
    }
}
