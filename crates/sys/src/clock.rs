//! Clocks: cheap ones for the hot path, precise ones for logs and statistics.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A moment on the monotonic clock, in milliseconds since some point in the past (on Linux, boot).
///
/// Pure cores take it as `now`; only shells ask [`coarse_now`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Time passed since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Millis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Millis {
    type Output = Millis;

    /// Saturates: a moment that far away never comes.
    fn add(self, wait: Duration) -> Millis {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Millis(self.0.saturating_add(wait))
    }
}

impl Sub for Millis {
    type Output = Duration;

    /// The same as [`Millis::since`].
    fn sub(self, earlier: Millis) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Now on the monotonic clock, as of the last timer tick (1 to 10 ms ago). A few nanoseconds, no system call.
pub fn coarse_now() -> Millis {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Millis(micros(now) / 1000)
}

/// Wall-clock time since the Unix epoch, as of the last timer tick. A few nanoseconds, no system call.
pub fn coarse_realtime() -> Duration {
    duration(clock_gettime(ClockId::RealtimeCoarse))
}

/// Now on the monotonic clock in microseconds, precise.
pub fn monotonic_micros() -> u64 {
    micros(clock_gettime(ClockId::Monotonic))
}

/// Wall-clock microseconds since the Unix epoch, precise.
pub fn realtime_micros() -> u64 {
    micros(clock_gettime(ClockId::Realtime))
}

fn micros(time: Timespec) -> u64 {
    u64::try_from(duration(time).as_micros()).unwrap_or(u64::MAX)
}

/// A clock set before 1970 reads as the epoch.
fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_with_std() {
        let coarse = coarse_now();
        let precise = monotonic_micros() / 1000;
        assert!(coarse.0 <= precise, "{coarse} is ahead of {precise} ms");

        let ours = coarse_realtime();
        let std = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(
            ours <= std && std - ours < Duration::from_secs(60),
            "{ours:?} against {std:?}"
        );
    }

    #[test]
    fn moments_saturate() {
        assert_eq!(Millis(5).since(Millis(9)), Duration::ZERO);
        assert_eq!(Millis(5) + Duration::MAX, Millis(u64::MAX));
    }
}
