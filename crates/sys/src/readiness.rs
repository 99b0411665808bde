//! Descriptors in a tokio runtime.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::channel::Channel;
use crate::listener::Listener;

/// What owns a descriptor for as long as it lives, and always the same one.
///
/// # Safety
/// `as_raw_fd` must give the same open descriptor until the value is dropped.
pub unsafe trait OwnsFd: AsRawFd + 'static {}

// SAFETY: an `OwnedFd` is open until it is dropped, which no clone of the `Arc` allows earlier.
unsafe impl OwnsFd for Arc<OwnedFd> {}
// SAFETY: as above, behind a field that no shared reference can change.
unsafe impl OwnsFd for Arc<Listener> {}
// SAFETY: a channel is an `OwnedFd`.
unsafe impl OwnsFd for Channel {}

/// Watches a descriptor for something to read. Must be called in a tokio runtime with I/O.
///
/// # Errors
/// What `epoll_ctl` says.
pub fn readable<T: OwnsFd>(fd: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor stays open and the same, as `OwnsFd` promises.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(watched?)
}

/// Watches a descriptor for room to write. Must be called in a tokio runtime with I/O.
///
/// # Errors
/// What `epoll_ctl` says.
pub fn writable<T: OwnsFd>(fd: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: as in `readable`.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::WRITABLE) };
    Ok(watched?)
}
