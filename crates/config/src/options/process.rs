//! Privileges, signals, names: what the processes are to the system.

use std::path::PathBuf;

use crate::origin::Located;

/// Privileges and signals.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Process {
    /// User to become, name or number; resolved when privileges are dropped.
    pub uid: Option<Located<String>>,
    /// Group to become, name or number; resolved when privileges are dropped.
    pub gid: Option<Located<String>>,
    /// Groups to be in beside those of the user; resolved with them.
    pub add_gid: Vec<Located<String>>,
    /// Capabilities to keep beyond the change of user, by name or number; resolved with it.
    pub cap: Vec<Located<String>>,
    /// Mode bits that new files do not get.
    pub umask: Option<u32>,
    /// Nice value of the whole instance.
    pub prio: Option<i32>,
    /// How many CPUs each worker is bound to; 0 binds none.
    pub cpu_affinity: u32,
    /// SIGTERM stops (it does so here in any case).
    pub die_on_term: bool,
    /// What `ps` shows.
    pub titles: Titles,
    /// File that takes the log of an instance in the background.
    pub daemonize: Option<Located<PathBuf>>,
    /// The same, but it goes to the background only once it serves.
    pub daemonize2: Option<Located<PathBuf>>,
}

/// What `ps` shows of an instance's processes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Titles {
    /// Each process by its part: `uWSGI worker 1`. The options below imply it.
    pub auto_procname: bool,
    /// The title of all processes.
    pub procname: Option<Located<String>>,
    /// The title of the master.
    pub procname_master: Option<Located<String>>,
    /// Text in front of every title, a blank included if there is to be one.
    pub procname_prefix: Option<String>,
    /// Text behind every title.
    pub procname_append: Option<String>,
}
