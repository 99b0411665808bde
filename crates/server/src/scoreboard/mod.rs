//! The hot state of a generation in shared memory: one line a core with one writer each, read by whoever wants to know
//! (stats, harakiri, cheaper, the `uwsgi` module). The hot path sends no messages.
//!
//! A worker's place has two rows of such lines. A process and its successor write different ones, so there is never a
//! second writer while both live; a row is never cleared, so a worker's total is the sum of both and only grows.

mod exhibit;
mod tally;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uwgate_sys::memory::SharedSlice;

pub use self::exhibit::Exhibit;
use self::tally::APPS;
pub use self::tally::Tally;
use crate::connection::Outcome;

uwgate_sys::shared_struct! {
    /// What one thread of one worker is doing and has done. Counters outlive the worker: its successors go on.
    pub struct Core {
        /// Requests begun.
        pub requests: AtomicU64,
        /// When the current request began, in milliseconds of the monotonic clock; 0 between requests.
        pub busy_since: AtomicU64,
        /// When the application wants the current request to end at the latest (`uwsgi.set_user_harakiri`), in
        /// milliseconds of the monotonic clock; 0 for no such wish.
        pub deadline: AtomicU64,
        /// Microseconds spent in requests.
        pub running: AtomicU64,
        /// Bytes of answers.
        pub sent: AtomicU64,
        /// Requests whose application raised.
        pub exceptions: AtomicU64,
        /// Requests whose answer the peer did not take.
        pub write_errors: AtomicU64,
        /// Requests whose body the peer did not send to its end.
        pub read_errors: AtomicU64,
        /// Open connections of the process; kept on the line of its first core.
        pub connections: AtomicU64,
        /// 1 while the process takes new connections; on the line of its first core.
        pub accepting: AtomicU64,
        /// 1 while the application says that it takes no requests (`uwsgi.accepting(False)`); on the line of the first
        /// core. It is shown, and changes nothing else, as in uWSGI.
        pub declining: AtomicU64,
        /// Microseconds of a request, as the moving average that uWSGI shows: each request counts as much as all
        /// before it.
        pub average: AtomicU64,
        /// Answers whose rest a slow reader got from the offload thread; on the line of the process's first core.
        pub offloaded: AtomicU64,
    }
}

uwgate_sys::shared_struct! {
    /// What the master knows of one worker; the master writes it.
    pub struct Seat {
        /// The process that serves; 0 while there is none.
        pub pid: AtomicU64,
        /// Which of the rows that process writes: a [`Side`].
        pub side: AtomicU64,
        /// When it was spawned, in seconds since 1970.
        pub last_spawn: AtomicU64,
        /// Processes that have filled the place, less the first.
        pub respawns: AtomicU64,
        /// Processes that were killed because a request took too long.
        pub harakiris: AtomicU64,
        /// Resident memory when last looked at, in bytes.
        pub rss: AtomicU64,
        /// Address space when last looked at, in bytes.
        pub vsz: AtomicU64,
        /// Requests in that row before the current process: what it has begun since is the delta.
        pub requests_before: AtomicU64,
        /// 1 when the worker was sent home for want of work (cheaper, idle).
        pub cheap: AtomicU64,
    }
}

/// One of the two rows of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Side {
    /// The first process's.
    First = 0,
    /// Its successor's.
    Second = 1,
}

impl Side {
    /// The row of the other process.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::First),
            1 => Some(Self::Second),
            _ => None,
        }
    }
}

/// The row that one process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The worker's number, from 1.
    pub worker: u32,
    /// Which of its two.
    pub side: Side,
}

impl Row {
    fn index(self) -> usize {
        (self.worker.max(1) as usize - 1) * 2 + self.side as usize
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
        let average = self.average.load(Ordering::Relaxed);
        let average = if average == 0 {
            micros
        } else {
            (average + micros) / 2
        };
        self.average.store(average, Ordering::Relaxed);
        add(&self.sent, outcome.sent);
        add(&self.exceptions, u64::from(outcome.raised));
        add(&self.write_errors, u64::from(outcome.write_error));
        add(&self.read_errors, u64::from(outcome.read_error));
    }
}

/// There is one writer, so no locked instruction is needed.
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// The rows of all workers (`workers` times 2 times `cores` lines) and their seats.
#[derive(Debug, Clone)]
pub struct Scoreboard {
    lines: Arc<SharedSlice<Core>>,
    seats: Arc<SharedSlice<Seat>>,
    tallies: Arc<SharedSlice<Tally>>,
    exhibits: Option<Arc<SharedSlice<Exhibit>>>,
    cores: usize,
}

/// The descriptors behind a [`Scoreboard`], for another process.
#[derive(Debug)]
pub struct Memory {
    /// The lines.
    pub lines: OwnedFd,
    /// The seats.
    pub seats: OwnedFd,
    /// The tallies of the applications.
    pub tallies: OwnedFd,
    /// The blocks of requests in flight, where they are shown.
    pub exhibits: Option<OwnedFd>,
}

impl Scoreboard {
    /// New shared memory, all zero, for the master to make; `exhibits`: requests in flight are to be seen in it.
    ///
    /// # Errors
    /// What the kernel says about memory and descriptors.
    pub fn create(workers: usize, cores: usize, exhibits: bool) -> io::Result<Self> {
        let (workers, cores) = (workers.max(1), cores.max(1));
        let exhibits = exhibits.then(|| SharedSlice::create(workers * 2 * cores));
        Ok(Self {
            exhibits: exhibits.transpose()?.map(Arc::new),
            lines: Arc::new(SharedSlice::create(workers * 2 * cores)?),
            seats: Arc::new(SharedSlice::create(workers)?),
            tallies: Arc::new(SharedSlice::create(workers * APPS)?),
            cores,
        })
    }

    /// The scoreboard behind inherited descriptors.
    ///
    /// # Errors
    /// `InvalidData` when it is not of this size.
    pub fn attach(memory: Memory, workers: usize, cores: usize) -> io::Result<Self> {
        let (workers, cores) = (workers.max(1), cores.max(1));
        let exhibits = memory.exhibits;
        let exhibits = exhibits.map(|fd| SharedSlice::attach(fd, workers * 2 * cores));
        Ok(Self {
            exhibits: exhibits.transpose()?.map(Arc::new),
            lines: Arc::new(SharedSlice::attach(memory.lines, workers * 2 * cores)?),
            seats: Arc::new(SharedSlice::attach(memory.seats, workers)?),
            tallies: Arc::new(SharedSlice::attach(memory.tallies, workers * APPS)?),
            cores,
        })
    }

    /// For handing it to a child.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn share(&self) -> io::Result<Memory> {
        let clone = |fd: BorrowedFd<'_>| fd.as_fd().try_clone_to_owned();
        Ok(Memory {
            lines: clone(self.lines.fd())?,
            seats: clone(self.seats.fd())?,
            tallies: clone(self.tallies.fd())?,
            exhibits: match &self.exhibits {
                Some(exhibits) => Some(clone(exhibits.fd())?),
                None => None,
            },
        })
    }

    /// What a program must call its figures as well to read these.
    pub(crate) fn layout() -> String {
        format!("{}/{}/{}", Core::LAYOUT, Seat::LAYOUT, Tally::LAYOUT)
    }

    /// How many cores each process has.
    pub(crate) fn cores(&self) -> usize {
        self.cores
    }

    /// How many workers have a place.
    pub fn workers(&self) -> u32 {
        u32::try_from(self.seats.len()).unwrap_or(u32::MAX)
    }

    /// The line of a core of a process.
    ///
    /// # Panics
    /// When there is no such worker or core: both numbers are ours.
    pub fn core(&self, row: Row, core: usize) -> &Core {
        &self.lines[row.index() * self.cores + core]
    }

    /// What an application has done in a worker, where there are several; `None` beyond what is told apart.
    pub fn tally(&self, worker: u32, app: u32) -> Option<&Tally> {
        let (worker, app) = ((worker as usize).checked_sub(1)?, app as usize);
        let first = (app < APPS).then_some(worker * APPS)?;
        self.tallies.get(first + app)
    }

    /// The block of the request that a core of a process serves; `None` where they are not shown.
    pub fn exhibit(&self, row: Row, core: usize) -> Option<&Exhibit> {
        self.exhibits.as_ref()?.get(row.index() * self.cores + core)
    }

    /// The lines of all cores of a process.
    pub fn row(&self, row: Row) -> &[Core] {
        let first = row.index() * self.cores;
        self.lines
            .get(first..first + self.cores)
            .unwrap_or_default()
    }

    /// What the master knows of a worker (from 1).
    pub fn seat(&self, worker: u32) -> Option<&Seat> {
        self.seats.get((worker as usize).checked_sub(1)?)
    }

    /// Both rows of a worker: what its processes, one after the other, have done.
    pub fn worker(&self, worker: u32) -> &[Core] {
        let side = Side::First;
        let first = Row { worker, side }.index() * self.cores;
        self.lines
            .get(first..first + 2 * self.cores)
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

    /// Says how many connections a process has.
    pub(crate) fn set_connections(&self, row: Row, open: usize) {
        self.core(row, 0)
            .connections
            .store(open as u64, Ordering::Relaxed);
    }

    /// Counts an answer of the process whose rest goes to the offload thread. Any of its threads may do so.
    pub(crate) fn count_offloaded(&self, row: Row) {
        self.core(row, 0).offloaded.fetch_add(1, Ordering::Relaxed);
    }

    /// Says whether a process takes connections.
    pub(crate) fn set_accepting(&self, row: Row, accepting: bool) {
        self.core(row, 0)
            .accepting
            .store(accepting.into(), Ordering::Relaxed);
    }

    /// Says on behalf of the application whether it takes requests.
    pub fn set_declining(&self, row: Row, declining: bool) {
        self.core(row, 0)
            .declining
            .store(declining.into(), Ordering::Relaxed);
    }

    /// Takes back what a dead process can no longer take back itself.
    pub(crate) fn clear(&self, row: Row) {
        for core in self.row(row) {
            for state in [
                &core.busy_since,
                &core.deadline,
                &core.connections,
                &core.accepting,
                &core.declining,
            ] {
                state.store(0, Ordering::Relaxed);
            }
        }
    }

    /// The fewest connections that another process has which takes new ones and has a core that is free, or busy for
    /// less than `patience`; `None` when there is no such process.
    pub(crate) fn least_loaded_sibling(&self, row: Row, patience: Duration) -> Option<u64> {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let now = uwgate_sys::clock::coarse_now().0;
        let rows = self.lines.chunks(self.cores).enumerate();
        let siblings = rows.filter(|(at, _)| *at != row.index());
        let free = siblings.filter_map(|(_, cores)| {
            let first = cores.first()?;
            let accepting = first.accepting.load(Ordering::Relaxed) == 1;
            let free = cores
                .iter()
                .any(|core| match core.busy_since.load(Ordering::Relaxed) {
                    0 => true,
                    since => now.saturating_sub(since) < patience,
                });
            (accepting && free).then(|| first.connections.load(Ordering::Relaxed))
        });
        free.min()
    }
}

/// Requests begun on these cores.
pub(crate) fn sum(cores: &[Core]) -> u64 {
    let requests = |core: &Core| core.requests.load(Ordering::Relaxed);
    cores.iter().map(requests).sum()
}
