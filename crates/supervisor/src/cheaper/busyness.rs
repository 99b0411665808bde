//! Keep the average busyness of the workers between two marks.

use uwgate_sys::clock::Millis;

use super::{Move, View, Why};

/// The `cheaper-busyness-*` options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Percent above which workers are started.
    pub max: u32,
    /// Percent below which one may be stopped.
    pub min: u32,
    /// So many periods must be without much work before one is stopped.
    pub multiplier: u32,
    /// Added to the multiplier when a worker is needed again soon after one was stopped.
    pub penalty: u32,
    /// Say in the log what is seen.
    pub verbose: bool,
    /// More waiting connections than this start emergency workers at once.
    pub backlog_alert: u32,
    /// The multiplier while emergency workers run.
    pub backlog_multiplier: u32,
    /// So many emergency workers are started at a time.
    pub backlog_step: u32,
    /// Connections that wait for so many seconds start emergency workers too.
    pub backlog_nonzero: u32,
}

impl Default for Marks {
    /// uWSGI's.
    fn default() -> Self {
        Self {
            max: 50,
            min: 25,
            multiplier: 10,
            penalty: 2,
            verbose: false,
            backlog_alert: 33,
            backlog_multiplier: 3,
            backlog_step: 1,
            backlog_nonzero: 60,
        }
    }
}

/// The multiplier does not grow beyond so many times what was configured.
const MOST: u32 = 4;

#[derive(Debug)]
pub(super) struct Busyness {
    marks: Marks,
    /// Milliseconds.
    period: u64,
    period_began: Option<Millis>,
    /// Sums over the looks of this period: workers' time in requests, and workers.
    load: f64,
    workers: f64,
    multiplier: u32,
    /// Since when the load has been low, a little later for each period in which it was not quite.
    calm_since: Millis,
    stopped: Option<Millis>,
    /// Workers that run only because of the queue.
    emergency: u32,
    /// Since when connections have been waiting.
    waiting_since: Option<Millis>,
}

impl Busyness {
    pub(super) fn new(marks: Marks, overload: u32) -> Self {
        Self {
            marks,
            period: u64::from(overload.max(1)) * 1000,
            period_began: None,
            load: 0.0,
            workers: 0.0,
            multiplier: marks.multiplier.max(1),
            calm_since: Millis(0),
            stopped: None,
            emergency: 0,
            waiting_since: None,
        }
    }

    pub(super) fn decide(&mut self, view: &View, notes: &mut Vec<String>) -> Move {
        let mut notes = Notes {
            wanted: self.marks.verbose,
            lines: notes,
        };
        let began = match self.period_began {
            Some(began) => began,
            None => self.first(view.now),
        };
        self.load += view.load;
        self.workers += f64::from(view.serving);
        let over = view.now.0.saturating_sub(began.0) >= self.period;
        let wanted = match over {
            true => self.judge(view, &mut notes),
            false => Move::Stay,
        };
        match self.emergency(view, &mut notes) {
            Move::Stay => wanted,
            emergency => emergency,
        }
    }

    fn first(&mut self, now: Millis) -> Millis {
        self.period_began = Some(now);
        self.calm_since = now;
        now
    }

    /// Milliseconds of low load before a stop.
    fn calm(&self) -> u64 {
        let multiplier = match self.emergency {
            0 => self.multiplier,
            _ => self.marks.backlog_multiplier.clamp(1, self.multiplier),
        };
        self.period * u64::from(multiplier)
    }

    /// A period is over.
    fn judge(&mut self, view: &View, notes: &mut Notes<'_>) -> Move {
        self.period_began = Some(view.now);
        let (load, workers) = (self.load, self.workers);
        (self.load, self.workers) = (0.0, 0.0);
        let share = if workers > 0.0 { load / workers } else { 0.0 };
        let percent = (share * 100.0).round() as u32;
        let seconds = self.period / 1000;
        let running = view.serving;
        notes
            .say(|| format!("{seconds}s average busyness of {running} worker(s) is at {percent}%"));
        if percent > self.marks.max {
            self.too_busy(view, percent, notes)
        } else if percent < self.marks.min {
            self.too_idle(view, share, percent, notes)
        } else {
            let later = Millis(self.calm_since.0 + self.period);
            self.calm_since = later.min(view.now);
            Move::Stay
        }
    }

    fn too_busy(&mut self, view: &View, percent: u32, notes: &mut Notes<'_>) -> Move {
        if view.active >= view.max {
            let max = view.max;
            notes.say(|| format!("all of the {max} workers that may run do run already"));
            return Move::Stay;
        }
        if view.coming > 0 {
            return Move::Stay;
        }
        let soon = 2 * self.calm();
        if self
            .stopped
            .take()
            .is_some_and(|at| view.now.0 - at.0 <= soon)
        {
            let most = self.marks.multiplier.max(1).saturating_mul(MOST);
            self.multiplier = (self.multiplier + self.marks.penalty).min(most);
            let (multiplier, penalty) = (self.multiplier, self.marks.penalty);
            notes.say(|| {
                format!("worker(s) respawned too fast, increasing cheaper multiplier to {multiplier} (+{penalty})")
            });
        }
        self.calm_since = view.now;
        let step = view.step;
        notes.say(|| format!("average busyness is at {percent}%, will spawn {step} new worker(s)"));
        Move::Grow {
            by: step,
            why: Why::Busyness { percent },
        }
    }

    fn too_idle(&mut self, view: &View, share: f64, percent: u32, notes: &mut Notes<'_>) -> Move {
        if view.active <= view.min {
            return Move::Stay;
        }
        let calm = match percent * 4 < self.marks.min {
            // With next to nothing to do, a stop cannot have been a mistake.
            true => self
                .calm()
                .min(self.period * u64::from(self.marks.multiplier)),
            false => self.calm(),
        };
        let stop_from = Millis(self.calm_since.0 + calm);
        if view.now < stop_from {
            let wait = (stop_from.0 - view.now.0).div_ceil(1000);
            notes.say(|| format!("need to wait {wait} more second(s) to cheap worker"));
            return Move::Stay;
        }
        // With marks close together one worker less may be too few.
        let workers = f64::from(view.active);
        if share * workers / (workers - 1.0).max(1.0) * 100.0 > f64::from(self.marks.max) {
            return Move::Stay;
        }
        self.quiet(view.now);
        let active = view.active;
        notes.say(|| {
            format!("average busyness is at {percent}%, cheap one of {active} running workers")
        });
        self.emergency = self.emergency.saturating_sub(1);
        self.stopped = Some(view.now);
        self.calm_since = view.now;
        Move::Shrink {
            why: Why::Busyness { percent },
        }
    }

    /// The last stop was no mistake: the penalty is taken back, little by little.
    fn quiet(&mut self, now: Millis) {
        let long = 2 * self.calm();
        if self.stopped.is_some_and(|at| now.0 - at.0 >= long) || self.stopped.is_none() {
            self.multiplier = (self.multiplier - 1).max(self.marks.multiplier.max(1));
        }
    }

    /// A queue does not wait for the end of a period.
    fn emergency(&mut self, view: &View, notes: &mut Notes<'_>) -> Move {
        let waiting = view.waiting;
        if waiting == 0 {
            if self.waiting_since.take().is_some() {
                notes.say(|| "backlog is now empty".into());
            }
            return Move::Stay;
        }
        let since = *self.waiting_since.get_or_insert_with(|| {
            notes.say(|| format!("backlog is starting to fill ({waiting})"));
            view.now
        });
        let seconds = (view.now.0 - since.0) / 1000;
        let alert = waiting > self.marks.backlog_alert;
        let for_long = seconds > u64::from(self.marks.backlog_nonzero);
        if !(alert || for_long) || view.coming > 0 || view.active >= view.max {
            return Move::Stay;
        }
        let by = self.marks.backlog_step.max(1);
        notes.say(|| format!("backlog is {waiting}, spawning {by} emergency worker(s)"));
        self.emergency += by;
        self.waiting_since = Some(view.now);
        self.calm_since = view.now;
        Move::Grow {
            by,
            why: match alert {
                true => Why::Queue { waiting },
                false => Why::QueueForLong {
                    seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
                },
            },
        }
    }
}

/// The lines of `cheaper-busyness-verbose`.
struct Notes<'a> {
    wanted: bool,
    lines: &'a mut Vec<String>,
}

impl Notes<'_> {
    fn say(&mut self, line: impl FnOnce() -> String) {
        if self.wanted {
            self.lines.push(format!("[busyness] {}", line()));
        }
    }
}
