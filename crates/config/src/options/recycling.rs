//! When a worker is replaced, and what it may use.

use crate::origin::Located;

/// When a worker is replaced, and what it may use. Zero is never, or no limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Recycling {
    /// Requests of one worker process.
    pub max_requests: u32,
    /// So many more for each worker after the first.
    pub max_requests_delta: u32,
    /// Seconds before which a worker is not replaced for its requests or its memory.
    pub min_worker_lifetime: u32,
    /// Seconds after which it is.
    pub max_worker_lifetime: u32,
    /// So many more for each worker after the first.
    pub max_worker_lifetime_delta: u32,
    /// MiB of resident memory above which it is replaced.
    pub reload_on_rss: u32,
    /// MiB of address space above which it is replaced.
    pub reload_on_as: u32,
    /// MiB of resident memory above which it is killed.
    pub evil_reload_on_rss: u32,
    /// MiB of address space above which it is killed.
    pub evil_reload_on_as: u32,
    /// Replaced after any exception of the application.
    pub reload_on_exception: bool,
    /// Classes of exceptions after which it is replaced.
    pub reload_on_exception_type: Vec<Located<String>>,
    /// Messages of exceptions after which it is replaced.
    pub reload_on_exception_value: Vec<Located<String>>,
    /// Both, with a colon between.
    pub reload_on_exception_repr: Vec<Located<String>>,
    /// MiB of `RLIMIT_AS`.
    pub limit_as: u32,
    /// `RLIMIT_NPROC`.
    pub limit_nproc: u32,
    /// Seconds to wait before a worker that dies too fast is started again.
    pub forkbomb_delay: Option<u32>,
}

impl Default for Recycling {
    fn default() -> Self {
        Self {
            max_requests: 0,
            max_requests_delta: 0,
            min_worker_lifetime: 10,
            max_worker_lifetime: 0,
            max_worker_lifetime_delta: 0,
            reload_on_rss: 0,
            reload_on_as: 0,
            evil_reload_on_rss: 0,
            evil_reload_on_as: 0,
            reload_on_exception: false,
            reload_on_exception_type: Vec::new(),
            reload_on_exception_value: Vec::new(),
            reload_on_exception_repr: Vec::new(),
            limit_as: 0,
            limit_nproc: 0,
            forkbomb_delay: None,
        }
    }
}
