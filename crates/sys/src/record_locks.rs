//! Locks between processes that the kernel takes back from one that dies.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::memory;
use crate::process::Pid;

/// Numbered locks, each held by at most one process: record locks (fcntl(2)) on the bytes of an empty file in memory.
///
/// They belong to the process, whichever of its threads took them: it gets one it holds again, and any of its threads
/// gives it back. A fork leaves them with the parent. The kernel gives all of them back when the process ends, but
/// also when it closes any other descriptor of the same file; so there is one in each process, and it stays here.
#[derive(Debug)]
pub struct RecordLocks {
    file: OwnedFd,
}

impl RecordLocks {
    /// New locks, all free.
    ///
    /// # Errors
    /// What the kernel says about memory and descriptors.
    pub fn create() -> io::Result<Self> {
        let file = memory::memfd_empty("uwgate-locks")?;
        Ok(Self { file })
    }

    /// The locks behind an inherited descriptor of [`RecordLocks::fd`].
    pub fn adopt(file: OwnedFd) -> Self {
        Self { file }
    }

    /// For handing them to another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Waits until lock `number` is ours.
    ///
    /// # Errors
    /// `EDEADLK` when the processes that hold and want locks wait for each other in a circle, or seem to: the kernel
    /// does not know that another thread of one of them may give its lock back. What else fcntl(2) says.
    pub fn lock(&self, number: u32) -> io::Result<()> {
        self.set(number, libc::F_SETLKW, libc::F_WRLCK)
    }

    /// Takes lock `number` if no other process has it; says whether it did.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn try_lock(&self, number: u32) -> io::Result<bool> {
        match self.set(number, libc::F_SETLK, libc::F_WRLCK) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives lock `number` back; nothing happens when it is not ours.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn unlock(&self, number: u32) -> io::Result<()> {
        self.set(number, libc::F_SETLK, libc::F_UNLCK)
    }

    /// Whether another process has lock `number`.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn is_locked_elsewhere(&self, number: u32) -> io::Result<bool> {
        let mut record = record(number, libc::F_WRLCK);
        self.fcntl(libc::F_GETLK, &mut record)?;
        Ok(i32::from(record.l_type) != libc::F_UNLCK)
    }

    /// Which other process has lock `number`; `None` when none has, or one outside our pid namespace.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub fn holder(&self, number: u32) -> io::Result<Option<Pid>> {
        let mut record = record(number, libc::F_WRLCK);
        self.fcntl(libc::F_GETLK, &mut record)?;
        let is_held = i32::from(record.l_type) != libc::F_UNLCK;
        Ok(Pid::from_raw(record.l_pid).filter(|_| is_held))
    }

    fn set(&self, number: u32, command: i32, kind: i32) -> io::Result<()> {
        self.fcntl(command, &mut record(number, kind))
    }

    fn fcntl(&self, command: i32, record: &mut libc::flock) -> io::Result<()> {
        loop {
            // SAFETY: the descriptor is open, and the pointer is that of a record, which the call may fill in.
            let result = unsafe { libc::fcntl(self.file.as_raw_fd(), command, &raw mut *record) };
            if result >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// The one byte that stands for a lock.
fn record(number: u32, kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: number.into(),
        l_len: 1,
        l_pid: 0,
    }
}
