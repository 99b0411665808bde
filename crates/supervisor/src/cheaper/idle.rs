//! When nothing has been asked of the instance for a while: send all workers home.

use std::time::Duration;

use uwgate_sys::clock::Millis;

/// What to do for want of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nap {
    /// There is work, or was a moment ago.
    No,
    /// There has been none for so long: nobody needs to run.
    Yes {
        /// Since the last request.
        idle: Duration,
    },
}

/// Counts the seconds without work.
#[derive(Debug)]
pub struct Idle {
    after: Duration,
    requests: u64,
    since: Option<Millis>,
}

impl Idle {
    /// `after`: the time without a request (`idle`).
    pub fn new(after: Duration) -> Self {
        Self {
            after,
            requests: 0,
            since: None,
        }
    }

    /// One look: `requests` begun by the instance ever, and whether one is being served.
    pub fn look(&mut self, now: Millis, requests: u64, busy: bool) -> Nap {
        let quiet = requests == self.requests && !busy;
        self.requests = requests;
        if !quiet {
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        let idle = now - since;
        if quiet && idle >= self.after {
            self.since = None;
            return Nap::Yes { idle };
        }
        Nap::No
    }

    /// Work is expected: somebody has connected.
    pub fn wake(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_time_counts_from_the_last_request() {
        let mut idle = Idle::new(Duration::from_secs(2));
        let mut look = |second: u64, requests, busy| {
            idle.look(Millis(second * 1000), requests, busy) != Nap::No
        };
        assert!(!look(0, 0, false));
        assert!(!look(1, 5, false));
        assert!(!look(2, 5, true), "a request is being served");
        assert!(!look(9, 5, true));
        assert!(!look(10, 5, false));
        assert!(look(11, 5, false));
        assert!(!look(12, 5, false), "said once");
    }
}
