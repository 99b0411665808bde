//! Forking without exec: only the zygote does it, with one thread.

use std::io;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Pid, reap, this, wait_for_adoption};

/// Which of the two processes this is after a [`fork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The one that called, and its new child (with [`fork_adopted`]: what was its grandchild).
    Parent(Pid),
    /// The new one.
    Child,
}

/// Copies this process.
///
/// # Safety
/// The process has exactly one thread ([`thread_count`] is 1). Otherwise the child may find any lock, the
/// allocator's included, held for ever by a thread it does not have, and may only make async-signal-safe calls
/// until it execs or [`exit_now`]s.
///
/// An interpreter in the process is to be told before and after (`PyOS_BeforeFork` and its kin).
pub unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: the caller vouches for a single thread.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        raw => Pid::from_raw(raw)
            .map(Fork::Parent)
            .ok_or_else(io::Error::last_os_error),
    }
}

/// Forks twice and lets the process in the middle end, so that the new process is adopted by the nearest subreaper
/// (the master; else init) and reaped there, not here. Returns in the child only after the adoption, so that a death signal set
/// from then on is about the adopter.
///
/// The parent gets the pid of the new process. If the second fork fails, the parent gets the error.
///
/// # Safety
/// As for [`fork`].
///
/// A process that is a subreaper itself adopts the child and has to reap it.
pub unsafe fn fork_adopted() -> io::Result<Fork> {
    let (mut news, teller) = io::pipe()?;
    // SAFETY: the caller vouches for a single thread.
    let Fork::Parent(middle) = (unsafe { fork()? }) else {
        drop(news);
        let middle = this();
        // SAFETY: still a single thread: this is a copy of one that had one.
        let second = unsafe { fork() };
        if matches!(second, Ok(Fork::Child)) {
            drop(teller);
            wait_for_adoption(middle);
            return Ok(Fork::Child);
        }
        tell_and_exit(teller.as_fd(), second);
    };
    drop(teller);
    let mut answer = [0; 4];
    let heard = news.read_exact(&mut answer);
    reap(middle)?;
    heard.map_err(|_| io::Error::other("the process in the middle of a double fork died"))?;
    let answer = i32::from_ne_bytes(answer);
    Pid::from_raw(answer)
        .map(Fork::Parent)
        .ok_or_else(|| io::Error::from_raw_os_error(-answer))
}

/// Sends the pid, or the negated errno.
fn tell_and_exit(teller: BorrowedFd<'_>, second: io::Result<Fork>) -> ! {
    let answer = match second {
        Ok(Fork::Parent(pid)) => pid.as_raw(),
        Ok(Fork::Child) => 0,
        Err(error) => -error.raw_os_error().unwrap_or(libc::EAGAIN),
    };
    let _ = rustix::io::retry_on_intr(|| rustix::io::write(teller, &answer.to_ne_bytes()));
    exit_now(0)
}

/// Ends the process at once: no exit handlers, no destructors, no flushing of C streams.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit is always allowed; it does not return.
    unsafe { libc::_exit(code) }
}

/// Threads of this process now, from `/proc/self/task`; 1 means that [`fork`] is safe.
pub fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}
