//! How often the touches of one configuration are obeyed: the first at once, those of a file that is written all the
//! time ever more slowly, so that one vassal does not keep the machine busy with reloads.

use std::time::Duration;

use uwgate_supervisor::Millis;

/// Between two, at first.
const GAP: Duration = Duration::from_millis(250);

/// Between two, at most.
const WIDEST: Duration = Duration::from_secs(5);

/// Without any for so long, all is as at first.
const FORGET: Duration = Duration::from_secs(10);

/// Touches of one vassal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacing {
    due: Option<Millis>,
    last: Option<Millis>,
    gap: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            due: None,
            last: None,
            gap: GAP,
        }
    }
}

impl Pacing {
    /// It was touched.
    pub(super) fn ask(&mut self, now: Millis) {
        let soonest = self.last.map_or(now, |last| last + self.gap);
        self.due = Some(self.due.unwrap_or_else(|| soonest.max(now)));
    }

    /// When to obey.
    pub(super) fn due(&self) -> Option<Millis> {
        self.due
    }

    /// Whether to obey now.
    pub(super) fn take(&mut self, now: Millis) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        let quiet = self.last.is_none_or(|last| now.since(last) > FORGET);
        self.gap = match quiet {
            true => GAP,
            false => (self.gap * 2).min(WIDEST),
        };
        self.due = None;
        self.last = Some(now);
        true
    }

    /// How far apart touches are obeyed, if they come so often that this has become as far as it gets.
    pub(super) fn widest_gap(&self, now: Millis) -> Option<Duration> {
        let is_recent = self.last.is_some_and(|last| now.since(last) <= FORGET);
        (is_recent && self.gap == WIDEST).then_some(WIDEST)
    }

    /// What was asked for is done, or needless.
    pub(super) fn cancel(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_obeyed_at_once_and_a_flood_ever_more_slowly() {
        let mut pacing = Pacing::default();
        let mut obeyed = Vec::new();
        for now in (0..60_000).step_by(60) {
            pacing.ask(Millis(now));
            if pacing.take(Millis(now)) {
                obeyed.push(now);
            }
        }
        assert_eq!(obeyed[0], 0);
        assert!(obeyed[1] < 1000, "{obeyed:?}");
        assert!(obeyed.len() < 20, "{obeyed:?}");
        assert_eq!(pacing.widest_gap(Millis(60_000)), Some(WIDEST));
        assert_eq!(pacing.widest_gap(Millis(80_000)), None);
        let later = Millis(100_000);
        pacing.cancel();
        pacing.ask(later);
        assert!(pacing.take(later));
        pacing.ask(later);
        assert_eq!(pacing.due(), Some(later + GAP));
    }
}
