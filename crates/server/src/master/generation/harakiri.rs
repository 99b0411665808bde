//! The master's part in a harakiri. The worker itself ends a request (see `worker::harakiri`); the master counts, has
//! the worker replaced, and ends a worker that does nothing: one that was stopped, or whose watchdog is stuck as well.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use uwgate_config::Options;
use uwgate_supervisor::Status;
use uwgate_sys::clock::{Millis, coarse_now, coarse_realtime};
use uwgate_sys::process::{self, Pid, Signal};

use super::{Generation, Hands, Key, Manner, Standing};
use crate::message::{Message, ToWorker};
use crate::scoreboard::Core;

/// How much longer than allowed a request may take before its worker counts as frozen. The worker's own steps take
/// no more than that.
const MARGIN: Duration = Duration::from_secs(5);

/// When to look for frozen workers, and what one is.
#[derive(Debug)]
pub(super) struct Backstop {
    /// How long after a request's begin its worker must have ended it; `None` is for ever.
    limit: Option<Duration>,
    /// How long after the moment that the application has wished for.
    margin: Duration,
    next: Option<Millis>,
}

impl Backstop {
    pub(super) fn new(options: &Options) -> Self {
        let options = &options.harakiri;
        let seconds = |number: u32| Duration::from_secs(number.into());
        // With a threshold a request may go on for as long as nobody waits.
        let is_strict = options.harakiri > 0 && options.harakiri_queue_threshold == 0;
        let margin = seconds(options.harakiri_graceful_timeout) + MARGIN;
        let limit = is_strict.then(|| seconds(options.harakiri) + margin);
        Self {
            limit,
            margin,
            next: limit.map(|limit| coarse_now() + limit),
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.next
    }

    /// When a core with this request must have been rid of it.
    fn due(&self, since: Millis, wish: Option<Millis>) -> Option<Millis> {
        let limit = since + self.limit?;
        Some(wish.map_or(limit, |wish| limit.min(wish + self.margin)))
    }

    /// The first of a process's cores that is overdue. Notes when the next one may be.
    fn look(&mut self, cores: impl Iterator<Item = Request>, now: Millis) -> Option<usize> {
        let mut overdue = None;
        for Request { core, since, wish } in cores {
            match self.due(since, wish) {
                Some(due) if due <= now => overdue = overdue.or(Some(core)),
                due => self.next = [self.next, due].into_iter().flatten().min(),
            }
        }
        overdue
    }
}

/// A request in the application, as the scoreboard shows it.
#[derive(Debug, Clone, Copy)]
struct Request {
    core: usize,
    since: Millis,
    wish: Option<Millis>,
}

fn requests(cores: &[Core]) -> impl Iterator<Item = Request> {
    let moment = |at: u64| Some(Millis(at)).filter(|at| at.0 > 0);
    cores.iter().enumerate().filter_map(move |(core, line)| {
        Some(Request {
            core,
            since: moment(line.busy_since.load(Ordering::Relaxed))?,
            wish: moment(line.deadline.load(Ordering::Relaxed)),
        })
    })
}

impl Generation {
    pub(super) fn count_harakiri(&self, worker: u32) {
        if let Some(seat) = self.scoreboard.seat(worker) {
            seat.harakiris.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A worker has given up a request, and goes now or wants a successor.
    pub(super) fn gave_up(&mut self, key: Key, replace: bool, hands: &mut Hands<'_>) {
        let standing = self.standing;
        let Some(slot) = self.slot(key.worker) else {
            return;
        };
        let is_current = slot.current_side() == key.side;
        let occupant = slot.at_mut(key.side);
        occupant.gave_up = true;
        if !replace || !is_current {
            return;
        }
        match standing {
            Standing::Serving => self.replace(key.worker, Manner::Graceful, &"harakiri", hands),
            // There are no successors yet: it leaves, and is started again.
            Standing::Rising | Standing::Leaving => {
                if let Some(channel) = &occupant.channel {
                    let _ = channel.send(&ToWorker::Drain.encode(), &[]);
                }
            }
        }
    }

    /// Ends workers that should have ended a request long ago.
    pub(super) fn end_frozen(&mut self, now: Millis) {
        if self.backstop.next.is_none_or(|next| next > now) {
            return;
        }
        self.backstop.next = self.backstop.limit.map(|limit| now + limit);
        for key in self.keys() {
            let Some(slot) = self.slot(key.worker) else {
                continue;
            };
            let occupant = slot.at(key.side);
            let is_ours = occupant.child.status() == Status::Running && !occupant.gave_up;
            let Some(pid) = occupant.child.pid().filter(|_| is_ours) else {
                continue;
            };
            let cores = self.scoreboard.row(key.row());
            if let Some(core) = self.backstop.look(requests(cores), now) {
                self.end_process(key, pid, core, now);
            }
        }
    }

    fn end_process(&mut self, key: Key, pid: Pid, core: usize, now: Millis) {
        let worker = key.worker;
        let since = requests(self.scoreboard.row(key.row())).find(|it| it.core == core);
        let age = since
            .map(|request| now.since(request.since))
            .unwrap_or_default();
        let mut text = format!(
            "*** HARAKIRI ON WORKER {worker} (pid: {pid}, try: 1, graceful: no) ***\n\
             HARAKIRI [core {core}] a request is there since {} ({} seconds ago), and the worker does not end it itself: \
             it was stopped, or hangs in the kernel. It is killed\n",
            coarse_realtime().saturating_sub(age).as_secs(),
            age.as_secs(),
        );
        let state = std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "HARAKIRI: -- wchan> {}", state.trim_end());
        let _ = write!(
            text,
            "HARAKIRI triggered by worker {worker} core {core} !!!"
        );
        tracing::error!("{text}");
        self.count_harakiri(worker);
        if let Some(slot) = self.slot(worker) {
            slot.at_mut(key.side).gave_up = true;
        }
        let _ = process::kill(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backstop(harakiri: u32) -> Backstop {
        let mut options = Options::default();
        options.harakiri.harakiri = harakiri;
        options.harakiri.harakiri_graceful_timeout = 2;
        Backstop {
            next: None,
            ..Backstop::new(&options)
        }
    }

    fn at(core: usize, since: u64, wish: u64) -> Request {
        Request {
            core,
            since: Millis(since),
            wish: Some(Millis(wish)).filter(|wish| wish.0 > 0),
        }
    }

    #[test]
    fn a_worker_is_left_time_to_do_it_itself() {
        let mut backstop = backstop(10);
        let cores = || [at(0, 5_000, 0), at(2, 1_000, 0)].into_iter();
        assert_eq!(backstop.look(cores(), Millis(17_999)), None);
        assert_eq!(
            backstop.next,
            Some(Millis(18_000)),
            "10 + 2 + 5 seconds after 1,000"
        );
        assert_eq!(backstop.look(cores(), Millis(18_000)), Some(2));
        assert_eq!(
            backstop.look(cores(), Millis(60_000)),
            Some(0),
            "the first of several"
        );
    }

    #[test]
    fn a_wish_counts_if_it_is_earlier() {
        let mut backstop = backstop(10);
        assert_eq!(
            backstop.look([at(0, 1, 3_000)].into_iter(), Millis(10_000)),
            Some(0)
        );
        assert_eq!(
            backstop.look([at(0, 1, 90_000)].into_iter(), Millis(17_001)),
            Some(0)
        );
    }

    #[test]
    fn nobody_looks_without_the_option() {
        let mut backstop = backstop(0);
        assert_eq!(
            backstop.look([at(0, 1, 3_000)].into_iter(), Millis(900_000)),
            None
        );
        assert_eq!(backstop.next, None);
    }
}
