use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use uwgate_config::{Entry, Options};
use uwgate_server::inherit::Inherited;
use uwgate_server::scoreboard::{Core, Row, Scoreboard};
use uwgate_sys::clock;
use uwgate_sys::process::{self, Pid};
use uwgate_sys::record_locks::RecordLocks;

/// What the module knows of the instance and of this process's part in it.
pub(crate) struct Instance {
    pub(crate) options: Arc<Options>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) scoreboard: Scoreboard,
    pub(crate) locks: Arc<RecordLocks>,
    /// `None` without one.
    pub(crate) master: Option<Pid>,
    /// The listening sockets.
    pub(crate) sockets: Vec<RawFd>,
    /// When this generation was started, in seconds since 1970.
    pub(crate) started_on: u64,
    /// Not there yet in the zygote.
    row: OnceLock<Row>,
    apps: OnceLock<Vec<App>>,
}

/// A loaded application, for `workers()`.
pub(crate) struct App {
    pub(crate) mountpoint: String,
    /// The callable's address.
    pub(crate) callable: usize,
}

impl Instance {
    pub(super) fn new(inherited: &Inherited) -> Self {
        let sockets = inherited.listeners.iter();
        Self {
            options: Arc::clone(&inherited.options),
            entries: inherited.entries.clone(),
            scoreboard: inherited.scoreboard.clone(),
            locks: Arc::clone(&inherited.locks),
            master: match inherited.master {
                Some(_) => process::parent(),
                None => None,
            },
            sockets: sockets.map(|it| it.listener.fd.as_raw_fd()).collect(),
            started_on: clock::realtime_micros() / 1_000_000,
            row: OnceLock::new(),
            apps: OnceLock::new(),
        }
    }

    /// Notes that this process is a worker.
    pub(crate) fn become_worker(&self, row: Row) {
        let _ = self.row.set(row);
    }

    /// Notes which applications there are.
    pub(crate) fn serve<'a>(&self, apps: impl Iterator<Item = (&'a str, &'a Py<PyAny>)>) {
        let apps = apps.map(|(mountpoint, callable)| App {
            mountpoint: mountpoint.to_owned(),
            callable: callable.as_ptr() as usize,
        });
        let _ = self.apps.set(apps.collect());
    }

    /// Tells whoever asks for statistics how long each application took to load, in seconds.
    pub(crate) fn tell_startup_times(&self, times: impl Iterator<Item = u64>) {
        for (app, seconds) in (0..).zip(times) {
            if let Some(tally) = self.scoreboard.tally(self.worker(), app) {
                tally.startup.store(seconds, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn apps(&self) -> &[App] {
        self.apps.get().map_or(&[], Vec::as_slice)
    }

    /// `None` in the zygote.
    pub(crate) fn row(&self) -> Option<Row> {
        self.row.get().copied()
    }

    /// The worker's number; 0 in the zygote.
    pub(crate) fn worker(&self) -> u32 {
        self.row().map_or(0, |row| row.worker)
    }

    /// Whom to signal when something is wanted of the instance: this process itself without a master.
    pub(crate) fn in_charge(&self) -> Pid {
        self.master.unwrap_or_else(process::this)
    }
}

/// Requests that these cores have finished: uWSGI counts a request when it is over.
pub(super) fn finished<'c>(cores: impl IntoIterator<Item = &'c Core>) -> u64 {
    let requests = |core: &Core| {
        let busy = core.busy_since.load(Ordering::Relaxed) != 0;
        core.requests
            .load(Ordering::Relaxed)
            .saturating_sub(u64::from(busy))
    };
    cores.into_iter().map(requests).sum()
}
