//! Start workers when connections wait to be accepted.

use super::patience::Patience;
use super::{Move, View, Why};

/// Seconds of low load before a stop. uWSGI stops one in every second in which nobody waits, the one that was just
/// started too.
const PATIENCE: u32 = 4;

/// From so many free workers on one can go without making a queue.
const ENOUGH: f64 = 1.5;

/// By the listen queue; here `overload` is a number of connections.
#[derive(Debug)]
pub(super) struct Backlog {
    patience: Patience,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            patience: Patience::new(PATIENCE),
        }
    }
}

impl Backlog {
    pub(super) fn decide(&mut self, view: &View) -> Move {
        let waiting = view.waiting;
        if waiting > view.overload {
            // Those on their way were started for these connections.
            if view.coming > 0 || view.active == view.max {
                return Move::Stay;
            }
            self.patience.started(view.now);
            return Move::Grow {
                by: view.step,
                why: Why::Queue { waiting },
            };
        }
        let free = view.free();
        let low = free >= ENOUGH && view.active > view.min;
        let idle = free / f64::from(view.active.max(1));
        match self.patience.second(view.now, low, idle) {
            Some(seconds) => Move::Shrink {
                why: Why::Free {
                    free: free as u32,
                    workers: view.active,
                    seconds,
                },
            },
            None => Move::Stay,
        }
    }
}
