//! Keep some workers free: `spare` about one, `spare2` as many as `cheaper` says.

use super::patience::Patience;
use super::{Move, View, Why};

/// Less than this of a worker free on average: nobody was free.
const NOBODY: f64 = 0.5;

/// From so many free workers on one can go, and one is still free.
const ENOUGH: f64 = 2.0;

/// uWSGI's default.
#[derive(Debug)]
pub(super) struct Spare {
    /// Seconds in which nobody was free, less those in which somebody was.
    busy: u32,
    patience: Patience,
}

impl Spare {
    pub(super) fn new(overload: u32) -> Self {
        Self {
            busy: 0,
            patience: Patience::new(overload.saturating_add(1)),
        }
    }

    pub(super) fn decide(&mut self, view: &View) -> Move {
        let free = view.free();
        if free < NOBODY {
            self.busy += 1;
        } else {
            self.busy = self.busy.saturating_sub(1);
        }
        if self.busy > view.overload {
            let seconds = std::mem::take(&mut self.busy);
            if view.active == view.max {
                return Move::Stay;
            }
            self.patience.started(view.now);
            let workers = view.serving;
            return Move::Grow {
                by: view.step,
                why: Why::AllBusy { workers, seconds },
            };
        }
        let low = self.busy == 0 && free >= ENOUGH && view.active > view.min;
        shrink(&mut self.patience, view, low)
    }
}

/// For large numbers of workers: does not wait until all are busy, and is slow to stop one.
#[derive(Debug)]
pub(super) struct Spare2 {
    /// Seconds with too few free.
    short: u32,
    patience: Patience,
}

impl Spare2 {
    pub(super) fn new(idle: u32) -> Self {
        Self {
            short: 0,
            patience: Patience::new(idle),
        }
    }

    pub(super) fn decide(&mut self, view: &View) -> Move {
        let (free, wanted) = (view.free(), f64::from(view.min));
        self.short = if free < wanted - NOBODY {
            self.short + 1
        } else {
            0
        };
        // One such second may be chance, unless nobody at all is free.
        let lasting = self.short > 1 || free < NOBODY;
        if self.short > 0 && lasting && view.active < view.max {
            self.short = 0;
            self.patience.started(view.now);
            let missing = (wanted - free).ceil().max(1.0) as u32;
            return Move::Grow {
                by: missing.min(view.step),
                why: Why::FewFree { wanted: view.min },
            };
        }
        let low = free >= wanted + 1.0 && view.active > view.min;
        shrink(&mut self.patience, view, low)
    }
}

fn shrink(patience: &mut Patience, view: &View, low: bool) -> Move {
    let free = view.free();
    let idle = free / f64::from(view.active.max(1));
    match patience.second(view.now, low, idle) {
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
