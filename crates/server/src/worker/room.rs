//! The waiting room of a generation's workers, for applications whose requests are slow.
//!
//! A connection that is kept alive belongs to one worker. While that one is in the application, a next request would
//! wait even if a sibling had nothing to do, and of two workers the kernel favours one for some milliseconds. With
//! quick requests nobody notices. With slow ones a worker that finds several requests at once, or others waiting
//! already, puts their connections into one queue, from which each worker takes the next when it is free: first come,
//! first served, over all workers. That costs some ten microseconds a request.
//!
//! The queue is a pair of sockets that all of them have, so what waits there outlives the worker that put it there. A
//! worker that harakiri ends leaves its resting connections there as well, for its siblings or its successor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use uwgate_config::Options;
use uwgate_sys::channel::{self, Channel};

use super::accept::welcome;
use super::engine::{Endpoint, Engine};
use super::handover;
use crate::connection::Connection;
use crate::exchange::Socket;
use crate::host::Host;

/// How long to leave the queue alone when something is wrong with this process.
const PAUSE: Duration = Duration::from_millis(100);

/// Both ends of the queue.
#[derive(Debug, Clone)]
pub struct Room {
    entrance: Arc<Channel>,
    exit: Arc<Channel>,
    /// Whether several workers serve at a time, so that it helps to share the load.
    is_shared: bool,
}

/// A connection in the queue, as told with its descriptor.
#[derive(Debug, PartialEq, Eq)]
struct Guest {
    /// The number of its listening socket.
    door: u16,
    /// Requests it has had.
    requests: u64,
}

impl Guest {
    fn of(connection: &Connection) -> Self {
        Self {
            door: connection.door(),
            requests: connection.requests(),
        }
    }

    const SIZE: usize = 10;

    fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let (door, requests) = bytes.split_at_mut(2);
        door.copy_from_slice(&self.door.to_le_bytes());
        requests.copy_from_slice(&self.requests.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (door, requests) = bytes.split_first_chunk()?;
        Some(Self {
            door: u16::from_le_bytes(*door),
            requests: u64::from_le_bytes(requests.try_into().ok()?),
        })
    }
}

impl Room {
    /// A room for the workers that will be forked.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn new(options: &Options) -> io::Result<Self> {
        let (entrance, exit) = channel::pair()?;
        entrance.set_nonblocking(true)?;
        exit.set_nonblocking(true)?;
        Ok(Self {
            entrance: Arc::new(entrance),
            exit: Arc::new(exit),
            is_shared: options.workers.processes > 1,
        })
    }

    /// Whether several workers serve at a time.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn is_empty(&self) -> bool {
        self.exit.pending().unwrap_or(0) == 0
    }

    /// False: it is full.
    fn put(&self, guest: &Guest, socket: &Socket) -> bool {
        let sent = self.entrance.send(&guest.encode(), &[socket.as_fd()]);
        sent.is_ok()
    }

    /// The next one; `InvalidData` when it was lost, as this process has no descriptors left.
    fn take(&self) -> io::Result<Option<(Guest, OwnedFd)>> {
        let mut bytes = [0; Guest::SIZE];
        let received = match self.exit.recv(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            received => received?,
        };
        let guest = bytes.get(..received.len).and_then(Guest::decode);
        let guest = guest.zip(received.fds.into_iter().next());
        guest.map(Some).ok_or(io::ErrorKind::InvalidData.into())
    }
}

/// Whether a connection whose next request has begun to arrive went into the room: then it is no longer this worker's.
pub(super) async fn has_left<H: Host>(connection: &Connection, engine: &Engine<H>) -> bool {
    let Some(room) = engine.room.as_ref().filter(|room| room.is_shared) else {
        return false;
    };
    if !engine.is_slow() {
        return false;
    }
    if engine.settings.threads > 1 {
        return !engine.cores.has_free()
            && !engine.is_draining()
            && room.put(&Guest::of(connection), connection.socket());
    }
    engine.ready.fetch_add(1, Ordering::Relaxed);
    // The others that are ready say so meanwhile.
    handover::step_back(engine.settings.threads).await;
    let others = engine.ready.fetch_sub(1, Ordering::Relaxed) > 1;
    (others || !room.is_empty())
        && !engine.is_draining()
        && room.put(&Guest::of(connection), connection.socket())
}

/// Leaves connections of which no byte of a request was read, with the numbers of their listening sockets, to the
/// siblings or to the successor, as this worker is about to be killed. Returns those that nobody will serve.
pub(super) fn leave_to_others<H>(resting: Vec<(Socket, u16)>, engine: &Engine<H>) -> Vec<Socket> {
    // Who is told to go has no successor in this generation, and may be the last one of it.
    let has_successor = || !engine.is_draining();
    let others = || has_successor() || engine.has_live_sibling();
    let Some(room) = engine.room.as_ref().filter(|_| others()) else {
        return resting.into_iter().map(|(socket, _)| socket).collect();
    };
    let stays = |(socket, door): &(Socket, u16)| {
        let guest = Guest {
            door: *door,
            // Not the first one, whose client would be told that it is late.
            requests: 1,
        };
        !room.put(&guest, socket)
    };
    let mut left: Vec<_> = resting
        .into_iter()
        .filter(stays)
        .map(|(socket, _)| socket)
        .collect();
    // Whoever leaves says so first and then takes all that are in the room.
    while !others()
        && let Ok(Some((_, socket))) = room.take()
    {
        left.push(Arc::new(socket));
    }
    left
}

/// Takes connections out of the room and serves them, until the task is aborted.
pub(super) async fn attend<H: Host>(
    room: Room,
    endpoints: Vec<Arc<Endpoint>>,
    engine: Arc<Engine<H>>,
) -> io::Result<()> {
    let threads = engine.settings.threads;
    let exit = uwgate_sys::readiness::readable(room.exit.try_clone()?)?;
    loop {
        let mut ready = exit.readable().await?;
        if threads > 1 && engine.cores.turn().await.is_none() {
            return std::future::pending().await;
        }
        match room.take() {
            Ok(Some(guest)) => {
                seat(guest, &endpoints, &engine);
                // Those that became ready meanwhile notice it, and stand at the end of the queue before it moves on.
                handover::step_back(threads).await;
                handover::step_back(threads).await;
            }
            Ok(None) => ready.clear_ready(),
            Err(error) => {
                tracing::error!("a connection from another worker is lost: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes all that are there: this worker will not look again, and there may be no other that does.
pub(super) fn empty<H: Host>(room: &Room, endpoints: &[Arc<Endpoint>], engine: &Arc<Engine<H>>) {
    loop {
        match room.take() {
            Ok(Some(guest)) => seat(guest, endpoints, engine),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Ok(None) | Err(_) => return,
        }
    }
}

fn seat<H: Host>(
    (guest, socket): (Guest, OwnedFd),
    endpoints: &[Arc<Endpoint>],
    engine: &Arc<Engine<H>>,
) {
    let Some(endpoint) = endpoints.get(usize::from(guest.door)) else {
        return;
    };
    // One that has gone away meanwhile has no address any more.
    let Ok(address) = uwgate_sys::socket::peer(socket.as_fd()) else {
        return;
    };
    let mut connection =
        Connection::new(Arc::new(socket), address, Arc::clone(endpoint), &**engine);
    connection.resume(guest.requests);
    welcome(connection, engine);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_known_again() {
        let guest = Guest {
            door: 513,
            requests: u64::MAX - 1,
        };
        assert_eq!(Guest::decode(&guest.encode()), Some(guest));
        assert_eq!(Guest::decode(b"short"), None);
    }
}
