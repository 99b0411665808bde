//! The processes and threads that serve.

/// Processes and threads that serve requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Workers {
    /// How many workers; 0 means a master that serves nothing.
    pub processes: u32,
    /// Threads of each worker, each taking requests; 0 is read as 1.
    pub threads: u32,
    /// The app may start threads of its own (always possible here).
    pub enable_threads: bool,
    /// A supervising process; switched on by every option that needs one.
    pub master: bool,
    /// Every worker imports the app itself, after the fork.
    pub lazy_apps: bool,
    /// uWSGI's older form of `lazy-apps`.
    pub lazy: bool,
    /// Without any app the instance ends (exit code 22).
    pub need_app: bool,
    /// Locks of `uwsgi.lock()` beside the first one.
    pub locks: u32,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            processes: 1,
            threads: 1,
            enable_threads: true,
            master: false,
            lazy_apps: false,
            lazy: false,
            need_app: false,
            locks: 0,
        }
    }
}
