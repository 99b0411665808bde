//! The state of an instance at one moment, as plain data.

use std::sync::atomic::Ordering;

use crate::scoreboard;

/// An instance at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// The master's process.
    pub(crate) pid: i32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) cwd: String,
    /// When the master was started, in seconds since 1970.
    pub(crate) started: u64,
    /// Programs that run beside the workers.
    pub(crate) daemons: Vec<Daemon>,
    /// Who holds each lock of `uwsgi.lock`, 0 for nobody.
    pub(crate) locks: Vec<i32>,
    pub(crate) sockets: Vec<Socket>,
    /// In the order of their numbers.
    pub(crate) workers: Vec<Worker>,
    /// What workers have done that the configuration no longer has.
    pub(crate) former: Counters,
    /// Requests that were killed in such workers.
    pub(crate) former_harakiris: u64,
    /// Which start of the application serves: 1, and one more after each reload.
    pub(crate) generation: u64,
    /// Reloads that were carried out.
    pub(crate) reloads: u64,
    /// Reloads after which the old code went on.
    pub(crate) failed_reloads: u64,
    /// Worker processes that finish what they have while others serve already.
    pub(crate) leaving_processes: u64,
    /// Requests in these.
    pub(crate) leaving_requests: u64,
}

/// A program beside the workers (`attach-daemon`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Daemon {
    pub(crate) command: String,
    /// 0 while it does not run.
    pub(crate) pid: i32,
    /// How often it was started anew.
    pub(crate) respawns: u32,
}

/// A socket that workers accept from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Socket {
    /// As uWSGI prints it: `127.0.0.1:8080`, `/run/app.sock`, `@name`.
    pub(crate) name: String,
    /// `uwsgi` or `http`.
    pub(crate) protocol: &'static str,
    /// Connections that nobody has accepted yet.
    pub(crate) waiting: u32,
    /// How many may wait.
    pub(crate) max: u32,
    /// Connections that the kernel has turned away since the socket was bound (TCP only).
    pub(crate) dropped: u32,
}

/// One worker, whichever processes have filled its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worker {
    /// From 1.
    pub(crate) id: u32,
    /// The process that serves; 0 when there is none.
    pub(crate) pid: i32,
    pub(crate) accepting: bool,
    pub(crate) status: Status,
    /// Since the instance was started, over reloads and replacements.
    pub(crate) counters: Counters,
    /// Requests since the process that serves was started.
    pub(crate) delta_requests: u64,
    pub(crate) harakiris: u64,
    /// Processes that have filled the place.
    pub(crate) spawns: u64,
    /// When the process that serves was started, in seconds since 1970; 0 for never.
    pub(crate) last_spawn: u64,
    /// Resident memory in bytes, as of now.
    pub(crate) rss: u64,
    /// Address space in bytes, as of now.
    pub(crate) vsz: u64,
    /// The moving average of the time of a request, in microseconds.
    pub(crate) average: u64,
    /// Open client connections.
    pub(crate) connections: u64,
    pub(crate) apps: Vec<App>,
    pub(crate) cores: Vec<Core>,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Idle,
    /// At least one of its cores serves a request.
    Busy,
    /// Sent home for want of work.
    Cheap,
    /// The instance takes no new connections.
    Pause,
}

impl Status {
    /// uWSGI's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Cheap => "cheap",
            Self::Pause => "pause",
        }
    }
}

/// An application in a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) id: u32,
    pub(crate) mountpoint: String,
    /// Seconds that it took to load.
    pub(crate) startup_time: u64,
    pub(crate) requests: u64,
    pub(crate) exceptions: u64,
}

/// One thread of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Core {
    /// From 0.
    pub(crate) id: u32,
    pub(crate) counters: Counters,
    /// What it serves now.
    pub(crate) request: Option<InRequest>,
}

/// A request in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InRequest {
    /// When it began, in seconds since 1970.
    pub(crate) start: u64,
    /// How long ago that was, in milliseconds.
    pub(crate) age: u64,
    /// Its variables, secrets masked: `KEY=value`.
    pub(crate) vars: Vec<String>,
}

/// What only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) requests: u64,
    pub(crate) exceptions: u64,
    pub(crate) write_errors: u64,
    pub(crate) read_errors: u64,
    /// Bytes of answers.
    pub(crate) sent: u64,
    /// Microseconds spent in requests.
    pub(crate) running: u64,
    /// Answers whose rest went to the offload thread.
    pub(crate) offloaded: u64,
}

impl Counters {
    /// Those of one line of the scoreboard.
    pub(crate) fn of(core: &scoreboard::Core) -> Self {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            requests: read(&core.requests),
            exceptions: read(&core.exceptions),
            write_errors: read(&core.write_errors),
            read_errors: read(&core.read_errors),
            sent: read(&core.sent),
            running: read(&core.running),
            offloaded: read(&core.offloaded),
        }
    }
}

/// In the order in which a master tells them to the newer binary that it becomes: what is new comes last.
impl From<Counters> for [u64; 7] {
    fn from(counters: Counters) -> Self {
        let Counters {
            requests,
            exceptions,
            write_errors,
            read_errors,
            sent,
            running,
            offloaded,
        } = counters;
        [
            requests,
            exceptions,
            write_errors,
            read_errors,
            sent,
            running,
            offloaded,
        ]
    }
}

impl From<[u64; 7]> for Counters {
    fn from(numbers: [u64; 7]) -> Self {
        let [
            requests,
            exceptions,
            write_errors,
            read_errors,
            sent,
            running,
            offloaded,
        ] = numbers;
        Self {
            requests,
            exceptions,
            write_errors,
            read_errors,
            sent,
            running,
            offloaded,
        }
    }
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        let mut sums: [u64; 7] = (*self).into();
        for (sum, more) in sums.iter_mut().zip(<[u64; 7]>::from(other)) {
            *sum += more;
        }
        *self = sums.into();
    }
}

impl std::iter::Sum for Counters {
    fn sum<I: Iterator<Item = Self>>(counters: I) -> Self {
        let mut sum = Self::default();
        counters.for_each(|one| sum += one);
        sum
    }
}

/// What one worker's place has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// By the numbers of the cores.
    pub(crate) cores: Vec<Counters>,
    pub(crate) harakiris: u64,
    pub(crate) spawns: u64,
    /// The moving average of the time of a request, in microseconds, of the process that has served last.
    pub(crate) average: u64,
}

impl Book {
    pub(crate) fn total(&self) -> Counters {
        self.cores.iter().copied().sum()
    }
}

/// The books of all workers. Those of generations that have gone are kept here, so that a counter never goes back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// By the numbers of the workers, less 1.
    workers: Vec<Book>,
}

impl Ledger {
    /// Adds what a generation of workers has counted.
    pub(crate) fn add(&mut self, books: &[Book]) {
        if self.workers.len() < books.len() {
            self.workers.resize(books.len(), Book::default());
        }
        for (mine, more) in self.workers.iter_mut().zip(books) {
            if mine.cores.len() < more.cores.len() {
                mine.cores.resize(more.cores.len(), Counters::default());
            }
            for (core, more) in mine.cores.iter_mut().zip(&more.cores) {
                *core += *more;
            }
            mine.harakiris += more.harakiris;
            mine.spawns += more.spawns;
            if more.average > 0 {
                mine.average = more.average;
            }
        }
    }

    /// Adds the book of one worker more.
    pub(crate) fn append(&mut self, book: Book) {
        self.workers.push(book);
    }

    /// The books of all workers.
    pub(crate) fn books(&self) -> &[Book] {
        &self.workers
    }

    /// The book of a worker, from 1.
    pub(crate) fn worker(&self, worker: u32) -> Book {
        let book = (worker as usize).checked_sub(1);
        let book = book.and_then(|at| self.workers.get(at));
        book.cloned().unwrap_or_default()
    }

    /// The books of those beyond the first `workers`.
    pub(crate) fn beyond(&self, workers: usize) -> &[Book] {
        self.workers.get(workers..).unwrap_or_default()
    }
}

impl Snapshot {
    /// What all workers, also those that are no more, have done.
    pub(crate) fn total(&self) -> Counters {
        let mut total: Counters = self.workers.iter().map(|worker| worker.counters).sum();
        total += self.former;
        total
    }

    /// Requests that were killed for taking too long.
    pub(crate) fn harakiris(&self) -> u64 {
        let workers = self.workers.iter().map(|worker| worker.harakiris);
        workers.sum::<u64>() + self.former_harakiris
    }

    /// The fullest queue, which is what uWSGI calls the listen queue of an instance.
    pub(crate) fn listen_queue(&self) -> u32 {
        let queues = self.sockets.iter().map(|socket| socket.waiting);
        queues.max().unwrap_or_default()
    }

    /// Connections turned away by the kernel.
    pub(crate) fn listen_queue_errors(&self) -> u64 {
        let dropped = self.sockets.iter().map(|socket| u64::from(socket.dropped));
        dropped.sum()
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &InRequest> {
        let cores = self.workers.iter().flat_map(|worker| &worker.cores);
        cores.filter_map(|core| core.request.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(requests: &[u64]) -> Book {
        let core = |requests: &u64| Counters {
            requests: *requests,
            ..Counters::default()
        };
        Book {
            cores: requests.iter().map(core).collect(),
            harakiris: 1,
            spawns: 2,
            average: requests.first().copied().unwrap_or_default() * 100,
        }
    }

    #[test]
    fn books_of_generations_of_different_sizes_add_up() {
        let mut ledger = Ledger::default();
        ledger.add(&[book(&[1, 2]), book(&[3, 4])]);
        ledger.add(&[book(&[10])]);
        ledger.add(&[book(&[0, 0, 5]), book(&[6]), book(&[7])]);
        assert_eq!(ledger.worker(1).total().requests, 18);
        assert_eq!(ledger.worker(2).total().requests, 13);
        assert_eq!(ledger.worker(1).harakiris, 3);
        assert_eq!(ledger.worker(3).spawns, 2);
        assert_eq!(ledger.worker(1).average, 1000, "of the last that had any");
        assert_eq!(ledger.worker(4), Book::default());
        assert_eq!(ledger.worker(0), Book::default());
        assert_eq!(ledger.beyond(2).len(), 1);
    }
}
