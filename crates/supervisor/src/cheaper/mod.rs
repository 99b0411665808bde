//! How many workers run: few when little is to be done, more when they are busy (uWSGI's `cheaper`).
//!
//! In scope: what to start and to stop, once a second, and why. Out of scope: starting and stopping. The shell calls
//! [`Cheaper::look`] with what it sees of every worker and does what the [`Decision`] says.
//!
//! How busy a worker is, is not sampled but measured: the part of the time since the last look that its cores spent in
//! requests. A load of many short requests so looks the same every second, and nothing is started or stopped by
//! chance.

mod backlog;
mod busyness;
mod idle;
mod meter;
mod patience;
mod spare;
mod why;

use uwgate_sys::clock::Millis;

pub use self::busyness::Marks;
pub use self::idle::{Idle, Nap};
pub use self::why::Why;

use self::backlog::Backlog;
use self::busyness::Busyness;
use self::meter::Meter;
use self::spare::{Spare, Spare2};

/// What an operator may choose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Fewest workers that run (`cheaper`), at least 1.
    pub min: u32,
    /// Most workers that run (`processes`).
    pub max: u32,
    /// So many are started at once when more are needed (`cheaper-step`).
    pub step: u32,
    /// `cheaper-overload`: what it counts is the algorithm's affair.
    pub overload: u32,
    /// Who decides.
    pub algorithm: Algorithm,
    /// When all workers together use so many bytes of memory, none is started; 0 is no limit.
    pub rss_soft: u64,
    /// When all workers together use so many bytes of memory, one is stopped, down to `min`; 0 is no limit.
    pub rss_hard: u64,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// Keeps about one worker free: starts when all have been busy for more than `overload` seconds.
    Spare,
    /// Keeps `min` workers free.
    Spare2 {
        /// Seconds with more than that before one is stopped.
        idle: u32,
    },
    /// Starts when more than `overload` connections wait to be accepted.
    Backlog,
    /// Keeps the workers' average busyness between two marks, looked at every `overload` seconds.
    Busyness(Marks),
    /// Does nothing: only the operator's word counts.
    Manual,
}

/// One worker as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its number.
    pub number: u32,
    /// What it does.
    pub life: Life,
    /// Resident memory in bytes; 0 when nobody has looked.
    pub rss: u64,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does not run.
    Cheap,
    /// It is on its way, since then.
    Starting {
        /// When that began.
        since: Millis,
    },
    /// It takes requests.
    Serving(Service),
    /// It was told to stop and has not ended yet.
    Leaving,
}

/// A worker that takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// When its process was started.
    pub since: Millis,
    /// How many requests it can serve at a time.
    pub cores: u32,
    /// How many it serves now.
    pub busy: u32,
    /// Microseconds that its cores have spent in requests altogether, what the current ones have taken so far
    /// included. Only grows.
    pub busy_micros: u64,
    /// Open connections.
    pub connections: u32,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Workers to start.
    pub start: Vec<u32>,
    /// The worker to stop.
    pub stop: Option<u32>,
    /// The reason, when there is something to do.
    pub why: Option<Why>,
    /// Lines for the log that were asked for (`cheaper-busyness-verbose`).
    pub notes: Vec<String>,
}

/// What an algorithm wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Stay,
    Grow { by: u32, why: Why },
    Shrink { why: Why },
}

/// What an algorithm sees.
#[derive(Clone, Copy, Debug)]
struct View {
    now: Millis,
    min: u32,
    max: u32,
    step: u32,
    overload: u32,
    /// Workers that take requests.
    serving: u32,
    /// Workers that do or soon will.
    active: u32,
    /// Workers on their way that will not take much longer.
    coming: u32,
    /// How many workers' time was spent in requests, from 0 to `serving`.
    load: f64,
    /// Connections that wait to be accepted, on the fullest socket.
    waiting: u32,
}

impl View {
    /// How many workers have had nothing to do, those that are coming included.
    fn free(&self) -> f64 {
        f64::from(self.serving + self.coming) - self.load
    }
}

/// A worker that is still starting after so many milliseconds is not counted on any more.
const SLOW_START: u64 = 10_000;

/// The number of workers.
#[derive(Debug)]
pub struct Cheaper {
    settings: Settings,
    mind: Mind,
    meter: Meter,
    wished: i32,
}

#[derive(Debug)]
enum Mind {
    Spare(Spare),
    Spare2(Spare2),
    Backlog(Backlog),
    Busyness(Busyness),
    Manual,
}

impl Cheaper {
    /// Bounds out of order are put in order: 1 <= `min` <= `max`, `step` >= 1.
    pub fn new(settings: Settings) -> Self {
        let max = settings.max.max(1);
        let settings = Settings {
            max,
            min: settings.min.clamp(1, max),
            step: settings.step.max(1),
            ..settings
        };
        let overload = settings.overload;
        let mind = match settings.algorithm {
            Algorithm::Spare => Mind::Spare(Spare::new(overload)),
            Algorithm::Spare2 { idle } => Mind::Spare2(Spare2::new(idle)),
            Algorithm::Backlog => Mind::Backlog(Backlog::default()),
            Algorithm::Busyness(marks) => Mind::Busyness(Busyness::new(marks, overload)),
            Algorithm::Manual => Mind::Manual,
        };
        Self {
            settings,
            mind,
            meter: Meter::default(),
            wished: 0,
        }
    }

    /// The operator wants so many workers more, or fewer when negative. Obeyed with the next look.
    pub fn wish(&mut self, delta: i32) {
        self.wished = self.wished.saturating_add(delta);
    }

    /// Decides. To be called once a second; `waiting` is the number of connections that nobody has accepted yet, on
    /// the socket that has most.
    pub fn look(&mut self, now: Millis, workers: &[Worker], waiting: u32) -> Decision {
        let load = self.meter.load(now, workers);
        let view = self.view(now, workers, load, waiting);
        let mut decision = Decision::default();
        let wanted = self.decide(&view, workers, &mut decision.notes);
        match wanted {
            Move::Stay => {}
            Move::Grow { by, why } => {
                let room = self.settings.max.saturating_sub(view.active);
                decision.start = next_to_start(workers, by.min(room));
                decision.why = (!decision.start.is_empty()).then_some(why);
            }
            Move::Shrink { why } => {
                let floor = self.floor(&why);
                decision.stop = (view.active > floor)
                    .then(|| self.next_to_stop(workers))
                    .flatten();
                decision.why = decision.stop.map(|_| why);
            }
        }
        decision
    }

    fn view(&self, now: Millis, workers: &[Worker], load: f64, waiting: u32) -> View {
        let count = |wanted: &dyn Fn(&Life) -> bool| {
            let count = workers.iter().filter(|it| wanted(&it.life)).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let serving = count(&|life| matches!(life, Life::Serving(_)));
        let starting = count(&|life| matches!(life, Life::Starting { .. }));
        let coming = count(&|life| match life {
            Life::Starting { since } => now.0.saturating_sub(since.0) < SLOW_START,
            _ => false,
        });
        View {
            now,
            min: self.settings.min,
            max: self.settings.max,
            step: self.settings.step,
            overload: self.settings.overload,
            serving,
            active: serving + starting,
            coming,
            load,
            waiting,
        }
    }

    /// Memory comes first, then the operator, then the algorithm. It is asked in any case: it counts seconds.
    fn decide(&mut self, view: &View, workers: &[Worker], notes: &mut Vec<String>) -> Move {
        let wanted = match &mut self.mind {
            Mind::Spare(spare) => spare.decide(view),
            Mind::Spare2(spare) => spare.decide(view),
            Mind::Backlog(backlog) => backlog.decide(view),
            Mind::Busyness(busyness) => busyness.decide(view, notes),
            Mind::Manual => Move::Stay,
        };
        let wished = std::mem::take(&mut self.wished);
        let rss: u64 = workers.iter().map(|worker| worker.rss).sum();
        let limits = self.settings;
        if limits.rss_hard > 0 && rss >= limits.rss_hard && view.active > view.min {
            let limit = limits.rss_hard;
            return Move::Shrink {
                why: Why::Memory { rss, limit },
            };
        }
        let least = self.floor(&Why::Wished);
        if view.active < least {
            return Move::Grow {
                by: least - view.active,
                why: Why::Minimum { min: least },
            };
        }
        let full = limits.rss_soft > 0 && rss >= limits.rss_soft;
        match (wished, wanted) {
            (1.., _) if !full => Move::Grow {
                by: wished.unsigned_abs(),
                why: Why::Wished,
            },
            (..=-1, _) if view.active > self.floor(&Why::Wished) => {
                // One at a time: the rest of the wish waits for the next look.
                self.wished = wished + 1;
                Move::Shrink { why: Why::Wished }
            }
            (_, Move::Grow { .. }) if full => Move::Stay,
            _ => wanted,
        }
    }

    /// Only an operator who decides everything may go below the minimum, and not to nothing.
    fn floor(&self, why: &Why) -> u32 {
        match (self.settings.algorithm, why) {
            (Algorithm::Manual, Why::Wished) => 1,
            _ => self.settings.min,
        }
    }

    /// The one whose going is felt least: not in a request, rather one with few connections, rather an old one.
    fn next_to_stop(&self, workers: &[Worker]) -> Option<u32> {
        let starting = workers.iter().filter_map(|worker| match worker.life {
            Life::Starting { since } => Some(((0, 0, since), worker.number)),
            _ => None,
        });
        let serving = workers.iter().filter_map(|worker| match worker.life {
            Life::Serving(it) => Some(((it.busy, it.connections, it.since), worker.number)),
            _ => None,
        });
        // One that is not there yet is asked only when there is no other.
        let least = serving.min().or_else(|| starting.max());
        least.map(|(_, number)| number)
    }
}

/// Places that are empty, in order; then those that are just being left.
fn next_to_start(workers: &[Worker], count: u32) -> Vec<u32> {
    let of = |life: Life| {
        let of_life = move |worker: &&Worker| worker.life == life;
        workers.iter().filter(of_life).map(|worker| worker.number)
    };
    of(Life::Cheap)
        .chain(of(Life::Leaving))
        .take(count as usize)
        .collect()
}
