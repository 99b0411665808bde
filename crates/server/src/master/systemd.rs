//! What systemd is told (sd_notify(3)): when the instance serves, reloads and stops, and that it is alive.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with,
};
use uwgate_sys::clock::{Millis, coarse_now};

/// The way to the service manager, if there is one that wants to be told.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    to: Option<(OwnedFd, SocketAddrUnix)>,
    /// How often to say that we are alive; half of what the manager waits.
    every: Option<Duration>,
    next: Option<Millis>,
}

/// Whether a service manager waits for news.
pub(crate) fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| address(&socket).is_some())
}

fn address(socket: &OsStr) -> Option<SocketAddrUnix> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name).ok(),
        path @ [b'/', ..] => SocketAddrUnix::new(path).ok(),
        _ => None,
    }
}

impl Notifier {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(crate) fn of_environment() -> Self {
        let Some(to) = std::env::var_os("NOTIFY_SOCKET").and_then(|socket| address(&socket)) else {
            return Self::default();
        };
        let (flags, kind) = (
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            SocketType::DGRAM,
        );
        let Ok(socket) = socket_with(AddressFamily::UNIX, kind, flags, None) else {
            return Self::default();
        };
        let var = |name| std::env::var(name).ok();
        let every = watchdog(
            var("WATCHDOG_USEC"),
            var("WATCHDOG_PID"),
            std::process::id(),
        );
        Self {
            to: Some((socket, to)),
            every,
            next: every.map(|_| coarse_now()),
        }
    }

    /// The application serves, for the first time or again.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// New code is being loaded; [`ready`](Self::ready) follows, whatever comes of it.
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"
        ));
    }

    /// No more requests are taken.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    /// When to say that we are alive.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.next
    }

    /// Says that we are alive, if it is time to.
    pub(crate) fn handle_time(&mut self, now: Millis) {
        if let (Some(every), Some(next)) = (self.every, self.next)
            && next <= now
        {
            self.next = Some(now + every);
            self.send("WATCHDOG=1");
        }
    }

    /// A manager that does not listen is its own problem.
    fn send(&self, message: &str) {
        if let Some((socket, to)) = &self.to {
            let _ = sendto(socket, message.as_bytes(), SendFlags::NOSIGNAL, to);
        }
    }
}

/// Half of the manager's patience, so that one late message is no death.
fn watchdog(micros: Option<String>, pid: Option<String>, this: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(this)) {
        return None;
    }
    let patience = Duration::from_micros(micros?.parse().ok()?);
    (patience > Duration::ZERO).then(|| (patience / 2).max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_asked() {
        let some = |text: &str| Some(text.to_owned());
        let every = |micros, pid| watchdog(micros, pid, 7);
        assert_eq!(
            every(some("3000000"), None),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            every(some("3000000"), some("7")),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(every(some("3000000"), some("8")), None);
        assert_eq!(every(some("0"), None), None);
        assert_eq!(every(some("soon"), None), None);
        assert_eq!(every(None, some("7")), None);
    }

    #[test]
    fn sockets_are_paths_or_abstract_names() {
        assert!(address("/run/systemd/notify".as_ref()).is_some());
        assert!(address("@notify".as_ref()).is_some());
        for other in ["", "vsock:2:1", "relative"] {
            assert!(address(other.as_ref()).is_none(), "{other}");
        }
    }
}
