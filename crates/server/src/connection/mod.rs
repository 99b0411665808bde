//! One connection from its first byte to its last, as a state machine that never waits: [`Connection::advance`]
//! receives, parses, has the host serve and sends until only the peer can go on, and says what for in [`Next`].

mod http;
mod uwsgi;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use uwgate_config::Protocol;
use uwgate_http::{ChunkedDecoder, Framing, Reject, ResponseRules};
use uwgate_sys::socket::PeerAddr;

use crate::exchange::{Body, Chunked, Request, Response, Socket, SpoolError};
use crate::host::Host;
use crate::worker::{Endpoint, Engine, Turn};

/// So many requests of one connection are served in a row before others get their turn.
const IN_A_ROW: u32 = 16;

/// So often one connection's bytes are fetched in a row: a sender as fast as the memory must not have the thread for
/// the whole of its upload.
const RECEIVES_IN_A_ROW: u32 = 32;

/// A peer that goes on sending so much after it was answered does not read what we say.
const IGNORED_AT_MOST: u64 = 64 * 1024 * 1024;

/// One request in so many of a connection looks whether it had better be served elsewhere.
const CROWD_CHECK: u64 = 32;

/// A connection of either protocol.
pub(crate) struct Connection {
    socket: Socket,
    endpoint: Arc<Endpoint>,
    peer: Peer,
    /// Both halves are here unless a host or the offload thread has them.
    request: Option<Box<Request>>,
    response: Option<Box<Response>>,
    stage: Stage,
    /// The right to call the application, when it was waited for.
    turn: Option<Turn>,
    /// The kernel had no more bytes when asked last.
    drained: bool,
    /// Receives since others had their turn last.
    receives: u32,
    /// Bytes thrown away after the answer.
    ignored: u64,
    /// Requests served.
    requests: u64,
    /// Those of them served without a pause.
    in_a_row: u32,
}

/// What must happen before [`Connection::advance`] can do more.
pub(crate) enum Next {
    /// The peer has to send.
    Readable(Patience),
    /// The peer has to take the rest of this response; [`Connection::sent`] wants it back.
    Send(Box<Response>),
    /// A core has to be free; [`Connection::take_turn`] wants it.
    Turn,
    /// Somebody else should have a turn.
    Yield,
    /// Nothing: drop the connection.
    Close,
}

/// How long the peer may take, by what it is expected to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The first byte of the first request.
    FirstByte,
    /// The first byte of a next request on a connection that was kept alive.
    NextRequest,
    /// The whole of a head.
    Head,
    /// More of a body.
    Body,
    /// The end of what it was sending when we had already answered.
    Linger,
}

enum Stage {
    Head,
    Body(Pending),
    /// The answer is out; waiting for the offload thread or for the next head.
    Answered(Answered),
    /// Our side is closed. What the peer still sends is thrown away, so that no reset overtakes the answer
    /// (RFC 9112 section 9.6).
    Linger,
}

/// A request whose head is complete.
pub(crate) struct Pending {
    pub(crate) rules: ResponseRules,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
}

/// What is still to be logged about a request.
struct Answered {
    begun: Instant,
    app: Option<u16>,
    /// Its line is still to be written.
    wants_line: bool,
}

/// What a protocol's parser made of the bytes received.
pub(crate) enum Taken {
    Partial,
    Request(Pending),
    /// Not a request: answer with these bytes and close.
    Reply(Vec<u8>),
}

/// The other end, as text for the environ.
pub(crate) struct Peer {
    pub(crate) addr: String,
    pub(crate) port: String,
}

impl Peer {
    fn new(address: PeerAddr) -> Self {
        match address.ip() {
            Some(ip) => Self {
                addr: ip.ip().to_canonical().to_string(),
                port: ip.port().to_string(),
            },
            None => Self {
                addr: String::new(),
                port: String::new(),
            },
        }
    }
}

/// Whether the peer speaks through this machine's loopback.
fn is_near(address: PeerAddr) -> bool {
    let ip = address.ip().map(|address| address.ip().to_canonical());
    ip.is_some_and(|ip| ip.is_loopback())
}

impl Connection {
    pub(crate) fn new<H: Host>(
        socket: Socket,
        address: PeerAddr,
        endpoint: Arc<Endpoint>,
        engine: &Engine<H>,
    ) -> Self {
        let timeout = engine.settings.socket_timeout;
        let trust = engine
            .settings
            .trust(address.ip().map(|address| address.ip()));
        Self {
            request: Some(Request::new(
                Arc::clone(&socket),
                timeout,
                H::detached,
                trust,
            )),
            response: Some(
                Response::new(
                    Arc::clone(&socket),
                    address != PeerAddr::Unix,
                    timeout,
                    H::detached,
                )
                .near(is_near(address))
                .offloaded(Arc::clone(&engine.offload)),
            ),
            socket,
            endpoint,
            peer: Peer::new(address),
            stage: Stage::Head,
            turn: None,
            drained: false,
            receives: 0,
            ignored: 0,
            requests: 0,
            in_a_row: 0,
        }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What is spoken on it.
    pub(crate) fn protocol(&self) -> Protocol {
        self.endpoint.protocol
    }

    /// Requests served so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// The number of its listening socket.
    pub(crate) fn door(&self) -> u16 {
        self.endpoint.door
    }

    /// Goes on after so many requests that others have served.
    pub(crate) fn resume(&mut self, requests: u64) {
        self.requests = requests;
    }

    /// Says that the socket may have something to read again.
    pub(crate) fn readable(&mut self) {
        self.drained = false;
        self.receives = 0;
        self.in_a_row = 0;
    }

    /// Gives the right to call the application to the request that is ready.
    pub(crate) fn take_turn(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }

    /// Gives back a response that [`Next::Send`] handed out; `None` when its rest could not be sent.
    pub(crate) fn sent(&mut self, response: Option<Box<Response>>) {
        self.response = response;
    }

    /// Goes as far as possible without waiting for the peer.
    pub(crate) fn advance<H: Host>(&mut self, engine: &Engine<H>, expired: bool) -> Next {
        loop {
            let step = match &mut self.stage {
                Stage::Head => self.head(engine),
                Stage::Body(_) => self.body(engine),
                Stage::Answered(_) => self.answered(engine),
                Stage::Linger => self.linger(),
            };
            match step {
                Step::Again => {}
                Step::Then(next) => return next,
                Step::Missing(patience) if self.drained => return Next::Readable(patience),
                Step::Missing(_) if self.receives >= RECEIVES_IN_A_ROW => {
                    self.receives = 0;
                    return Next::Yield;
                }
                Step::Missing(patience) => match self.receive() {
                    Received::Bytes => {}
                    Received::Nothing => return Next::Readable(patience),
                    Received::End if expired => return self.time_is_up(engine, patience),
                    Received::End => return Next::Close,
                },
                Step::Refused(refusal) => self.refuse(engine, &refusal),
            }
        }
    }

    fn receive(&mut self) -> Received {
        let Some(request) = &mut self.request else {
            return Received::End;
        };
        self.receives += 1;
        match request.receive() {
            Ok(Some(received)) if received.len > 0 => {
                self.drained = received.drained;
                Received::Bytes
            }
            Ok(None) => Received::Nothing,
            // A reset is an end like any other: there is nobody left to tell.
            Ok(Some(_)) | Err(_) => Received::End,
        }
    }

    fn head<H: Host>(&mut self, engine: &Engine<H>) -> Step {
        let Some(request) = &mut self.request else {
            return Step::Then(Next::Close);
        };
        if request.waiting().is_empty() {
            let patience = match self.requests {
                0 => Patience::FirstByte,
                _ => Patience::NextRequest,
            };
            return Step::Missing(patience);
        }
        if self.in_a_row == IN_A_ROW {
            self.in_a_row = 0;
            return Step::Then(Next::Yield);
        }
        let taken = match self.endpoint.protocol {
            Protocol::Uwsgi => uwsgi::take(request, &engine.settings),
            Protocol::Http => http::take(request, &engine.settings, &self.endpoint, &self.peer)
                .map_err(Refusal::from),
        };
        match taken {
            Ok(Taken::Partial) => Step::Missing(Patience::Head),
            Ok(Taken::Request(pending)) => self.begin_body(engine, pending),
            Ok(Taken::Reply(bytes)) => self.reply(&bytes),
            Err(refusal) => Step::Refused(refusal),
        }
    }

    fn begin_body<H: Host>(&mut self, engine: &Engine<H>, pending: Pending) -> Step {
        let length = self.request.as_ref().and_then(|request| request.left());
        if engine
            .settings
            .limit_post
            .is_some_and(|limit| length.is_some_and(|length| length > limit))
        {
            return Step::Refused(Reject::BodyTooLarge.into());
        }
        if pending.expects_continue && length != Some(0) {
            // Its failure shows in the next read.
            let _ = uwgate_sys::socket::send(self.socket.as_fd(), b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.stage = Stage::Body(pending);
        Step::Again
    }

    fn body<H: Host>(&mut self, engine: &Engine<H>) -> Step {
        let (Some(request), Stage::Body(pending)) = (&mut self.request, &self.stage) else {
            return Step::Then(Next::Close);
        };
        let there = match engine.settings.post_buffering {
            Some(threshold) if !request.is_done() => request.spool(threshold),
            _ => request
                .has_body(engine.settings.body_first)
                .map_err(SpoolError::Peer),
        };
        match there {
            Err(SpoolError::Peer(reject)) => return Step::Refused(reject.into()),
            Err(SpoolError::Disk(error)) => {
                tracing::error!(
                    "post-buffering: {}: {error}",
                    std::env::temp_dir().display()
                );
                return Step::Then(Next::Close);
            }
            Ok(false) => return Step::Missing(Patience::Body),
            Ok(true) => {}
        }
        let turn = match self.turn.take() {
            Some(turn) => Some(turn),
            None => match engine.try_turn() {
                Some(turn) => turn,
                None => return Step::Then(Next::Turn),
            },
        };
        let mut rules = pending.rules;
        rules.keep_alive &= self.may_stay(engine);
        let (Some(mut request), Some(mut response)) = (self.request.take(), self.response.take())
        else {
            return Step::Then(Next::Close);
        };
        response.begin(rules);
        let begun = engine.begin(turn.as_ref(), &request);
        if engine.harakiri.is_watching() {
            engine.watch(&mut request, &mut response);
        }
        let served = engine.host.serve(request, response);
        let wants_line =
            !engine.harakiri.is_watching() || engine.harakiri.land(crate::worker::core());
        self.request = served.request;
        self.response = served.response;
        self.requests += 1;
        self.in_a_row += 1;
        engine.count(
            begun,
            served.app,
            &served_outcome(
                self.request.as_deref(),
                self.response.as_deref(),
                served.raised,
            ),
        );
        if served.start_afresh {
            engine.retiring.after_exception();
        }
        drop(turn);
        self.stage = Stage::Answered(Answered {
            begun,
            app: served.app,
            wants_line,
        });
        Step::Again
    }

    /// Whether the connection may carry another request after this one.
    fn may_stay<H: Host>(&self, engine: &Engine<H>) -> bool {
        let asked = self.requests % CROWD_CHECK == CROWD_CHECK - 1;
        let crowded = asked && engine.settings.has_siblings && engine.is_crowded();
        !crowded && !engine.is_draining() && engine.settings.keep_alive_seconds > 0
    }

    /// The host is done; what follows depends on what is left to send and to read.
    fn answered<H: Host>(&mut self, engine: &Engine<H>) -> Step {
        if self
            .response
            .as_ref()
            .is_some_and(|response| response.is_pending())
            && let Some(response) = self.response.take()
        {
            engine.count_offloaded();
            return Step::Then(Next::Send(response));
        }
        let Stage::Answered(answered) = std::mem::replace(&mut self.stage, Stage::Head) else {
            return Step::Then(Next::Close);
        };
        let (Some(request), Some(response)) = (&mut self.request, &self.response) else {
            // Another thread of the application still reads or writes: for it and for the client it ends here.
            let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
            return Step::Then(Next::Close);
        };
        if answered.wants_line {
            engine.log_request(request, response, answered.app, answered.begun);
        }
        request.forget_notes();
        let read = request.skip_rest();
        if response.keeps_alive() && read {
            request.compact();
            return Step::Again;
        }
        if response.is_broken() {
            return Step::Then(Next::Close);
        }
        if read && request.waiting().is_empty() && (self.drained || is_drained(&self.socket)) {
            if response.is_held() {
                // A close would throw away what is held back if the peer has just sent something more.
                let _ = uwgate_sys::socket::shutdown_write(self.socket.as_fd());
            }
            return Step::Then(Next::Close);
        }
        self.close_our_side()
    }

    fn linger(&mut self) -> Step {
        if let Some(request) = &mut self.request {
            self.ignored += request.received.len() as u64;
            request.received.clear();
            request.start = 0;
        }
        match self.ignored {
            0..IGNORED_AT_MOST => Step::Missing(Patience::Linger),
            _ => Step::Then(Next::Close),
        }
    }

    fn close_our_side(&mut self) -> Step {
        if uwgate_sys::socket::shutdown_write(self.socket.as_fd()).is_err() {
            return Step::Then(Next::Close);
        }
        self.stage = Stage::Linger;
        Step::Again
    }

    /// Answers with bytes that are not a request's response and closes.
    fn reply(&mut self, bytes: &[u8]) -> Step {
        // Small enough for an empty socket buffer; a peer that does not take it does not want it.
        let _ = uwgate_sys::socket::send(self.socket.as_fd(), bytes);
        self.close_our_side()
    }

    fn refuse<H: Host>(&mut self, engine: &Engine<H>, refusal: &Refusal) {
        engine.log_refused(refusal, &self.endpoint, &self.peer.addr);
        if let Step::Then(Next::Close) = self.reply(&refusal.reject.response()) {
            self.request = None;
        }
        self.stage = Stage::Linger;
    }

    /// The sweep found the peer too slow; an answer is due only to one that had begun to say something.
    fn time_is_up<H: Host>(&mut self, engine: &Engine<H>, patience: Patience) -> Next {
        let begun = self
            .request
            .as_ref()
            .is_some_and(|request| !request.waiting().is_empty());
        match patience {
            Patience::Head if begun => self.refuse(engine, &Reject::HeadTimeout.into()),
            Patience::Body => self.refuse(engine, &Reject::BodyTimeout.into()),
            Patience::FirstByte | Patience::Head | Patience::NextRequest | Patience::Linger => {}
        }
        Next::Close
    }
}

/// Whether the kernel has no more bytes: a body that the application took straight from there leaves that open.
fn is_drained(socket: &Socket) -> bool {
    uwgate_sys::socket::waiting(socket.as_fd()).is_ok_and(|waiting| waiting == 0)
}

/// The outcome of one state.
enum Step {
    Again,
    Then(Next),
    /// More bytes are needed.
    Missing(Patience),
    Refused(Refusal),
}

/// A refused request: what the peer is told, and what the log says besides.
pub(crate) struct Refusal {
    pub(crate) reject: Reject,
    pub(crate) detail: String,
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self {
            reject,
            detail: String::new(),
        }
    }
}

enum Received {
    Bytes,
    Nothing,
    End,
}

/// How a request ended, for the scoreboard.
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) raised: bool,
    pub(crate) read_error: bool,
    pub(crate) write_error: bool,
}

fn served_outcome(request: Option<&Request>, response: Option<&Response>, raised: bool) -> Outcome {
    Outcome {
        sent: response.map_or(0, |response| response.tally().bytes()),
        raised,
        read_error: request.is_some_and(Request::is_broken),
        write_error: response.is_none_or(Response::is_broken),
    }
}

/// The body a head announces; one whose length is not known yet is cut off at `limit` bytes.
pub(crate) fn body(framing: Framing, limit: Option<u64>) -> Body {
    match framing {
        Framing::None | Framing::Length(0) => Body::Done,
        Framing::Length(length) => Body::Length(length),
        Framing::Chunked => {
            let decoder = limit.map_or_else(ChunkedDecoder::new, ChunkedDecoder::with_limit);
            Body::Chunked(Box::new(Chunked::new(decoder)))
        }
    }
}
