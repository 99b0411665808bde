//! Message channels between two of our processes: a `SOCK_SEQPACKET` pair that keeps message boundaries,
//! carries descriptors, and ends when the last holder of the other side is gone.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use rustix::io::retry_on_intr;
use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// The most descriptors that one message can carry.
pub const MAX_FDS: usize = 64;

const CONTROL_SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_FDS));

/// Two connected ends, both blocking and close-on-exec. Give one to the other process and drop it here,
/// so that each side sees the end when the other dies.
pub fn pair() -> io::Result<(Channel, Channel)> {
    let (one, other) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((Channel { fd: one }, Channel { fd: other }))
}

/// One end of a [`pair`].
///
/// A nonblocking channel answers [`io::ErrorKind::WouldBlock`], so that it fits tokio's `AsyncFd`.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
}

/// One message, whose bytes are in the buffer given to [`Channel::recv`].
#[derive(Debug)]
pub struct Received {
    /// Bytes of the message; 0 only at the end.
    pub len: usize,
    /// Descriptors that came with it, close-on-exec, in the order of sending.
    pub fds: Vec<OwnedFd>,
}

impl Received {
    /// Whether this is no message but the end: nobody holds the other side any more.
    pub fn is_eof(&self) -> bool {
        self.len == 0
    }
}

impl Channel {
    /// Takes over an end that came from elsewhere (an inherited or received descriptor).
    /// `InvalidInput` when it is no unix `SOCK_SEQPACKET` socket.
    pub fn adopt(fd: OwnedFd) -> io::Result<Channel> {
        if socket_domain(&fd)? != AddressFamily::UNIX || socket_type(&fd)? != SocketType::SEQPACKET
        {
            return Err(invalid_input(
                "not a message channel (a unix SOCK_SEQPACKET socket)",
            ));
        }
        Ok(Channel { fd })
    }

    /// Sends one message of at least one byte, with up to [`MAX_FDS`] descriptors; all of it or nothing.
    ///
    /// `BrokenPipe` (or `ConnectionReset`): the other side is gone. `WouldBlock`: a nonblocking channel is full.
    pub fn send(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if message.is_empty() {
            return Err(invalid_input(
                "an empty message would read as the end of the channel",
            ));
        }
        let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty()
            && (fds.len() > MAX_FDS || !control.push(SendAncillaryMessage::ScmRights(fds)))
        {
            return Err(invalid_input("too many descriptors for one message"));
        }
        let pieces = [IoSlice::new(message)];
        retry_on_intr(|| {
            rustix::net::sendmsg(&self.fd, &pieces, &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// Receives one message. [`Received::is_eof`] tells the end; a reset by a dying peer counts as the end too.
    ///
    /// `InvalidData`: the message was longer than `buffer`, or brought more descriptors than fit (they are closed).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if buffer.is_empty() {
            return Err(invalid_input("an empty buffer cannot receive a message"));
        }
        let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut pieces = [IoSliceMut::new(&mut *buffer)];
            rustix::net::recvmsg(&self.fd, &mut pieces, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let message = match received {
            Err(rustix::io::Errno::CONNRESET) => {
                return Ok(Received {
                    len: 0,
                    fds: Vec::new(),
                });
            }
            other => other?,
        };
        let fds = take_fds(&mut control);
        if message
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message was cut short: too long or too many descriptors",
            ));
        }
        Ok(Received {
            len: message.bytes,
            fds,
        })
    }

    /// Bytes of the messages that wait here to be received.
    pub fn pending(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.fd)?)
    }

    /// Another handle on the same end. The other side sees the end only when all of them are gone.
    pub fn try_clone(&self) -> io::Result<Channel> {
        Ok(Channel {
            fd: self.fd.try_clone()?,
        })
    }

    /// Chooses whether [`send`](Self::send) and [`recv`](Self::recv) wait.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        crate::socket::set_nonblocking(self.fd.as_fd(), on)
    }
}

fn take_fds(control: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    fds
}

fn invalid_input(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl IntoRawFd for Channel {
    fn into_raw_fd(self) -> RawFd {
        self.fd.into_raw_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> OwnedFd {
        channel.fd
    }
}
