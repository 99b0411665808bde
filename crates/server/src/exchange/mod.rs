//! One request and its answer as two halves the host owns while it serves: [`Request`] is read from, [`Response`]
//! is written to. Both block, with the host detached, only where the thread really has to wait.

pub(crate) mod bundle;
mod flight;
mod notes;
mod offload;
mod outbox;
mod pace;
mod request;
mod response;
mod spool;

use std::os::fd::OwnedFd;
use std::sync::Arc;

pub(crate) use flight::{Flight, Passenger, Phase, Sight, Ticket};
pub use notes::Notes;
pub(crate) use offload::Offload;
pub(crate) use request::{Block, SpoolError, Trust};
pub use request::{Body, Chunked, Request};
pub use response::{FileRange, Response, Sent, Tally};

/// A connection's socket; each half and the table of deadlines hold on to it.
pub type Socket = Arc<OwnedFd>;

/// Buffers of a connection that has grown beyond this are given back when the request is over: a connection may
/// rest for a minute.
const KEPT: usize = 32 * 1024;

/// Gives back the memory of a buffer that holds nothing and is large.
fn shrink(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}

/// Runs a wait without holding the host's lock; see [`Host::detached`](crate::Host::detached).
pub type Detach = fn(&mut dyn FnMut());

/// Runs `wait` through `detach` and brings its result back.
fn detached<T>(detach: Detach, wait: impl FnOnce() -> T) -> Option<T> {
    let mut wait = Some(wait);
    let mut result = None;
    detach(&mut || result = wait.take().map(|wait| wait()));
    result
}
