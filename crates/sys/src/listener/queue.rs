//! How many connections wait to be accepted.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// Connections that nobody has accepted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many wait.
    pub waiting: u32,
    /// How many may wait before the kernel turns new ones away.
    pub max: u32,
    /// How many the kernel has turned away since the socket was made. Of a unix socket it does not tell; there whoever
    /// connects waits, or is told at once.
    pub dropped: u32,
}

/// The longest queue the kernel grants (`net.core.somaxconn`).
pub fn somaxconn() -> io::Result<u32> {
    let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn")?;
    text.trim().parse().map_err(io::Error::other)
}

/// Of a listening socket TCP_INFO tells the queue in two fields that otherwise count segments
/// (`tcp_get_info` in the kernel).
pub(super) fn of_tcp(fd: BorrowedFd<'_>) -> io::Result<Queue> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the pointer and size are those of `info`, which outlives the call.
    let result = unsafe {
        let info = info.as_mut_ptr().cast();
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info,
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain integers, zeroed before the kernel filled in as much as it knows.
    let info = unsafe { info.assume_init() };
    Ok(Queue {
        waiting: info.tcpi_unacked,
        max: info.tcpi_sacked,
        dropped: drops(fd).unwrap_or_default(),
    })
}

/// Place in what SO_MEMINFO tells (`enum` beside `SK_MEMINFO_VARS` in the kernel's `sock_diag.h`).
const SK_MEMINFO_DROPS: usize = 8;

/// What the kernel has dropped at a socket; of a listening one, connections.
fn drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = [0_u32; SK_MEMINFO_DROPS + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the pointer and size are those of `info`, which outlives the call.
    let result = unsafe {
        let info = info.as_mut_ptr().cast();
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info,
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let [.., drops] = info;
    Ok(drops)
}

/// Of a listening unix socket only the kernel's socket diagnosis tells (sock_diag(7)), the source of `ss -x`.
/// `None` when the kernel lacks it or does not find the socket.
pub(super) fn of_unix(fd: BorrowedFd<'_>) -> io::Result<Option<Queue>> {
    let inode = rustix::fs::fstat(fd)?.st_ino;
    let Ok(inode) = u32::try_from(inode) else {
        return Ok(None);
    };
    let Ok(kernel) = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    ) else {
        return Ok(None);
    };
    if rustix::net::send(kernel.as_fd(), &diag_request(inode), SendFlags::empty()).is_err() {
        return Ok(None);
    }
    let mut answer = [0; 512];
    // The kernel has put its answer into the queue by the time `send` returns.
    let Ok((len, _)) = rustix::net::recv(&kernel, &mut answer, RecvFlags::DONTWAIT) else {
        return Ok(None);
    };
    Ok(answer.get(..len).and_then(queue_in_answer))
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;
const NETLINK_HEADER: usize = 16;
const UNIX_DIAG_MESSAGE: usize = 16;

/// `struct nlmsghdr` and `struct unix_diag_req` for one socket by inode, whatever its cookie.
fn diag_request(inode: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend(40_u32.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    bytes.extend([0; 8]); // sequence and port
    bytes.extend([libc::AF_UNIX as u8, 0, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes()); // states: any
    bytes.extend(inode.to_ne_bytes());
    bytes.extend(UDIAG_SHOW_RQLEN.to_ne_bytes());
    bytes.extend([0xff; 8]); // no cookie
    bytes
}

/// Walks the attributes after `struct unix_diag_msg`; an error message has another type and yields `None`.
fn queue_in_answer(answer: &[u8]) -> Option<Queue> {
    if u16_at(answer, 4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut attributes = answer.get(NETLINK_HEADER + UNIX_DIAG_MESSAGE..)?;
    loop {
        let len = usize::from(u16_at(attributes, 0)?);
        if u16_at(attributes, 2)? == UNIX_DIAG_RQLEN {
            return Some(Queue {
                waiting: u32_at(attributes, 4)?,
                max: u32_at(attributes, 8)?,
                dropped: 0,
            });
        }
        attributes = attributes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
