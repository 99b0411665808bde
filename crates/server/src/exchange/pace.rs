use std::time::{Duration, Instant};

/// Pieces that follow one another faster than this are worth gathering, and so long a gathered one waits at most.
pub(super) const MOMENT: Duration = Duration::from_millis(1);

/// So many in a row make a torrent. With fewer it would cost more to have them attended to than to send each at once.
const TORRENT: u8 = 8;

/// How fast an application makes the pieces of its answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    quick: u8,
}

impl Pace {
    /// Notes that a piece came at `now`. Whether it is one of a torrent.
    pub(super) fn note(&mut self, now: Instant) -> bool {
        let quick = self
            .last
            .replace(now)
            .is_some_and(|last| now.saturating_duration_since(last) < MOMENT);
        self.quick = match quick {
            true => self.quick.saturating_add(1),
            false => 0,
        };
        self.quick >= TORRENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_quick_pieces_in_a_row_are_a_torrent() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut next = |after: Duration| {
            now += after;
            pace.note(now)
        };
        for _ in 0..3 {
            assert!(!next(MOMENT), "after a pause");
            for _ in 1..TORRENT {
                assert!(!next(MOMENT / 2));
            }
            assert!(next(MOMENT / 2) && next(Duration::ZERO));
        }
    }
}
