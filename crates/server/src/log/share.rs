//! What the processes of an instance share about their log: who writes just now, and how often files were reopened.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::futex;
use rustix::time::Timespec;
use uwgate_sys::memory::SharedSlice;
use uwgate_sys::process::{self, Pid};

uwgate_sys::shared_struct! {
    struct Page {
        /// 0, or the process that writes, with [`AWAITED`].
        holder: AtomicU32,
        /// Counts the times that files were reopened.
        epoch: AtomicU32,
    }
}

/// Set in `holder` when somebody sleeps until it is free.
const AWAITED: u32 = 1 << 31;

/// How long to sleep before a look whether the holder still lives.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// A page of shared memory.
#[derive(Debug)]
pub(crate) struct LogShare(SharedSlice<Page>);

impl LogShare {
    /// A new page, for the master to make.
    ///
    /// # Errors
    /// What the kernel says about memory and descriptors.
    pub(crate) fn create() -> io::Result<Self> {
        SharedSlice::create(1).map(Self)
    }

    /// The page behind an inherited descriptor.
    ///
    /// # Errors
    /// `InvalidData` when it is none.
    pub(crate) fn attach(fd: OwnedFd) -> io::Result<Self> {
        SharedSlice::attach(fd, 1).map(Self)
    }

    /// For handing it to a child.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Another handle of the same page.
    ///
    /// # Errors
    /// What the kernel says about descriptors.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Self::attach(self.fd().try_clone_to_owned()?)
    }

    /// How often files were reopened.
    pub(crate) fn epoch(&self) -> u32 {
        self.0[0].epoch.load(Ordering::Relaxed)
    }

    /// Has every process open its files anew before its next line.
    pub(crate) fn begin_epoch(&self) {
        self.0[0].epoch.fetch_add(1, Ordering::Release);
    }

    /// Waits until nobody else writes. A pipe takes no more than 4096 bytes at once from one writer, so lines that
    /// several share would break into each other.
    ///
    /// `None` when the holder was stopped (SIGSTOP) in the middle: a line that may be torn is better than a worker that
    /// waits for a debugger. The turn of one that has died is taken over.
    pub(crate) fn turn(&self) -> Option<Turn<'_>> {
        let holder = &self.0[0].holder;
        let me = std::process::id() & !AWAITED;
        let take = |from, to| {
            holder
                .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        if take(0, me) {
            return Some(Turn { holder });
        }
        loop {
            let now = holder.load(Ordering::Relaxed);
            // Whoever has slept does not know who else sleeps.
            if now == 0 && take(0, me | AWAITED) {
                return Some(Turn { holder });
            }
            if now == 0 || (now & AWAITED == 0 && !take(now, now | AWAITED)) {
                continue;
            }
            let slept = futex::wait(holder, futex::Flags::empty(), now | AWAITED, Some(&LOOK));
            if slept != Err(rustix::io::Errno::TIMEDOUT) {
                continue;
            }
            match State::of(now & !AWAITED) {
                State::Gone if take(now | AWAITED, me | AWAITED) => return Some(Turn { holder }),
                State::Gone | State::Running => {}
                State::Stopped => return None,
            }
        }
    }
}

/// The right to write. Dropping it lets the next one.
pub(crate) struct Turn<'s> {
    holder: &'s AtomicU32,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.holder.swap(0, Ordering::Release) & AWAITED != 0 {
            let _ = futex::wake(self.holder, futex::Flags::empty(), 1);
        }
    }
}

/// What a process that holds a turn is doing.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Gone,
}

impl State {
    fn of(pid: u32) -> Self {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| process::exists(*pid)) else {
            return Self::Gone;
        };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw()));
        // The state follows the name, which may hold anything.
        let letter = stat.as_deref().ok().and_then(|stat| {
            let (_, rest) = stat.rsplit_once(") ")?;
            rest.chars().next()
        });
        match letter {
            Some('T' | 't') => Self::Stopped,
            Some('Z' | 'X') => Self::Gone,
            _ => Self::Running,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn one_writes_at_a_time() {
        let share = LogShare::create().unwrap();
        let inside = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let turn = share.turn().unwrap();
                        assert!(!inside.swap(true, Ordering::SeqCst));
                        inside.store(false, Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
        assert_eq!(share.0[0].holder.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_turn_of_the_dead_is_taken_over() {
        let share = LogShare::create().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        share.0[0].holder.store(pid, Ordering::Relaxed);
        assert!(share.turn().is_some());
    }

    #[test]
    fn nobody_waits_for_the_stopped() {
        let share = LogShare::create().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        process::kill(pid, process::Signal::STOP).unwrap();
        share.0[0].holder.store(child.id(), Ordering::Relaxed);
        assert!(share.turn().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
