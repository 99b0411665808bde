//! A place in the file system where a process finds another that it has lost: whoever calls is known by its pid,
//! and has a [`Channel`] to the one that waits there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::net::SocketFlags;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::channel::Channel;
use crate::socket::{PeerCredentials, peer_credentials};

/// So many callers wait; the others call again.
const QUEUE: i32 = 1024;

/// Where somebody waits for callers.
#[derive(Debug)]
pub struct Meeting(Arc<OwnedFd>);

impl Meeting {
    /// Takes the place of whoever waited at `path` before, so make sure that nobody does. Any user may call.
    ///
    /// # Errors
    /// What the kernel says; a path is at most 107 bytes long.
    pub fn open(path: &Path) -> io::Result<Meeting> {
        let name = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET.nonblocking(), None)?;
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(0o666))?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => socket.bind(&name)?,
        }
        // The umask has had its say.
        rustix::fs::chmod(path, Mode::from_raw_mode(0o666))?;
        socket.listen(QUEUE)?;
        Ok(Meeting(Arc::new(socket.into())))
    }

    /// The next caller; `None` when nobody waits.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn accept(&self) -> io::Result<Option<(Channel, PeerCredentials)>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(&self.0, flags) {
            Ok(fd) => {
                let peer = peer_credentials(fd.as_fd())?;
                Ok(Some((Channel::adopt(fd)?, peer)))
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Readable when somebody calls.
    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.0
    }
}

/// Calls at `path`; whoever waits there, and who that is. Waits for nothing.
///
/// # Errors
/// Nobody waits there, or too many call.
pub fn call(path: &Path) -> io::Result<(Channel, PeerCredentials)> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET.nonblocking(), None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    let fd: OwnedFd = socket.into();
    let peer = peer_credentials(fd.as_fd())?;
    Ok((Channel::adopt(fd)?, peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_known_and_hands_something_over() {
        let dir = std::env::temp_dir().join(format!("uwgate-meeting-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("call");
        assert!(call(&path).is_err());
        drop(Meeting::open(&path).unwrap());
        let meeting = Meeting::open(&path).unwrap();
        assert!(meeting.accept().unwrap().is_none());
        let (caller, waits) = call(&path).unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        caller.send(b"hello", &[theirs.as_fd()]).unwrap();
        drop((caller, ours));
        let (channel, calls) = meeting.accept().unwrap().expect("a caller");
        assert_eq!(
            (calls.pid, calls.uid),
            (Some(crate::process::this()), waits.uid)
        );
        let mut text = [0; 16];
        let received = channel.recv(&mut text).unwrap();
        assert_eq!(
            (&text[..received.len], received.fds.len()),
            (&b"hello"[..], 1)
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
