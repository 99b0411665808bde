//! Answers to clients on this machine that leave together.
//!
//! A client (or front server) that has nothing to do sleeps, and whoever sends to it pays for waking it: more than for
//! the sending itself, on a virtual machine as much as a fifth of Django's hello. Where several requests wait for this
//! thread, and each will take a moment, a few answers are therefore handed to the kernel at once but held back there
//! until the next ones are made. The kernel has them: they arrive whatever becomes of this process, and 200 ms later
//! also without a further word.
//!
//! Nothing is held back when nobody else waits, when requests are so quick that their clients are awake anyway, or when
//! one has lately been slow.

use std::cell::RefCell;
use std::os::fd::AsFd;

use uwgate_sys::socket;

use super::Socket;

/// So many answers leave together at most: more would save nothing that can be measured.
const TOGETHER: usize = 8;

/// So many microseconds an answer waits for others at most, if these take as long as the last ones did.
const MOMENT: u64 = 400;

/// Longer answers are not held back.
pub(super) const LONGEST: usize = 16 * 1024;

/// Requests that take fewer microseconds keep their clients awake.
const WORTH: u64 = 16;

/// So many microseconds of a request count at most towards what is usual: the kernel may have had something else to run.
const COUNTED: u64 = 4_000;

/// A request that takes more microseconds is slow: nobody should wait for the end of the next one like it. The kernel
/// seldom has something else to run for as long.
const SLOW: u64 = 10_000;

/// After a slow request so many have to be quick.
const CALM: u32 = 1000;

/// What a thread knows about the requests that it serves in turn.
#[derive(Debug)]
struct Pace {
    /// Requests since the thread last looked for what is ready.
    served: u32,
    /// Those of the time before: about as many will be ready again.
    expected: u32,
    /// The moving average of what a request takes, in units of an eighth of a microsecond.
    usual: u64,
    /// Quick requests that are still to come before anything is held back.
    doubts: u32,
}

impl Pace {
    const NEW: Self = Self {
        served: 0,
        expected: 0,
        usual: 0,
        doubts: CALM,
    };

    fn note(&mut self, micros: u64) {
        self.served = self.served.saturating_add(1);
        self.usual = self.usual - self.usual / 8 + micros.min(COUNTED);
        self.doubts = match micros {
            0..SLOW => self.doubts.saturating_sub(1),
            _ => CALM,
        };
    }

    fn look(&mut self) {
        self.expected = std::mem::take(&mut self.served);
    }

    /// Whether the present answer may wait for another one, which is likely to come soon, where `held` do already.
    fn expects_another(&self, held: usize) -> bool {
        let (together, wait) = (held + 1, (held as u64 + 1) * self.usual);
        let is_soon = self.doubts == 0 && wait <= 8 * MOMENT && together < TOGETHER;
        is_soon && self.usual >= 8 * WORTH && self.served + 1 < self.expected
    }
}

struct Bundle {
    pace: Pace,
    held: Vec<Socket>,
}

thread_local! {
    static BUNDLE: RefCell<Bundle> = const {
        RefCell::new(Bundle {
            pace: Pace::NEW,
            held: Vec::new(),
        })
    };
}

/// Whether the answer that is sent next may be held back; [`hold`] takes it, then.
pub(super) fn has_room() -> bool {
    BUNDLE.with_borrow(|bundle| bundle.pace.expects_another(bundle.held.len()))
}

/// Lets the kernel send what it holds back for `socket` with the next ones.
pub(super) fn hold(socket: &Socket) {
    BUNDLE.with_borrow_mut(|bundle| bundle.held.push(Socket::clone(socket)));
}

/// Has everything sent that is held back.
pub(super) fn release() {
    BUNDLE.with_borrow_mut(|bundle| {
        for socket in bundle.held.drain(..) {
            // A peer that is gone shows at the next request.
            let _ = socket::push(socket.as_fd());
        }
    });
}

/// Notes how long a request of this thread took.
pub(crate) fn note(micros: u64) {
    BUNDLE.with_borrow_mut(|bundle| bundle.pace.note(micros));
}

/// To be called when the thread has nothing more to do, and goes to look for what is ready. A thread that never calls
/// it holds nothing back.
pub(crate) fn close() {
    release();
    BUNDLE.with_borrow_mut(|bundle| bundle.pace.look());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(pace: &mut Pace, requests: u32, micros: u64) {
        for _ in 0..requests {
            pace.note(micros);
        }
    }

    /// Among `ready` requests at a time, of which so many were served before.
    fn after(before: u32, micros: u64, ready: u32) -> Pace {
        let mut pace = Pace::NEW;
        served(&mut pace, before, micros);
        pace.look();
        served(&mut pace, ready, micros);
        pace.look();
        pace
    }

    #[test]
    fn the_last_one_that_is_ready_is_not_held_back() {
        let mut pace = after(CALM, 40, 3);
        assert!(pace.expects_another(0), "the first of three");
        served(&mut pace, 1, 40);
        assert!(pace.expects_another(0), "the second");
        served(&mut pace, 1, 40);
        assert!(!pace.expects_another(0), "the third");
        assert!(!after(CALM, 40, 1).expects_another(0), "nobody else waits");
    }

    #[test]
    fn requests_that_are_over_at_once_are_not_held_back() {
        assert!(!after(CALM, WORTH / 4, 32).expects_another(0));
        assert!(after(CALM, 2 * WORTH, 32).expects_another(0));
    }

    #[test]
    fn nobody_waits_for_many_others_or_for_long() {
        let quick = after(CALM, 40, 32);
        assert!(quick.expects_another(TOGETHER - 2));
        assert!(!quick.expects_another(TOGETHER - 1));
        let slower = after(CALM, 150, 32);
        assert!(slower.expects_another(1));
        assert!(!slower.expects_another(2));
    }

    #[test]
    fn an_interruption_by_the_kernel_is_soon_forgotten() {
        let mut pace = after(CALM, 40, 32);
        pace.note(COUNTED);
        assert!(!pace.expects_another(0));
        served(&mut pace, 8, 40);
        assert!(pace.expects_another(0));
        for _ in 0..CALM {
            served(&mut pace, 5, 40);
            pace.note(COUNTED);
            pace.look();
            served(&mut pace, 1, 40);
            assert!(!pace.expects_another(0), "it happens all the time");
        }
    }

    #[test]
    fn a_slow_request_stops_it_for_a_thousand_more() {
        let mut pace = after(CALM, 40, 32);
        assert!(pace.expects_another(0));
        pace.note(SLOW);
        assert!(!pace.expects_another(0));
        served(&mut pace, CALM - 1, 40);
        pace.look();
        assert!(!pace.expects_another(0));
        pace.note(40);
        assert!(pace.expects_another(0));
    }
}
