//! The safe face of the operating system, for crates that forbid `unsafe`.
//!
//! In scope: listening sockets, non-blocking socket I/O, client connections, message channels that carry descriptors, starting and
//! reaping processes, privileges, shared memory, clocks, scheduling. Every call is one thing the kernel does, with `io::Result`
//! and the std descriptor types ([`std::os::fd::OwnedFd`], [`std::os::fd::BorrowedFd`]) on its face.
//!
//! Out of scope: policy. Nothing here retries for long, logs, keeps state or decides; that belongs to the callers.
//!
//! Linux only: abstract sockets, memfd, subreapers and `/proc` are part of the design.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod allocator;
pub mod channel;
pub mod clock;
pub mod connect;
pub mod file_pages;
pub mod listener;
pub mod meeting;
pub mod memory;
pub mod process;
#[cfg(feature = "tokio")]
pub mod readiness;
pub mod record_locks;
pub mod scheduling;
pub mod signals;
pub mod socket;
pub mod thread;
