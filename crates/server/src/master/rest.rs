//! What the master does when it has nothing to do: it takes no more memory than that needs.

use std::time::Duration;

use uwgate_sys::clock::Millis;

use crate::at_rest::{self, QUIET};

/// Whoever asks for statistics every few seconds does not find the master coming back from its rest each time.
const AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// When the master may rest.
#[derive(Debug, Default)]
pub(super) struct Rest {
    at: Option<Millis>,
    not_before: Option<Millis>,
}

impl Rest {
    /// Something has happened.
    pub(super) fn put_off(&mut self, now: Millis) {
        self.at = Some(
            self.not_before
                .map_or(now + QUIET, |it| it.max(now + QUIET)),
        );
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.at
    }

    /// Gives back what only starting, reloading and the like need, if it is time.
    pub(super) fn handle_time(&mut self, now: Millis) {
        if self.at.is_none_or(|at| at > now) {
            return;
        }
        self.at = None;
        self.not_before = Some(now + AT_MOST_EVERY);
        at_rest::keep_only_what_is_needed("master");
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_MOST_EVERY, QUIET, Rest};
    use uwgate_sys::clock::Millis;

    #[test]
    fn it_rests_after_the_last_that_happens() {
        let mut rest = Rest::default();
        assert_eq!(rest.deadline(), None);
        rest.put_off(Millis(10));
        rest.put_off(Millis(500));
        let due = Millis(500) + QUIET;
        assert_eq!(rest.deadline(), Some(due));
        rest.handle_time(Millis(1000));
        assert_eq!(rest.deadline(), Some(due));
        rest.handle_time(due);
        assert_eq!(rest.deadline(), None);
    }

    #[test]
    fn it_rests_once_a_minute_at_most() {
        let mut rest = Rest::default();
        rest.put_off(Millis(0));
        let first = Millis(0) + QUIET;
        rest.handle_time(first);
        rest.put_off(first + QUIET);
        assert_eq!(rest.deadline(), Some(first + AT_MOST_EVERY));
        let later = first + AT_MOST_EVERY * 2;
        rest.put_off(later);
        assert_eq!(rest.deadline(), Some(later + QUIET));
    }
}
