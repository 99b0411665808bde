//! Programs beside the workers: `attach-daemon` and its relatives.

use std::path::PathBuf;

use crate::origin::Located;

/// Programs that run beside the workers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Daemons {
    /// All of them, in order.
    pub attached: Vec<Located<Daemon>>,
    /// They read the instance's standard input instead of nothing.
    pub daemons_honour_stdin: bool,
}

/// One program that runs beside the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// A line for the shell.
    pub command: String,
    /// Where its pid stands. Such a program outlives reloads and the instance.
    pub pidfile: Option<PathBuf>,
    /// It goes to the background and writes the pidfile itself.
    pub goes_to_background: bool,
    /// Seconds between two looks at the pidfile.
    pub freq: u32,
    /// Its end is the end of the instance.
    pub control: bool,
    /// Files whose touch starts it anew.
    pub touch: Vec<PathBuf>,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// The signal it gets at a reload instead of being started anew.
    pub reload_signal: Option<i32>,
    /// Where it runs; without it, where the app does.
    pub chdir: Option<PathBuf>,
    /// The longest wait in seconds before it is started again.
    pub max_throttle: u32,
    /// It reads the instance's standard input.
    pub stdin: bool,
}
