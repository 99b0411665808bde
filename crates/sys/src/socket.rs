//! Non-blocking socket I/O: accept, receive, send, wait.
//!
//! "Nothing now" (`EAGAIN`) is `None`, not an error, and an interrupted call is repeated here.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrAny, SocketFlags,
};

use crate::process::Pid;

/// Who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// IPv4 over TCP. A v4 peer of a dual-stack listener is `V6` with a mapped address.
    V4(SocketAddrV4),
    /// IPv6 over TCP.
    V6(SocketAddrV6),
    /// A unix socket, path or abstract; its peers have no address worth telling.
    Unix,
}

impl PeerAddr {
    /// The IP address and port; `None` for a unix socket.
    pub fn ip(self) -> Option<SocketAddr> {
        match self {
            PeerAddr::V4(peer) => Some(SocketAddr::V4(peer)),
            PeerAddr::V6(peer) => Some(SocketAddr::V6(peer)),
            PeerAddr::Unix => None,
        }
    }

    fn of(address: Option<SocketAddrAny>) -> io::Result<PeerAddr> {
        let Some(address) = address else {
            return Ok(PeerAddr::Unix);
        };
        match address.address_family() {
            AddressFamily::INET => Ok(PeerAddr::V4(address.try_into()?)),
            AddressFamily::INET6 => Ok(PeerAddr::V6(address.try_into()?)),
            _ => Ok(PeerAddr::Unix),
        }
    }
}

/// The process at the other end of a unix socket, as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// `None` when the peer lives in a pid namespace that ours cannot see.
    pub pid: Option<Pid>,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// Takes the next waiting connection, non-blocking and close-on-exec; `None` when none waits.
///
/// A connection that died while it waited is skipped, as `accept(2)` advises. Errors that remain are about us:
/// `EMFILE`, `ENFILE`, `ENOMEM`, `ENOBUFS` (out of resources: the connection stays queued, pause before the next try).
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, PeerAddr)>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    loop {
        match rustix::net::acceptfrom_with(listener, flags) {
            Ok((fd, peer)) => return Ok(Some((fd, PeerAddr::of(peer)?))),
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) if spoiled_connection(error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// As [`accept`], where all peers are [`PeerAddr::Unix`]: the kernel need not look for their names.
pub fn accept_unix(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    loop {
        match rustix::net::accept_with(listener, flags) {
            Ok(fd) => return Ok(Some(fd)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) if spoiled_connection(error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Who is at the other end of a connection that came from elsewhere.
pub fn peer(connection: BorrowedFd<'_>) -> io::Result<PeerAddr> {
    PeerAddr::of(rustix::net::getpeername(connection)?)
}

/// Linux hands errors of the queued connection's network to `accept`; none of them is about the listener.
fn spoiled_connection(error: Errno) -> bool {
    matches!(
        error,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
    )
}

/// Receives into `buffer`. `Some(0)` is the end of the stream, `None` that nothing is there yet.
pub fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let received = retry_on_intr(|| rustix::net::recv(fd, &mut *buffer, RecvFlags::empty()));
    some_unless_again(received.map(|(len, _)| len))
}

/// As [`recv`], into memory that need not be initialised before: as many of its first bytes as were received are then.
pub fn recv_uninit(
    fd: BorrowedFd<'_>,
    buffer: &mut [MaybeUninit<u8>],
) -> io::Result<Option<usize>> {
    some_unless_again(retry_on_intr(|| {
        rustix::net::recv(fd, &mut *buffer, RecvFlags::empty()).map(|((filled, _), _)| filled.len())
    }))
}

/// Bytes that can be received without waiting.
pub fn waiting(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(fd)?)
}

/// Receives at most `max` bytes onto the end of `buffer`, which grows if needed but is not zeroed first.
/// `Some(0)` is the end of the stream (or `max` is 0), `None` that nothing is there yet.
pub fn recv_into(
    fd: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    max: usize,
) -> io::Result<Option<usize>> {
    buffer.reserve(max);
    let received = retry_on_intr(|| {
        let spare = buffer
            .spare_capacity_mut()
            .get_mut(..max)
            .expect("reserved above");
        rustix::net::recv(fd, spare, RecvFlags::empty()).map(|((filled, _), _)| filled.len())
    });
    some_unless_again(received.inspect(|&len| extend(buffer, len)))
}

fn extend(buffer: &mut Vec<u8>, filled: usize) {
    // SAFETY: the kernel initialised the first `filled` bytes of the spare capacity, and `filled` is at most its size.
    unsafe { buffer.set_len(buffer.len() + filled) };
}

/// Sends from `bytes` without raising SIGPIPE; the count may be less than asked. `None`: the peer is not reading now.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
    some_unless_again(retry_on_intr(|| {
        rustix::net::send(fd, bytes, SendFlags::NOSIGNAL)
    }))
}

/// As [`send`], for bytes that more will follow at once: TCP holds back a packet that is not full.
pub fn send_more(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
    some_unless_again(retry_on_intr(|| {
        rustix::net::send(fd, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)
    }))
}

/// Has TCP send what [`send_more`] made it hold back. Later sends do not wait for a full packet either.
pub fn push(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_nodelay(fd, true)
}

/// Sends several pieces with one call, without raising SIGPIPE; the count may be less than their sum.
/// At most 1024 pieces (`EMSGSIZE`). `None`: the peer is not reading now.
pub fn send_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
    let mut control = SendAncillaryBuffer::default();
    some_unless_again(retry_on_intr(|| {
        rustix::net::sendmsg(fd, pieces, &mut control, SendFlags::NOSIGNAL)
    }))
}

/// Sends up to `count` bytes of a file without copying them through this process.
///
/// With `offset` it starts there and moves it on; without, it uses and moves the file's own position.
/// `Some(0)` is the end of the file. `None`: the peer is not reading now. `EINVAL`: this kind of file cannot be sent
/// this way (read and send it instead). A peer that is gone raises SIGPIPE unless the process ignores it.
pub fn sendfile(
    out: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    mut offset: Option<&mut u64>,
    count: usize,
) -> io::Result<Option<usize>> {
    some_unless_again(retry_on_intr(|| {
        rustix::fs::sendfile(out, file, offset.as_deref_mut(), count)
    }))
}

fn some_unless_again(result: rustix::io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(len) => Ok(Some(len)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits until there is something to read, or the end, or an error; `false` when `timeout` passed first.
/// No timeout waits for ever.
pub fn wait_readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    wait_for(fd, PollFlags::IN, timeout)
}

/// Whether there is something to read, the end, an error, or a connection to accept, now.
pub fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let ready = retry_on_intr(|| rustix::event::poll(&mut fds, Some(&Timespec::default())))?;
    Ok(ready > 0)
}

/// Waits until something can be written, or an error is there; `false` when `timeout` passed first.
/// No timeout waits for ever.
pub fn wait_writable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    wait_for(fd, PollFlags::OUT, timeout)
}

fn wait_for(fd: BorrowedFd<'_>, event: PollFlags, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, event)], left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tells the peer that no more bytes will come; reading goes on.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, Shutdown::Write)?)
}

/// Ends a connection so that nobody can take it for complete: over TCP the peer's next read fails with a reset, on a unix
/// socket it finds the end.
pub fn cut(fd: BorrowedFd<'_>) -> io::Result<()> {
    // Dissolving the association is the one way to a reset while other descriptors of the socket are open.
    match rustix::net::connect_unspec(fd) {
        Ok(()) => Ok(()),
        Err(_) => Ok(rustix::net::shutdown(fd, Shutdown::Both)?),
    }
}

/// Ends a connection in both directions; what was sent before still arrives.
pub fn shutdown(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, Shutdown::Both)?)
}

/// Sends small pieces at once instead of gathering them (TCP only; a connection inherits it from its listener).
pub fn set_nodelay(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(fd, on)?)
}

/// Whether `O_NONBLOCK` is set afterwards. Shared by every process that holds the same open socket.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, on)?)
}

/// Whether the peer has closed its side or reset the connection, with no byte left to read.
///
/// A peer that only shut down its sending side looks the same: ask this where such a peer is not expected.
pub fn is_closed_by_peer(fd: BorrowedFd<'_>) -> bool {
    let mut byte = [0];
    match retry_on_intr(|| rustix::net::recv(fd, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT))
    {
        Ok((len, _)) => len == 0,
        Err(error) => error != Errno::AGAIN,
    }
}

/// Who is at the other end of a unix socket (`SO_PEERCRED`).
pub fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` and `len` outlive the call, and `len` is the size of `peer`, which is plain integers.
    let result = unsafe {
        let peer = (&raw mut peer).cast();
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            peer,
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(PeerCredentials {
        pid: Pid::from_raw(peer.pid),
        uid: peer.uid,
        gid: peer.gid,
    })
}
