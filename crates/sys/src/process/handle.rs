//! Processes that are not our children: told apart for certain, watched to their end, signalled.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::PidfdFlags;

use super::{Pid, Signal};

/// A process that its number alone does not tell: numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identified {
    /// The number.
    pub pid: Pid,
    /// When it was started, in the kernel's ticks since boot. An exec does not change it.
    pub started: u64,
}

impl Identified {
    /// The process of this number, whichever it is now.
    ///
    /// # Errors
    /// When there is none, or we may not know.
    pub fn of(pid: Pid) -> io::Result<Identified> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let started = start_time(&stat);
        let started = started.ok_or_else(|| io::Error::other("/proc/PID/stat is not readable"))?;
        Ok(Identified { pid, started })
    }

    /// A hold on this very process; `None` when it has ended, whoever has its number now.
    ///
    /// # Errors
    /// When we may not know.
    pub fn hold(&self) -> io::Result<Option<Handle>> {
        let handle = match Handle::open(self.pid) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            handle => handle?,
        };
        let now = Identified::of(self.pid);
        // Alive after the look, so what was looked at was behind the handle.
        if handle.has_ended() {
            return Ok(None);
        }
        Ok((now? == *self).then_some(handle))
    }
}

/// Field 22, behind a name that may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A hold on one process, child or not, that never comes to mean another one (a pidfd).
#[derive(Clone, Debug)]
pub struct Handle(Arc<OwnedFd>);

impl Handle {
    /// Of the process that has this number now.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(pid: Pid) -> io::Result<Handle> {
        let fd = rustix::process::pidfd_open(pid.as_rustix(), PidfdFlags::empty())?;
        Ok(Handle(Arc::new(fd)))
    }

    /// Whether it has ended, reaped or not.
    pub fn has_ended(&self) -> bool {
        crate::socket::wait_readable(self.0.as_fd(), Some(Duration::ZERO)).unwrap_or(false)
    }

    /// Sends a signal. One that has ended gets none, and nobody else does.
    ///
    /// # Errors
    /// When it has ended, or we may not.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.0, signal)?)
    }

    /// Readable as soon as it has ended.
    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.0
    }
}

/// Tells this boot of the machine from others, as start times count from it.
///
/// # Errors
/// Without `/proc`.
pub fn boot() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_confuse() {
        let fields = "S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99";
        for name in ["a", "a b) (", ") 1 2"] {
            assert_eq!(start_time(&format!("12 ({name}) {fields}")), Some(4711));
        }
        assert_eq!(start_time("12 (a) S 1"), None);
    }

    #[test]
    fn another_process_of_the_same_number_is_not_held() {
        let me = Identified::of(super::super::this()).unwrap();
        let held = me.hold().unwrap().expect("it lives");
        assert!(!held.has_ended());
        let before = Identified {
            started: me.started - 1,
            ..me
        };
        assert!(before.hold().unwrap().is_none());
    }

    #[test]
    fn one_that_has_ended_is_not_held() {
        let mut child = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        let it = Identified::of(pid).unwrap();
        let held = it.hold().unwrap().expect("it lives");
        held.signal(Signal::KILL).unwrap();
        crate::socket::wait_readable(held.fd().as_fd(), None).unwrap();
        assert!(it.hold().unwrap().is_none(), "a zombie");
        child.wait().unwrap();
        assert!(it.hold().unwrap().is_none());
        assert!(held.signal(Signal::KILL).is_err());
    }
}
