//! Clocks: cheap ones for the hot path, precise ones for logs and statistics.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::fmt;
use std::ops::{Add, Sub};
use std::sync::OnceLock;
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

/// The local time as `ctime(3)` writes it, without its newline: `Fri Nov 20 09:45:58 2026`.
///
/// Made once a second and thread; any other call is a copy.
pub fn local_ctime() -> String {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    LAST.with_borrow_mut(|(second, text)| {
        let now = coarse_realtime().as_secs();
        if *second != now {
            *second = now;
            *text = ctime(now);
        }
        text.clone()
    })
}

fn ctime(seconds: u64) -> String {
    let Ok(seconds) = libc::time_t::try_from(seconds) else {
        return String::new();
    };
    // The longest line, that of a year with ten digits, and the terminator.
    let mut text = [0; 32];
    // SAFETY: all zeroes is a valid tm, which `localtime_r` fills; `asctime_r` writes at most 32 bytes.
    let known = unsafe {
        let mut parts = std::mem::zeroed();
        !libc::localtime_r(&raw const seconds, &raw mut parts).is_null()
            && !asctime_r(&raw const parts, text.as_mut_ptr()).is_null()
    };
    if !known {
        return String::new();
    }
    let letters = text
        .iter()
        .map(|&letter| char::from(letter.cast_unsigned()));
    letters.take_while(|letter| !letter.is_control()).collect()
}

unsafe extern "C" {
    fn asctime_r(parts: *const libc::tm, text: *mut libc::c_char) -> *mut libc::c_char;
}

/// A form of `strftime(3)`, in a time zone. Names of months and days are those of the C locale, whatever the
/// application sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeForm {
    zone: Zone,
    form: CString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Local,
    Utc,
}

/// Longest text that a form may make, in bytes.
const LONGEST_TIME: usize = 4096;

impl TimeForm {
    /// The form with the machine's time zone. A NUL byte ends it.
    pub fn local(form: &str) -> Self {
        Self::new(Zone::Local, form)
    }

    /// The form with universal time. A NUL byte ends it.
    pub fn utc(form: &str) -> Self {
        Self::new(Zone::Utc, form)
    }

    fn new(zone: Zone, form: &str) -> Self {
        let form = form.split('\0').next().unwrap_or_default();
        let form = CString::new(form).unwrap_or_default();
        Self { zone, form }
    }

    /// Appends the time that is so many seconds after 1970.
    pub fn append(&self, text: &mut Vec<u8>, seconds: u64) {
        if let Ok(seconds) = libc::time_t::try_from(seconds)
            && let Some(parts) = self.zone.parts(seconds)
        {
            append_time(text, &self.form, &parts);
        }
    }
}

impl Zone {
    fn parts(self, seconds: libc::time_t) -> Option<libc::tm> {
        let divide = match self {
            Self::Local => libc::localtime_r,
            Self::Utc => libc::gmtime_r,
        };
        // SAFETY: all zeroes is a valid tm, which the function fills from a time that lives as long as the call.
        unsafe {
            let mut parts = std::mem::zeroed();
            let known = !divide(&raw const seconds, &raw mut parts).is_null();
            known.then_some(parts)
        }
    }
}

fn append_time(text: &mut Vec<u8>, form: &CStr, parts: &libc::tm) {
    let start = text.len();
    let mut room = 64;
    // It says 0 when the room is too small, and when there is nothing to write.
    while room <= LONGEST_TIME && !form.is_empty() {
        text.resize(start + room, 0);
        // SAFETY: `room` bytes lie behind `start`; form and parts are valid, and the locale is never freed.
        let written = unsafe {
            strftime_l(
                text[start..].as_mut_ptr().cast(),
                room,
                form.as_ptr(),
                parts,
                c_locale(),
            )
        };
        if written > 0 {
            return text.truncate(start + written);
        }
        room *= 4;
    }
    text.truncate(start);
}

fn c_locale() -> libc::locale_t {
    static LOCALE: OnceLock<usize> = OnceLock::new();
    // SAFETY: the name is a C string and there is no base to be changed. The C locale always exists.
    let locale = LOCALE.get_or_init(|| unsafe {
        libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), std::ptr::null_mut()) as usize
    });
    *locale as libc::locale_t
}

unsafe extern "C" {
    fn strftime_l(
        text: *mut libc::c_char,
        room: libc::size_t,
        form: *const libc::c_char,
        parts: *const libc::tm,
        locale: libc::locale_t,
    ) -> libc::size_t;
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
    fn the_local_time_reads_like_ctime() {
        let now = local_ctime();
        assert_eq!(now.len(), 24, "{now}");
        assert_eq!(now.split_whitespace().count(), 5, "{now}");
    }

    #[test]
    fn forms_are_filled() {
        let text = |form: &TimeForm| {
            let mut text = b"at ".to_vec();
            form.append(&mut text, 1_795_188_828);
            String::from_utf8(text).unwrap()
        };
        let form = TimeForm::utc("%d/%b/%Y:%H:%M:%S %z");
        assert_eq!(text(&form), "at 20/Nov/2026:15:33:48 +0000");
        assert_eq!(text(&TimeForm::utc("")), "at ");
        assert_eq!(text(&TimeForm::utc("%%\0%Y")), "at %");
        let long = TimeForm::utc(&"%Y".repeat(500));
        assert_eq!(text(&long).len(), 2003);
        assert_eq!(text(&TimeForm::local("%e")).len(), 5);
    }

    #[test]
    fn moments_saturate() {
        assert_eq!(Millis(5).since(Millis(9)), Duration::ZERO);
        assert_eq!(Millis(5) + Duration::MAX, Millis(u64::MAX));
    }
}
