//! The section about an emperor and its vassals.

use std::path::PathBuf;

use crate::address::Address;
use crate::origin::Located;

/// Other instances that this one looks after, and what it is to its own emperor.
#[derive(Clone, Debug, PartialEq)]
pub struct Emperor {
    /// Where vassals come from: directories, patterns, `SCHEME://` of others. None: this is no emperor.
    pub emperor: Vec<Located<String>>,
    /// Seconds between two looks where the kernel does not tell of changes.
    pub emperor_freq: u32,
    /// More endings of vassals' files.
    pub emperor_extra_extension: Vec<Located<String>>,
    /// The time of a link counts, not that of its target.
    pub emperor_nofollow: bool,
    /// Milliseconds before the first new start of a vassal that failed.
    pub emperor_throttle: u32,
    /// Most milliseconds.
    pub emperor_max_throttle: u32,
    /// The wait does not grow.
    pub emperor_no_blacklist: bool,
    /// Seconds of silence after which a vassal that has sent heartbeats is killed.
    pub emperor_required_heartbeat: u32,
    /// Seconds a vassal that does not listen may live.
    pub emperor_curse_tolerance: u32,
    /// Every end is graceful.
    pub emperor_graceful_shutdown: bool,
    /// Gets the emperor's pid.
    pub emperor_pidfile: Option<Located<PathBuf>>,
    /// Where the state is served.
    pub emperor_stats: Vec<Located<Address>>,
    /// Where `uwgate ctl` connects.
    pub emperor_control_socket: Option<Located<PathBuf>>,
    /// Where the emperor notes its vassals for the next one, and where they find that.
    pub emperor_keep_vassals: Option<Located<PathBuf>>,
    /// Behind the name of a vassal's file: the file that says on which socket it is started.
    pub emperor_on_demand_extension: Option<Located<String>>,
    /// Where each vassal has the socket on which it is started.
    pub emperor_on_demand_directory: Option<Located<PathBuf>>,
    /// Prints the socket on which a vassal is started.
    pub emperor_on_demand_exec: Option<Located<String>>,
    /// `NAME=VALUE` for every vassal.
    pub vassal_set: Vec<Located<String>>,
    /// Files that every vassal includes after its own.
    pub vassals_include: Vec<Located<PathBuf>>,
    /// Files that every vassal includes before its own.
    pub vassals_include_before: Vec<Located<PathBuf>>,
    /// Files that every vassal inherits after its own.
    pub vassals_inherit: Vec<Located<PathBuf>>,
    /// Files that every vassal inherits before its own.
    pub vassals_inherit_before: Vec<Located<PathBuf>>,
    /// The program that vassals are started with.
    pub emperor_wrapper: Option<Located<String>>,
    /// Programs that are tried before it.
    pub emperor_wrapper_override: Vec<Located<String>>,
    /// Programs that are tried after it.
    pub emperor_wrapper_fallback: Vec<Located<String>>,
    /// Vassals run as the owners of their files.
    pub emperor_tyrant: bool,
    /// With it, the owner of a link counts, and no link is followed.
    pub emperor_tyrant_nofollow: bool,
    /// Files that are executable are programs whose output is the configuration.
    pub emperor_magic_exec: bool,
    /// The emperor's title.
    pub emperor_procname: Option<Located<String>>,
    /// Run before each vassal starts.
    pub vassals_start_hook: Option<Located<String>>,
    /// Run after each vassal's end.
    pub vassals_stop_hook: Option<Located<String>>,
    /// Seconds between signs of life to the emperor of this instance; 0 is never.
    pub heartbeat: u32,
}

impl Default for Emperor {
    fn default() -> Self {
        Self {
            emperor: Vec::new(),
            emperor_freq: 3,
            emperor_extra_extension: Vec::new(),
            emperor_nofollow: false,
            emperor_throttle: 1000,
            emperor_max_throttle: 180_000,
            emperor_no_blacklist: false,
            emperor_required_heartbeat: 30,
            emperor_curse_tolerance: 30,
            emperor_graceful_shutdown: false,
            emperor_pidfile: None,
            emperor_stats: Vec::new(),
            emperor_control_socket: None,
            emperor_keep_vassals: None,
            emperor_on_demand_extension: None,
            emperor_on_demand_directory: None,
            emperor_on_demand_exec: None,
            vassal_set: Vec::new(),
            vassals_include: Vec::new(),
            vassals_include_before: Vec::new(),
            vassals_inherit: Vec::new(),
            vassals_inherit_before: Vec::new(),
            emperor_wrapper: None,
            emperor_wrapper_override: Vec::new(),
            emperor_wrapper_fallback: Vec::new(),
            emperor_tyrant: false,
            emperor_tyrant_nofollow: false,
            emperor_magic_exec: false,
            emperor_procname: None,
            vassals_start_hook: None,
            vassals_stop_hook: None,
            heartbeat: 0,
        }
    }
}
