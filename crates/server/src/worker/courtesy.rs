//! Whether this worker interrupts whoever has the CPU when somebody connects or asks for something.
//!
//! The scheduler thinks so, as who sleeps often is in a hurry. With a front server on the same CPU it is the worst that
//! can be done: `connect` wakes the worker, which finds a peer that has not sent anything yet; its `write` wakes it again;
//! and each time it finds one request, where there would be ten if it had left the front server alone. One that waits
//! until the others pause takes a third less CPU time for its requests, and the front server takes less as well.
//!
//! Beside a program that does not pause each request waits until that one's time is up, some milliseconds. So a worker
//! waits only while it is woken very often, sees what it has to wait, and stops when that is long.
//!
//! With several threads it is the threads of an application that wake each other most, and they are left alone.

use std::time::Duration;

use uwgate_sys::scheduling::{self, Policy, Queued, Queueing, Usage};

/// A worker that is woken so often in a second may find more to do if it comes later.
const OFTEN: u64 = 2_000;

/// A worker that uses less CPU in a second need not spare any, once it has for so many seconds.
const IDLE: Duration = Duration::from_millis(50);
const IDLE_SECONDS: u32 = 10;

/// A turn on the CPU that is waited for as long as this on average costs more than it spares. (Linux gives a program
/// that does not pause three to four milliseconds.)
const TOO_LONG: Duration = Duration::from_millis(2);

/// The average of fewer turns in a second says nothing.
const FEW: u64 = 50;

/// For so many seconds it is not tried again then; each time twice as many, up to the last.
const PAUSE: u32 = 60;
const LONGEST_PAUSE: u32 = 3600;

/// What a second was like.
#[derive(Debug, Clone, Copy)]
struct Second {
    used: Usage,
    queued: Queued,
}

impl Second {
    /// Whether a turn on the CPU was waited for too long.
    fn had_to_wait(&self) -> bool {
        let turns = u32::try_from(self.queued.turns).unwrap_or(u32::MAX);
        self.queued.turns >= FEW && self.queued.time > TOO_LONG * turns
    }
}

/// Decides once a second.
#[derive(Debug)]
struct Judge {
    policy: Policy,
    /// Seconds before the other policy is tried again.
    pause: u32,
    next_pause: u32,
    /// Seconds in which there was little to do.
    idle: u32,
}

impl Judge {
    fn new() -> Self {
        Self {
            policy: Policy::Interrupts,
            pause: 0,
            next_pause: PAUSE,
            idle: 0,
        }
    }

    fn decide(&mut self, second: &Second) -> Policy {
        self.pause = self.pause.saturating_sub(1);
        self.idle = match second.used.cpu < IDLE {
            true => self.idle.saturating_add(1),
            false => 0,
        };
        self.policy = match self.policy {
            Policy::Interrupts if second.used.waits >= OFTEN && self.pause == 0 => Policy::Waits,
            Policy::Interrupts => Policy::Interrupts,
            Policy::Waits if second.had_to_wait() => {
                self.pause = self.next_pause;
                self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
                Policy::Interrupts
            }
            Policy::Waits if self.idle >= IDLE_SECONDS => Policy::Interrupts,
            Policy::Waits => Policy::Waits,
        };
        self.policy
    }
}

/// The policy of the thread that serves.
#[derive(Debug)]
pub(super) struct Courtesy {
    judge: Judge,
    /// `None`: it is left as it is.
    sight: Option<Sight>,
}

#[derive(Debug)]
struct Sight {
    queueing: Queueing,
    used: Usage,
    queued: Queued,
}

impl Courtesy {
    /// For the calling thread, if it serves alone and nobody has given it a policy on purpose.
    pub(super) fn new(threads: usize) -> Self {
        let may = threads == 1 && scheduling::policy() == Some(Policy::Interrupts);
        Self {
            judge: Judge::new(),
            sight: may.then(Sight::new).flatten(),
        }
    }

    /// To be called once a second, by the same thread.
    pub(super) fn second(&mut self) {
        let Some(second) = self.sight.as_mut().and_then(Sight::second) else {
            return;
        };
        let before = self.judge.policy;
        let policy = self.judge.decide(&second);
        if policy != before && scheduling::set_policy(policy).is_err() {
            // A filter of system calls; it will not change its mind.
            self.sight = None;
        }
    }
}

impl Sight {
    fn new() -> Option<Self> {
        let queueing = Queueing::of_this_thread().ok()?;
        Some(Self {
            queued: queueing.read().ok()?,
            queueing,
            used: scheduling::usage(),
        })
    }

    /// What came since it was called last.
    fn second(&mut self) -> Option<Second> {
        let (used, queued) = (scheduling::usage(), self.queueing.read().ok()?);
        let (used_before, queued_before) = (self.used, self.queued);
        (self.used, self.queued) = (used, queued);
        Some(Second {
            used: Usage {
                cpu: used.cpu.saturating_sub(used_before.cpu),
                waits: used.waits.saturating_sub(used_before.waits),
            },
            queued: Queued {
                time: queued.time.saturating_sub(queued_before.time),
                turns: queued.turns.saturating_sub(queued_before.turns),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(waits: u64, cpu_ms: u64, delay_us: u64) -> Second {
        Second {
            used: Usage {
                cpu: Duration::from_millis(cpu_ms),
                waits,
            },
            queued: Queued {
                time: Duration::from_micros(delay_us * waits),
                turns: waits,
            },
        }
    }

    #[test]
    fn who_is_woken_often_waits_as_long_as_there_is_much_to_do() {
        let mut judge = Judge::new();
        assert_eq!(judge.decide(&second(100, 30, 5)), Policy::Interrupts);
        assert_eq!(judge.decide(&second(9_000, 400, 5)), Policy::Waits);
        for _ in 0..100 {
            assert_eq!(judge.decide(&second(900, 300, 800)), Policy::Waits);
        }
        for _ in 1..IDLE_SECONDS {
            assert_eq!(judge.decide(&second(3, 0, 5_000)), Policy::Waits);
        }
        assert_eq!(judge.decide(&second(3, 0, 5_000)), Policy::Interrupts);
        assert_eq!(judge.decide(&second(9_000, 400, 5)), Policy::Waits);
    }

    #[test]
    fn beside_one_who_never_pauses_it_is_tried_ever_more_rarely() {
        let mut judge = Judge::new();
        let mut tries = Vec::new();
        for now in 0..20_000 {
            let waits = judge.policy == Policy::Waits;
            let second = match waits {
                true => second(250, 400, 4_000),
                false => second(17_000, 400, 10),
            };
            if judge.decide(&second) == Policy::Waits {
                tries.push(now);
            }
        }
        let gaps: Vec<u32> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps[..8], [61, 121, 241, 481, 961, 1921, 3601, 3601]);
    }
}
