//! The hot state of an instance in shared memory: one cache line a core, one writer each, read by whoever wants to
//! know (stats, harakiri, cheaper). The hot path sends no messages.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uwgate_sys::memory::SharedSlice;

use crate::connection::Outcome;

uwgate_sys::shared_struct! {
    /// What one thread of one worker is doing and has done. Counters outlive the worker: its successor goes on.
    pub struct Core {
        /// Requests begun.
        pub requests: AtomicU64,
        /// Requests whose application raised.
        pub exceptions: AtomicU64,
        /// Requests whose answer the peer did not take.
        pub write_errors: AtomicU64,
        /// Bytes of answers.
        pub sent: AtomicU64,
        /// Microseconds spent in requests.
        pub running: AtomicU64,
        /// When the current request began, in milliseconds of the monotonic clock; 0 between requests.
        pub busy_since: AtomicU64,
        /// Open connections of the worker; kept on the line of its first core.
        pub connections: AtomicU64,
        /// 1 while the worker takes new connections; on the line of its first core.
        pub accepting: AtomicU64,
    }
}

impl Core {
    pub(crate) fn begin(&self) {
        add(&self.requests, 1);
        let now = uwgate_sys::clock::coarse_now().0;
        self.busy_since.store(now, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, micros: u64, outcome: &Outcome) {
        self.busy_since.store(0, Ordering::Relaxed);
        add(&self.running, micros);
        add(&self.sent, outcome.sent);
        add(&self.exceptions, u64::from(outcome.raised));
        add(&self.write_errors, u64::from(outcome.write_error));
    }
}

/// There is one writer, so no locked instruction is needed.
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// The cores of all workers: `workers` times `cores` lines.
#[derive(Debug, Clone)]
pub struct Scoreboard {
    lines: Arc<SharedSlice<Core>>,
    cores: usize,
}

impl Scoreboard {
    /// New shared memory, all zero, for the master to make.
    ///
    /// # Errors
    /// What the kernel says about memory and descriptors.
    pub fn create(workers: usize, cores: usize) -> io::Result<Self> {
        let lines = SharedSlice::create(workers.max(1) * cores.max(1))?;
        Ok(Self {
            lines: Arc::new(lines),
            cores: cores.max(1),
        })
    }

    /// The scoreboard behind an inherited descriptor.
    ///
    /// # Errors
    /// `InvalidData` when it is not of this size.
    pub fn attach(fd: OwnedFd, workers: usize, cores: usize) -> io::Result<Self> {
        let lines = SharedSlice::attach(fd, workers.max(1) * cores.max(1))?;
        Ok(Self {
            lines: Arc::new(lines),
            cores: cores.max(1),
        })
    }

    /// For handing it to a child.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.lines.fd()
    }

    /// The line of a core of worker `worker` (from 1).
    ///
    /// # Panics
    /// When there is no such worker or core: both numbers are ours.
    pub fn core(&self, worker: u32, core: usize) -> &Core {
        &self.lines[self.first(worker) + core]
    }

    /// The lines of all cores of a worker.
    pub fn worker(&self, worker: u32) -> &[Core] {
        let first = self.first(worker);
        self.lines
            .get(first..first + self.cores)
            .unwrap_or_default()
    }

    /// Requests that the worker has begun.
    pub fn worker_requests(&self, worker: u32) -> u64 {
        sum(self.worker(worker))
    }

    /// Requests that the instance has begun.
    pub fn total_requests(&self) -> u64 {
        sum(&self.lines)
    }

    /// Says how many connections a worker has.
    pub(crate) fn set_connections(&self, worker: u32, open: usize) {
        self.core(worker, 0)
            .connections
            .store(open as u64, Ordering::Relaxed);
    }

    /// Says whether a worker takes connections.
    pub(crate) fn set_accepting(&self, worker: u32, accepting: bool) {
        self.core(worker, 0)
            .accepting
            .store(accepting.into(), Ordering::Relaxed);
    }

    /// The fewest connections that another worker has which takes new ones and has a core free; `None` when there is
    /// no such worker.
    pub(crate) fn least_loaded_sibling(&self, worker: u32) -> Option<u64> {
        let workers = self.lines.chunks(self.cores).enumerate();
        let siblings = workers.filter(|(at, _)| *at != worker.max(1) as usize - 1);
        let free = siblings.filter_map(|(_, cores)| {
            let first = cores.first()?;
            let accepting = first.accepting.load(Ordering::Relaxed) == 1;
            let free = cores
                .iter()
                .any(|core| core.busy_since.load(Ordering::Relaxed) == 0);
            (accepting && free).then(|| first.connections.load(Ordering::Relaxed))
        });
        free.min()
    }

    fn first(&self, worker: u32) -> usize {
        (worker.max(1) as usize - 1) * self.cores
    }
}

fn sum(cores: &[Core]) -> u64 {
    let requests = |core: &Core| core.requests.load(Ordering::Relaxed);
    cores.iter().map(requests).sum()
}
