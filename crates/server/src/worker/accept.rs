//! From a listening socket to served connections.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use uwgate_config::Protocol;
use uwgate_sys::socket::{PeerAddr, accept, accept_unix, is_readable, wait_readable};

use super::engine::{Endpoint, Engine, Open};
use super::handover;
use super::harakiri;
use super::idle::{Stake, Watch};
use super::room;
use super::settings::Settings;
use crate::connection::{Connection, Next, Patience};
use crate::exchange::Socket;
use crate::host::Host;

/// So many connections are taken in a row before those already open get their turn.
const IN_A_ROW: usize = 16;

/// Seconds for a peer to stop sending after it was answered (nginx: 30).
const LINGER: u32 = 10;

/// How long a new peer's first bytes are waited for on the spot.
const MOMENT: Duration = Duration::from_millis(1);

/// How long to leave the queue alone when the process has no file descriptors left.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(100);

/// How long a connection is left to a sibling that has fewer, at a time and how often: the kernel has woken it as well,
/// but it may have been killed since.
const DEFERRAL: Duration = Duration::from_millis(1);
const DEFERRALS: u32 = 5;

/// Accepts until the task is aborted.
///
/// With one thread a new connection is served right here: most bring their request along, and then neither a task nor
/// an `epoll_ctl` is spent on them. With several threads each connection becomes a task at once. A worker whose cores
/// are all busy leaves the queue to its siblings, if it has any.
pub(crate) async fn accept_connections<H: Host>(
    listener: Arc<OwnedFd>,
    endpoint: Arc<Endpoint>,
    engine: Arc<Engine<H>>,
) -> std::io::Result<()> {
    let queue = uwgate_sys::readiness::readable(listener)?;
    let (threads, has_siblings) = (engine.settings.threads, engine.settings.has_siblings);
    let mut deferred = 0;
    let mut expected = Expected::One;
    loop {
        let mut ready = queue.readable().await?;
        if engine.is_draining() {
            // After a harakiri: what comes now is for the successor, at whose coming this task is aborted.
            return std::future::pending().await;
        }
        // Only to know that a core is free; the connection may not have brought a request.
        if threads > 1 && has_siblings && engine.cores.turn().await.is_none() {
            continue;
        }
        let at_most = match threads {
            1 if has_siblings && engine.is_slow() => 1,
            1 => IN_A_ROW,
            _ => threads,
        };
        match accept_some(
            queue.get_ref(),
            &endpoint,
            &engine,
            at_most,
            expected,
            deferred < DEFERRALS,
        ) {
            Ok(Queue::Empty) => {
                ready.clear_ready();
                deferred = 0;
                expected = Expected::One;
            }
            Ok(Queue::LeftToSibling) => {
                deferred += 1;
                expected = Expected::Unknown;
                tokio::time::sleep(DEFERRAL).await;
            }
            Ok(Queue::MayHaveMore) => {
                deferred = 0;
                expected = match at_most {
                    IN_A_ROW => Expected::Many,
                    _ => Expected::Unknown,
                };
                handover::step_back(threads).await;
            }
            Err(error) => {
                expected = Expected::Unknown;
                complain(&error, &endpoint);
                tokio::time::sleep(OUT_OF_RESOURCES).await;
            }
        }
    }
}

/// Empties the queue of a socket that is about to be closed. Those who come later find it closed soon: were they taken
/// as well, there would be no end under load.
pub(crate) fn accept_the_rest<H: Host>(
    queue: &OwnedFd,
    endpoint: &Arc<Endpoint>,
    engine: &Arc<Engine<H>>,
) {
    // An error means that no more can be had; the close turns away the rest.
    let waiting = uwgate_sys::listener::waiting(queue.as_fd());
    let _ = accept_some(queue, endpoint, engine, waiting, Expected::Many, false);
}

/// What is known about a listening socket's queue.
enum Queue {
    Empty,
    /// Somebody with fewer connections is free to take the next one.
    LeftToSibling,
    MayHaveMore,
}

/// Who is expected in a queue. An `accept` that finds nobody costs nearly as much as one that does, as the kernel has made
/// the new socket by then; to ask before costs a tenth of it.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Unknown,
    /// Somebody has come since the queue was found empty.
    One,
    Many,
}

impl Expected {
    /// Whether it is worth asking after so many were taken.
    fn asks(self, taken: usize) -> bool {
        match self {
            Self::Unknown => true,
            Self::One => taken > 0,
            Self::Many => false,
        }
    }
}

fn accept_some<H: Host>(
    queue: &OwnedFd,
    endpoint: &Arc<Endpoint>,
    engine: &Arc<Engine<H>>,
    at_most: usize,
    expected: Expected,
    mut fair: bool,
) -> std::io::Result<Queue> {
    fair &= engine.settings.has_siblings;
    for taken in 0..at_most {
        if fair && engine.sibling_should_accept() {
            return Ok(match taken {
                0 => Queue::LeftToSibling,
                _ => Queue::MayHaveMore,
            });
        }
        if expected.asks(taken) && !is_readable(queue.as_fd())? {
            return Ok(Queue::Empty);
        }
        let Some((socket, address)) = next_in(queue, endpoint)? else {
            return Ok(Queue::Empty);
        };
        let connection =
            Connection::new(Arc::new(socket), address, Arc::clone(endpoint), &**engine);
        welcome(connection, engine);
    }
    Ok(Queue::MayHaveMore)
}

fn next_in(queue: &OwnedFd, endpoint: &Endpoint) -> std::io::Result<Option<(OwnedFd, PeerAddr)>> {
    match endpoint.is_unix {
        true => Ok(accept_unix(queue.as_fd())?.map(|socket| (socket, PeerAddr::Unix))),
        false => accept(queue.as_fd()),
    }
}

/// Serves a connection that this worker has taken, from now on.
pub(super) fn welcome<H: Host>(connection: Connection, engine: &Arc<Engine<H>>) {
    let open = engine.opened();
    if engine.settings.threads == 1 {
        serve_here(connection, engine, open);
    } else {
        tokio::spawn(drive_from_start(connection, Arc::clone(engine), open));
    }
}

/// Waits a moment for a peer that has just connected: over TCP its first bytes are a few microseconds behind, and a
/// task, two `epoll_ctl` and an `epoll_wait` cost more than this one `poll`. Peers that let us wait have this
/// left out for a second, so that those who connect and say nothing cost the others next to nothing.
fn bytes_come<H>(engine: &Engine<H>, socket: &Socket) -> bool {
    if !engine.expects_prompt_peers() {
        return false;
    }
    let come = wait_readable(socket.as_fd(), Some(MOMENT)).unwrap_or(true);
    engine.note_peer(come);
    come
}

fn complain(error: &std::io::Error, endpoint: &Endpoint) {
    tracing::error!(
        "cannot accept on {}: {error}; trying again in {} ms",
        endpoint.name,
        OUT_OF_RESOURCES.as_millis()
    );
}

fn serve_here<H: Host>(mut connection: Connection, engine: &Arc<Engine<H>>, open: Open<H>) {
    let mut next = connection.advance(engine, false);
    if matches!(next, Next::Readable(Patience::FirstByte))
        && bytes_come(engine, connection.socket())
    {
        connection.readable();
        next = connection.advance(engine, false);
    }
    match next {
        Next::Close => {}
        next => {
            // From now on, and not only when its task has a turn: the next request may be one that never returns.
            let watched = Watched::new(engine, &connection, &next);
            tokio::spawn(drive(connection, next, watched, open));
        }
    }
}

async fn drive_from_start<H: Host>(
    mut connection: Connection,
    engine: Arc<Engine<H>>,
    open: Open<H>,
) {
    match connection.advance(&engine, false) {
        Next::Close => {}
        next => {
            let watched = Watched::new(&engine, &connection, &next);
            drive(connection, next, watched, open).await;
        }
    }
}

/// Serves a connection until it closes.
async fn drive<H: Host>(
    mut connection: Connection,
    mut next: Next,
    mut watched: Watched<H>,
    _open: Open<H>,
) {
    let engine = Arc::clone(&watched.engine);
    let socket = Arc::clone(connection.socket());
    let Ok(readiness) = uwgate_sys::readiness::readable(Arc::clone(&socket)) else {
        return;
    };
    loop {
        match next {
            Next::Readable(patience) => {
                watched.allow(patience, connection.requests());
                let Ok(mut ready) = readiness.readable().await else {
                    return;
                };
                ready.clear_ready();
                let rests = patience == Patience::NextRequest && !watched.watch.expired();
                if rests && room::has_left(&connection, &engine).await {
                    return;
                }
                connection.readable();
            }
            Next::Send(response) => {
                watched.no_limit();
                let patience = engine.settings.socket_timeout;
                let response = engine.offload.send_rest(response, patience).await;
                connection.sent(response);
            }
            Next::Turn => {
                watched.no_limit();
                let Some(turn) = engine.cores.turn().await else {
                    return harakiri::send_away(&socket);
                };
                connection.take_turn(turn);
            }
            Next::Yield => handover::step_back(engine.settings.threads).await,
            Next::Close => return,
        }
        watched.no_limit();
        next = connection.advance(&engine, watched.watch.expired());
    }
}

/// A connection's line in the table of deadlines, for as long as it lives.
struct Watched<H> {
    engine: Arc<Engine<H>>,
    watch: Arc<Watch>,
    protocol: Protocol,
    /// Until when what of which request has to be complete: a head, or what comes after an answer, has one deadline
    /// for all of its bytes.
    whole: Option<(Patience, u64, u32)>,
}

impl<H> Watched<H> {
    fn new(engine: &Arc<Engine<H>>, connection: &Connection, next: &Next) -> Self {
        let mut watched = Self {
            engine: Arc::clone(engine),
            watch: engine.watches.add(connection.socket(), connection.door()),
            protocol: connection.protocol(),
            whole: None,
        };
        if let Next::Readable(patience) = next {
            watched.allow(*patience, connection.requests());
        }
        watched
    }

    fn allow(&mut self, patience: Patience, request: u64) {
        let (watches, settings) = (&self.engine.watches, &self.engine.settings);
        let deadline = match (patience, self.whole) {
            (Patience::Head | Patience::Linger, Some((what, of, deadline)))
                if (what, of) == (patience, request) =>
            {
                deadline
            }
            _ => watches.deadline_in(seconds(settings, self.protocol, patience)),
        };
        self.whole = Some((patience, request, deadline));
        let stake = match patience {
            Patience::Linger => Stake::Over,
            Patience::FirstByte | Patience::NextRequest => Stake::Nothing,
            Patience::Head => Stake::Head,
            Patience::Body => Stake::Request,
        };
        watches.allow(&self.watch, deadline, stake);
    }

    fn no_limit(&self) {
        self.engine.watches.no_limit(&self.watch);
    }
}

impl<H> Drop for Watched<H> {
    fn drop(&mut self) {
        self.engine.watches.remove(&self.watch);
    }
}

fn seconds(settings: &Settings, protocol: Protocol, patience: Patience) -> u32 {
    let socket_timeout = u32::try_from(settings.socket_timeout.as_secs()).unwrap_or(u32::MAX);
    match patience {
        // A front server has its packet ready when it connects.
        _ if protocol == Protocol::Uwsgi && patience != Patience::Linger => socket_timeout,
        Patience::NextRequest => settings.keep_alive_seconds,
        Patience::FirstByte | Patience::Head => settings.head_seconds,
        Patience::Linger => LINGER,
        Patience::Body => socket_timeout,
    }
}
