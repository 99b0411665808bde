//! What an operator may choose about a child's life.

use std::time::Duration;

use uwgate_sys::process::Exit;

/// How a child is treated.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether it is started again after it ended by itself.
    pub respawn: bool,
    /// How long to wait before it is started again.
    pub throttle: Throttle,
    /// How long it may take from spawned to ready before it is killed; `None`: as long as it likes.
    pub start_timeout: Option<Duration>,
    /// How long a graceful stop may take before SIGKILL.
    pub mercy: Duration,
    /// What an end that nobody asked for means.
    pub verdict: fn(Exit) -> Verdict,
}

impl Default for Policy {
    /// uWSGI's worker: respawned, no limit to start, 60 seconds of mercy (`worker-reload-mercy`).
    fn default() -> Policy {
        Policy {
            respawn: true,
            throttle: Throttle::default(),
            start_timeout: None,
            mercy: Duration::from_secs(60),
            verdict: Verdict::of_worker,
        }
    }
}

/// What an end that nobody asked for means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Something went wrong: start again, and slower each time.
    Failed,
    /// It left on purpose to be replaced (it served its number of requests): start again at once. Before it was
    /// ready that is no excuse, and counts as failed.
    Recycled,
    /// It left on purpose and does not want to come back.
    Retired,
}

impl Verdict {
    /// uWSGI's exit codes of a worker: 17 (graceful end), 5 (reload on exception) and 29 (quiet) ask for a successor,
    /// 15 (go cheap) for none. All else is a failure, 0 too: nobody asked a worker to end.
    pub fn of_worker(exit: Exit) -> Verdict {
        match exit {
            Exit::Code(5 | 17 | 29) => Verdict::Recycled,
            Exit::Code(15) => Verdict::Retired,
            Exit::Code(_) | Exit::Signal { .. } | Exit::Unseen => Verdict::Failed,
        }
    }

    /// uWSGI's exit code of a vassal: 26 (voluntary exile) is final; all else, success included, is a failure,
    /// as a vassal is meant to run for ever.
    pub fn of_vassal(exit: Exit) -> Verdict {
        match exit {
            Exit::Code(26) => Verdict::Retired,
            Exit::Code(_) | Exit::Signal { .. } | Exit::Unseen => Verdict::Failed,
        }
    }
}

/// Slows down a child that keeps dying.
///
/// A life is long when it lasted `stable` from ready; a long life forgives everything. Short lives are counted:
/// the first `free` of them cost nothing, so that a worker killed now and then is back at once. A child that dies
/// *before* it is ready (or cannot be spawned) has used up what is free: its code is broken, not its luck.
/// The n-th death beyond waits `base * factor^(n-1)`, at most `cap`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// The first wait.
    pub base: Duration,
    /// By how much each wait is longer than the one before; at least 1.
    pub factor: f64,
    /// The longest wait.
    pub cap: Duration,
    /// How many short lives in a row cost no wait.
    pub free: u32,
    /// From what length on a life is long.
    pub stable: Duration,
}

impl Default for Throttle {
    /// 2 quick deaths free, then 1, 2, 4 … 30 seconds; forgiven after 10 seconds of service.
    /// (uWSGI: a flat 2 seconds, `forkbomb-delay`, for the whole master.)
    fn default() -> Throttle {
        Throttle {
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(30),
            free: 2,
            stable: Duration::from_secs(10),
        }
    }
}

impl Throttle {
    /// Waits for nothing, ever.
    pub const NONE: Throttle = Throttle {
        base: Duration::ZERO,
        factor: 1.0,
        cap: Duration::ZERO,
        free: 0,
        stable: Duration::ZERO,
    };

    /// How long to wait after `strikes` short lives in a row; zero while they are free.
    pub fn wait(&self, strikes: u32) -> Duration {
        let Some(beyond) = strikes
            .checked_sub(self.free)
            .and_then(|n| n.checked_sub(1))
        else {
            return Duration::ZERO;
        };
        let growth = self.factor.max(1.0).powf(f64::from(beyond));
        let wait = self.base.as_secs_f64() * growth;
        // Also the way out for infinity and NaN, which no Duration can hold.
        if wait < self.cap.as_secs_f64() {
            Duration::from_secs_f64(wait)
        } else {
            self.cap
        }
    }

    /// Strikes after one more short life.
    pub(crate) fn strike(&self, strikes: u32, was_ready: bool) -> u32 {
        let before = if was_ready {
            strikes
        } else {
            strikes.max(self.free)
        };
        before.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap() {
        let throttle = Throttle::default();
        let waits: Vec<u64> = (0..10)
            .map(|strikes| throttle.wait(strikes).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(throttle.wait(u32::MAX), throttle.cap);
    }

    #[test]
    fn a_death_before_ready_is_never_free() {
        let throttle = Throttle::default();
        assert_eq!(throttle.wait(throttle.strike(0, true)), Duration::ZERO);
        assert_eq!(throttle.wait(throttle.strike(0, false)), throttle.base);
        assert_eq!(
            throttle.wait(throttle.strike(throttle.strike(0, false), false)),
            throttle.base * 2
        );
    }

    #[test]
    fn foolish_settings_do_no_harm() {
        let odd = Throttle {
            factor: f64::NAN,
            ..Throttle::default()
        };
        assert_eq!(odd.wait(9), odd.base);
        let odd = Throttle {
            factor: f64::INFINITY,
            ..Throttle::default()
        };
        assert_eq!(odd.wait(9), odd.cap);
        assert_eq!(Throttle::NONE.wait(1000), Duration::ZERO);
    }
}
