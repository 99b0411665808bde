//! How long the load must be low before a worker is stopped.

use uwgate_sys::clock::Millis;

/// Seconds of low load, one after the other, before a stop. A stop that is soon followed by a start was a mistake and
/// doubles them; in quiet times they shrink again. So a load that always looks low for a moment is not answered by stopping and
/// starting for ever.
#[derive(Debug)]
pub(super) struct Patience {
    base: u32,
    seconds: u32,
    /// Seconds of low load so far.
    low: u32,
    /// Seconds of next to no load so far.
    still: u32,
    /// The last stop, until a start or time has judged it.
    stopped: Option<Millis>,
    eased: Millis,
}

/// Patience does not grow beyond so many times what it was.
const MOST: u32 = 64;

/// A start within so many patiences after a stop makes the stop a mistake, but not after ten minutes unless patience
/// itself is of that size.
const SOON: u64 = 60;
const TEN_MINUTES: u64 = 600_000;

impl Patience {
    pub(super) fn new(seconds: u32) -> Self {
        let seconds = seconds.max(1);
        Self {
            base: seconds,
            seconds,
            low: 0,
            still: 0,
            stopped: None,
            eased: Millis(0),
        }
    }

    /// One more second; `idle` is the part of all workers that had nothing to do. `Some`: it has been low for so many
    /// seconds, stop one.
    pub(super) fn second(&mut self, now: Millis, low: bool, idle: f64) -> Option<u32> {
        self.ease(now);
        self.low = if low { self.low + 1 } else { 0 };
        // With three quarters unused a stop cannot be a mistake.
        self.still = if low && idle > 0.75 {
            self.still + 1
        } else {
            0
        };
        if self.low < self.seconds && self.still < self.base {
            return None;
        }
        self.stopped = Some(now);
        self.still = 0;
        Some(std::mem::take(&mut self.low))
    }

    /// A start was needed.
    pub(super) fn started(&mut self, now: Millis) {
        self.low = 0;
        let soon = self.window();
        if self
            .stopped
            .take()
            .is_some_and(|at| now.0.saturating_sub(at.0) <= soon)
        {
            self.seconds = (self.seconds * 2).min(self.base * MOST);
            self.eased = now;
        }
    }

    fn ease(&mut self, now: Millis) {
        if self.seconds > self.base && now.0.saturating_sub(self.eased.0) > self.window() {
            self.seconds = (self.seconds / 2).max(self.base);
            self.eased = now;
        }
    }

    /// Milliseconds.
    fn window(&self) -> u64 {
        let patience = u64::from(self.seconds) * 1000;
        (patience * SOON).min(TEN_MINUTES).max(patience * 8)
    }
}
