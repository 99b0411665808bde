//! Requests that take too long.

/// What becomes of requests that take too long.
#[derive(Clone, Debug, PartialEq)]
pub struct Harakiri {
    /// Seconds from the application's call to its end; 0 is no limit.
    pub harakiri: u32,
    /// Also log what the kernel knows about the stuck thread, and what the other threads are doing.
    pub harakiri_verbose: bool,
    /// Seconds between a signal to the worker and its end; 0 is no signal.
    pub harakiri_graceful_timeout: u32,
    /// The number of that signal.
    pub harakiri_graceful_signal: u32,
    /// Only when so many connections wait in a listen queue; 0 is always.
    pub harakiri_queue_threshold: u32,
}

impl Default for Harakiri {
    fn default() -> Self {
        Self {
            harakiri: 0,
            harakiri_verbose: false,
            harakiri_graceful_timeout: 0,
            // SIGTERM
            harakiri_graceful_signal: 15,
            harakiri_queue_threshold: 0,
        }
    }
}
