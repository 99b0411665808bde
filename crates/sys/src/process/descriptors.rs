//! What a process has open.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;

use rustix::net::SocketAddrAny;

/// Descriptors of this process and what each is, as `/proc/self/fd` says it: a path, `socket:[4711]`,
/// `anon_inode:[eventpoll]`.
///
/// # Errors
/// What reading `/proc` says.
pub fn descriptors() -> io::Result<BTreeMap<RawFd, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // The one that reads the directory is gone in a moment, and its number may be another's.
        let (Some(number), Ok(what)) = (number, std::fs::read_link(entry.path())) else {
            continue;
        };
        if !what.starts_with("/proc") {
            found.insert(number, what);
        }
    }
    Ok(found)
}

/// To whom the connection with this number leads: `127.0.0.1:5432`, or the path of a unix socket. `None` when it is
/// no connection.
pub fn connected_to(number: RawFd) -> Option<String> {
    // SAFETY: a number for the length of the call only, which asks the kernel about it.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let peer = rustix::net::getpeername(fd).ok()??;
    match SocketAddrAny::try_into(peer.clone()) {
        Ok(address) => Some(std::net::SocketAddr::to_string(&address)),
        Err(_) => {
            let unix: rustix::net::SocketAddrUnix = peer.try_into().ok()?;
            let path = unix.path_bytes()?;
            Some(String::from_utf8_lossy(path.strip_suffix(b"\0").unwrap_or(path)).into_owned())
        }
    }
}
