//! How the kernel's scheduler treats the calling thread, and what that comes to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// What becomes of whoever has the CPU when the thread has something to do again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It may be interrupted for the thread (`SCHED_OTHER`).
    Interrupts,
    /// It goes on until it waits for something, or its time is up (`SCHED_BATCH`).
    Waits,
}

/// The policy of the calling thread; `None` for one that somebody has given it on purpose: another one, or a priority
/// above the ordinary.
pub fn policy() -> Option<Policy> {
    // SAFETY: takes a number and returns one; 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    let ordinary = rustix::process::getpriority_process(None).is_ok_and(|nice| nice >= 0);
    match policy {
        _ if !ordinary => None,
        libc::SCHED_OTHER => Some(Policy::Interrupts),
        libc::SCHED_BATCH => Some(Policy::Waits),
        _ => None,
    }
}

/// Changes it for the calling thread. The threads and processes that it starts from now on begin with the same.
///
/// # Errors
/// `EPERM` where a filter of system calls forbids it.
pub fn set_policy(policy: Policy) -> io::Result<()> {
    let policy = match policy {
        Policy::Interrupts => libc::SCHED_OTHER,
        Policy::Waits => libc::SCHED_BATCH,
    };
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: `priority` outlives the call, which only reads it; 0 is the calling thread.
    let set = unsafe { libc::sched_setscheduler(0, policy, &raw const priority) };
    match set {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What the calling thread has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time.
    pub cpu: Duration,
    /// How often it had to wait for something that is not a CPU.
    pub waits: u64,
}

/// What the calling thread has used.
pub fn usage() -> Usage {
    // SAFETY: all zeroes is a valid rusage, which is plain integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: writes to `usage`, which outlives the call.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    Usage {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        waits: u64::try_from(usage.ru_nvcsw).unwrap_or(0),
    }
}

/// How long a thread had to wait for a CPU.
#[derive(Debug)]
pub struct Queueing(File);

/// What there is in [`Queueing`], since the thread began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// How long it was ready without running.
    pub time: Duration,
    /// How often it was given a CPU.
    pub turns: u64,
}

impl Queueing {
    /// Of the calling thread, from whichever thread it is read.
    ///
    /// # Errors
    /// `NotFound` without `/proc`, or in a kernel that does not keep account of it.
    pub fn of_this_thread() -> io::Result<Self> {
        File::open("/proc/thread-self/schedstat").map(Self)
    }

    /// What it is now.
    ///
    /// # Errors
    /// `InvalidData` when the kernel says something else than three numbers; that of the read.
    pub fn read(&self) -> io::Result<Queued> {
        let mut text = [0; 96];
        let len = self.0.read_at(&mut text, 0)?;
        let text = text.get(..len).and_then(|text| str::from_utf8(text).ok());
        parse(text.unwrap_or_default()).ok_or(io::ErrorKind::InvalidData.into())
    }
}

/// Nanoseconds on a CPU, nanoseconds waiting for one, turns.
fn parse(text: &str) -> Option<Queued> {
    let mut numbers = text.split_ascii_whitespace().skip(1);
    Some(Queued {
        time: Duration::from_nanos(numbers.next()?.parse().ok()?),
        turns: numbers.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_account_is_understood() {
        let queued = parse("1000000 2000500 7\n").unwrap();
        assert_eq!(queued.time, Duration::from_nanos(2_000_500));
        assert_eq!(queued.turns, 7);
        assert_eq!(parse("1 2"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_policy_is_this_threads() {
        let thread = || {
            if policy() != Some(Policy::Interrupts) || set_policy(Policy::Waits).is_err() {
                return; // Something around these tests has settled it.
            }
            assert_eq!(policy(), Some(Policy::Waits));
            set_policy(Policy::Interrupts).unwrap();
            assert_eq!(policy(), Some(Policy::Interrupts));
        };
        let before = policy();
        std::thread::spawn(thread).join().unwrap();
        assert_eq!(policy(), before);
    }

    #[test]
    fn waiting_counts() {
        let before = usage();
        std::thread::sleep(Duration::from_millis(1));
        let after = usage();
        assert!(after.waits > before.waits && after.cpu >= before.cpu);
        if let Ok(queueing) = Queueing::of_this_thread() {
            assert!(queueing.read().unwrap().turns > 0);
        }
    }
}
