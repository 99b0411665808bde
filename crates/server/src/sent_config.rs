//! A vassal's configuration that does not stand in a file: the emperor sends it on `UWSGI_EMPEROR_FD_CONFIG`, in a packet
//! of uWSGI's, once when the vassal starts and again each time the vassal asks for it (byte 2 of the dialogue).

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uwgate_sys::{process, socket};

/// The variable that names the descriptor.
const VARIABLE: &str = "UWSGI_EMPEROR_FD_CONFIG";

/// How an option names such a configuration.
const SCHEME: &[u8] = b"emperor://";

/// uWSGI's number for such a packet.
const PACKET: u8 = 115;

/// An emperor answers at once, unless it is in trouble itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Taken once, kept for reloads, and another one from each emperor.
static SOCKET: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Whether an emperor sends this instance its configuration.
pub(crate) fn is_sent() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The configuration, if these arguments ask for it. Waits for the emperor; on a reload it must have been asked before.
///
/// The inner error is one sentence: why there is none.
pub fn receive(args: &[OsString]) -> Option<Result<Vec<u8>, String>> {
    let asks = |arg: &OsString| {
        let mut windows = arg.as_bytes().windows(SCHEME.len());
        windows.any(|part| part == SCHEME)
    };
    args.iter().any(asks).then(|| {
        let mut socket = SOCKET.lock().unwrap_or_else(PoisonError::into_inner);
        let fd = match socket.take() {
            Some(fd) => fd,
            None => take().map_err(|error| format!("{VARIABLE}: {error}"))?,
        };
        let fd = socket.insert(fd);
        let text = read_latest(fd.as_fd(), Instant::now() + PATIENCE);
        text.map_err(|error| format!("the emperor has not sent it: {error}"))
    })
}

/// From now on it comes here.
pub(crate) fn renew(socket: OwnedFd) -> io::Result<()> {
    socket::set_nonblocking(socket.as_fd(), true)?;
    *SOCKET.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    Ok(())
}

fn take() -> io::Result<OwnedFd> {
    let number = std::env::var(VARIABLE).map_err(|_| io::Error::other("there is no emperor"))?;
    let number: RawFd = number.parse().map_err(io::Error::other)?;
    let fd = process::inherited(number)?;
    socket::set_nonblocking(fd.as_fd(), true)?;
    Ok(fd)
}

/// Answers to earlier questions that nobody waited for come before the one to the last.
fn read_latest(fd: BorrowedFd<'_>, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut text = read_packet(fd, deadline)?;
    while socket::waiting(fd)? > 0 {
        text = read_packet(fd, deadline)?;
    }
    Ok(text)
}

fn read_packet(fd: BorrowedFd<'_>, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    read_all(fd, &mut head, deadline)?;
    let [modifier, low, high, _] = head;
    if modifier != PACKET {
        return Err(io::Error::other(format!(
            "a packet {modifier} came instead"
        )));
    }
    let mut text = vec![0; usize::from(u16::from_le_bytes([low, high]))];
    read_all(fd, &mut text, deadline)?;
    Ok(text)
}

fn read_all(fd: BorrowedFd<'_>, mut rest: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if !socket::wait_readable(fd, Some(left))? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match socket::recv(fd, rest)? {
            Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(len) => rest = rest.get_mut(len..).unwrap_or_default(),
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (mut emperor, vassal) = UnixStream::pair().expect("sockets");
        vassal.set_nonblocking(true).expect("a socket");
        emperor.write_all(bytes).expect("there is room");
        drop(emperor);
        read_latest(vassal.as_fd(), Instant::now() + PATIENCE)
    }

    #[test]
    fn the_last_of_several_answers_counts() {
        assert_eq!(read(b"s\x03\0\0abc").expect("one"), b"abc");
        assert_eq!(read(b"s\0\0\0").expect("an empty one"), b"");
        assert_eq!(read(b"s\x03\0\0olds\x03\0\0new").expect("two"), b"new");
        for bad in [&b""[..], b"s\x03\0\0ab", b"t\x03\0\0abc", b"s"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
