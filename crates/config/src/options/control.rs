//! The operator's ways in: signals, pipes, touched files, pidfiles.

use std::path::PathBuf;

use crate::origin::Located;

/// How an operator reaches the running instance, and what makes it reload.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Gets the pid before privileges are dropped.
    pub pidfile: Option<Located<PathBuf>>,
    /// Gets the pid after privileges are dropped.
    pub pidfile2: Option<Located<PathBuf>>,
    /// Gets the pid when the workers are ready.
    pub safe_pidfile: Option<Located<PathBuf>>,
    /// Gets the pid when the workers are ready.
    pub safe_pidfile2: Option<Located<PathBuf>>,
    /// Named pipes for commands; the first is read until a digit chooses another.
    pub master_fifo: Vec<Located<PathBuf>>,
    /// Touched: reload.
    pub touch_reload: Vec<Located<PathBuf>>,
    /// Touched: replace the workers.
    pub touch_workers_reload: Vec<Located<PathBuf>>,
    /// Touched: replace the workers one by one.
    pub touch_chain_reload: Vec<Located<PathBuf>>,
    /// Touched: reopen the logs.
    pub touch_logreopen: Vec<Located<PathBuf>>,
    /// Touched: rotate the logs.
    pub touch_logrotate: Vec<Located<PathBuf>>,
    /// Files and directories whose change reloads.
    pub fs_reload: Vec<Located<PathBuf>>,
    /// Files and directories whose change reloads brutally.
    pub fs_brutal_reload: Vec<Located<PathBuf>>,
    /// A reload is an end instead.
    pub exit_on_reload: bool,
    /// Seconds between two looks at the files of the imported modules; 0 is never.
    pub py_autoreload: u32,
    /// Modules that `py_autoreload` leaves out.
    pub py_auto_reload_ignore: Vec<Located<String>>,
    /// Seconds a worker may take to leave in good order.
    pub worker_reload_mercy: u32,
    /// Seconds that SIGINT, SIGQUIT and brutal reloads leave to running requests.
    pub reload_mercy: u32,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            pidfile: None,
            pidfile2: None,
            safe_pidfile: None,
            safe_pidfile2: None,
            master_fifo: Vec::new(),
            touch_reload: Vec::new(),
            touch_workers_reload: Vec::new(),
            touch_chain_reload: Vec::new(),
            touch_logreopen: Vec::new(),
            touch_logrotate: Vec::new(),
            fs_reload: Vec::new(),
            fs_brutal_reload: Vec::new(),
            exit_on_reload: false,
            py_autoreload: 0,
            py_auto_reload_ignore: Vec::new(),
            worker_reload_mercy: 60,
            reload_mercy: 2,
        }
    }
}

/// What a signal to the master means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalAction {
    /// Finish what there is, then end.
    Stop,
    /// End within seconds.
    Kill,
    /// Reload.
    Reload,
    /// Reload without waiting for requests.
    BrutalReload,
    /// Counters to the log.
    LogStats,
}
