//! Whose time is up: from what is seen of the cores and the time now to a verdict. Pure.

use std::time::Duration;

use uwgate_sys::clock::Millis;

use crate::exchange::Sight;

/// What the options say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How long a request may be in the application (`harakiri`); `None` is for ever.
    pub(crate) limit: Option<Duration>,
    /// How long after its time a request has for an orderly end (`harakiri-graceful-timeout`).
    pub(crate) grace: Option<Duration>,
}

/// What is to be done about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its time is up, but not enough connections wait for that to matter. Said once.
    Pass,
    /// It waits for its client: cut the connection, and the application may go on without.
    Cut,
    /// Ask it to end.
    Ask,
    /// End it.
    End,
}

/// A core's request and how far things have come with it.
#[derive(Debug, Clone, Copy, Default)]
struct Case {
    number: u64,
    step: Step,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Fresh,
    Passed,
    /// Something was done that may help; it has until then.
    Waiting(Millis),
    Ended,
}

/// How long an application may take to notice that its client is gone.
const AFTER_CUT: Duration = Duration::from_secs(2);

/// How soon a request is looked at again whose time is up at no harm.
const AGAIN: Duration = Duration::from_secs(1);

/// The judge of one worker; remembers what was done about whom.
#[derive(Debug)]
pub(crate) struct Judge {
    rules: Rules,
    cases: Vec<Case>,
}

impl Judge {
    pub(crate) fn new(rules: Rules, cores: usize) -> Self {
        Self {
            rules,
            cases: vec![Case::default(); cores],
        }
    }

    /// When a request is to be looked at next, at the latest. A request that begins later than `now` is not due sooner.
    pub(crate) fn idle_until(&self, now: Millis) -> Option<Millis> {
        self.rules.limit.map(|limit| now + limit)
    }

    /// Judges what is seen of a core. `matters` is asked when a request's time is up: whether anybody is kept waiting.
    /// Says as well when to look at this request again.
    pub(crate) fn judge(
        &mut self,
        core: usize,
        sight: Sight,
        now: Millis,
        matters: impl FnOnce() -> bool,
    ) -> (Option<Verdict>, Option<Millis>) {
        let Some(case) = self.cases.get_mut(core) else {
            return (None, None);
        };
        if case.number != sight.number {
            *case = Case {
                number: sight.number,
                step: Step::Fresh,
            };
        }
        let Some(until) = time_of(self.rules, case.step, sight) else {
            return (None, None);
        };
        if now < until {
            return (None, Some(until));
        }
        let first = matches!(case.step, Step::Fresh | Step::Passed);
        if first && !matters() {
            let said = std::mem::replace(&mut case.step, Step::Passed) == Step::Passed;
            return (Some(Verdict::Pass).filter(|_| !said), Some(now + AGAIN));
        }
        let (verdict, patience) = match self.rules.grace {
            _ if first && sight.waits => (Verdict::Cut, Some(AFTER_CUT)),
            Some(grace) if first => (Verdict::Ask, Some(grace)),
            _ => (Verdict::End, None),
        };
        let until = patience.map(|patience| now + patience);
        case.step = until.map_or(Step::Ended, Step::Waiting);
        (Some(verdict), until)
    }
}

/// When the next thing is to be done about a request.
fn time_of(rules: Rules, step: Step, sight: Sight) -> Option<Millis> {
    match step {
        Step::Fresh | Step::Passed => {
            let limit = rules.limit.map(|limit| sight.since + limit);
            [limit, sight.wish].into_iter().flatten().min()
        }
        Step::Waiting(until) => Some(until),
        Step::Ended => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn sight(number: u64, since: u64) -> Sight {
        Sight {
            number,
            since: Millis(since),
            wish: None,
            waits: false,
        }
    }

    fn judge(grace: u64) -> Judge {
        let grace = Some(Duration::from_secs(grace)).filter(|grace| !grace.is_zero());
        let limit = Some(LIMIT);
        Judge::new(Rules { limit, grace }, 2)
    }

    #[test]
    fn each_core_has_its_own_clock() {
        let mut judge = judge(0);
        let mut at = |core, sight, now| judge.judge(core, sight, Millis(now), || true);
        assert_eq!(at(0, sight(1, 500), 1000), (None, Some(Millis(10_500))));
        assert_eq!(at(1, sight(1, 9_000), 10_499).0, None);
        assert_eq!(at(0, sight(1, 500), 10_500), (Some(Verdict::End), None));
        assert_eq!(at(0, sight(1, 500), 99_000), (None, None), "once");
        assert_eq!(at(1, sight(1, 9_000), 10_500).0, None);
        assert_eq!(at(0, sight(2, 10_600), 10_700).1, Some(Millis(20_600)));
    }

    #[test]
    fn an_orderly_end_is_asked_for_first() {
        let mut judge = judge(3);
        let mut at = |sight, now| judge.judge(0, sight, Millis(now), || true);
        assert_eq!(
            at(sight(1, 0), 10_000),
            (Some(Verdict::Ask), Some(Millis(13_000)))
        );
        assert_eq!(at(sight(1, 0), 12_999).0, None);
        assert_eq!(at(sight(1, 0), 13_000).0, Some(Verdict::End));
        assert_eq!(at(sight(2, 13_000), 13_001).0, None);
    }

    #[test]
    fn who_waits_for_a_client_is_rid_of_it_first() {
        let mut judge = judge(3);
        let slow = Sight {
            waits: true,
            ..sight(1, 0)
        };
        let (verdict, next) = judge.judge(0, slow, Millis(10_000), || true);
        assert_eq!((verdict, next), (Some(Verdict::Cut), Some(Millis(12_000))));
        let (verdict, _) = judge.judge(0, slow, Millis(12_000), || true);
        assert_eq!(verdict, Some(Verdict::End));
    }

    #[test]
    fn the_application_may_want_less() {
        let mut judge = judge(0);
        let wish = Sight {
            wish: Some(Millis(2_000)),
            ..sight(1, 0)
        };
        assert_eq!(
            judge.judge(0, wish, Millis(1_999), || true).1,
            Some(Millis(2_000))
        );
        assert_eq!(
            judge.judge(0, sight(1, 0), Millis(2_500), || true).0,
            None,
            "taken back"
        );
        assert_eq!(
            judge.judge(0, wish, Millis(2_500), || true).0,
            Some(Verdict::End)
        );
    }

    #[test]
    fn nobody_is_ended_at_no_use() {
        let mut judge = judge(0);
        let (verdict, next) = judge.judge(0, sight(1, 0), Millis(10_000), || false);
        assert_eq!((verdict, next), (Some(Verdict::Pass), Some(Millis(11_000))));
        let (verdict, next) = judge.judge(0, sight(1, 0), Millis(11_000), || false);
        assert_eq!((verdict, next), (None, Some(Millis(12_000))), "said once");
        let (verdict, _) = judge.judge(0, sight(1, 0), Millis(12_000), || true);
        assert_eq!(verdict, Some(Verdict::End));
    }

    /// A small generator: the seed says it all.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    /// Many cores with requests of any length, looked at whenever the judge has asked for it: whoever stays beyond its
    /// time is ended, once and in time, and nobody else ever is.
    #[test]
    fn who_overstays_is_ended_in_time_and_nobody_else() {
        for seed in 1..200 {
            let mut dice = Dice(seed * 0x9e37_79b9);
            let grace = dice.below(2) * 3_000;
            let rules = Rules {
                limit: Some(LIMIT),
                grace: Some(Duration::from_millis(grace)).filter(|grace| !grace.is_zero()),
            };
            let cores = 1 + usize::try_from(dice.below(4)).unwrap();
            let mut judge = Judge::new(rules, cores);
            let allowed = 10_000 + grace;
            // Of each core: the request, when it began, and when it would end by itself.
            let mut now = 0;
            let begin =
                |number: u64, now: u64, dice: &mut Dice| (number, now, now + dice.below(20_000));
            let mut requests: Vec<_> = (0..cores).map(|_| begin(1, now, &mut dice)).collect();
            while now < 200_000 {
                let mut next = judge.idle_until(Millis(now)).unwrap().0;
                for (core, request) in requests.iter_mut().enumerate() {
                    let (number, since, end) = *request;
                    if end <= now {
                        assert!(
                            end - since <= allowed,
                            "seed {seed}: {request:?} was never ended"
                        );
                        *request = begin(number + 1, now, &mut dice);
                    }
                    let (number, since, _) = *request;
                    let (verdict, again) =
                        judge.judge(core, sight(number, since), Millis(now), || true);
                    if verdict == Some(Verdict::End) {
                        assert_eq!(now, since + allowed, "seed {seed}: core {core}");
                        *request = begin(number + 1, now, &mut dice);
                    }
                    next = again.map_or(next, |again| next.min(again.0));
                }
                // It wakes when it has asked to, or earlier for whatever reason.
                now = next.min(now + 1 + dice.below(5_000));
            }
        }
    }
}
