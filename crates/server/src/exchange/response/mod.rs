mod body;
mod head;
mod sending;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use uwgate_http::{BodyFramer, Method, PendingHead, Protocol, ResponseRules};
use uwgate_sys::socket;

use super::outbox::Outbox;
use super::pace::Pace;
use super::{Detach, Offload, Socket, Ticket};

/// The writing half of a request: head, body, and what the peer has not taken yet.
///
/// [`Response::start`] (again, as long as nothing was sent), then either [`Response::finish_with`],
/// [`Response::finish_with_file`], or [`Response::write`] or [`Response::write_ahead`] any number of times and
/// [`Response::finish`].
///
/// Nothing blocks but a [`Response::write`] far ahead of its reader. What the peer has not taken at the end is the
/// engine's to send.
#[derive(Debug)]
pub struct Response {
    socket: Socket,
    /// Bytes to be sent from `sent` on, before `file`.
    out: Vec<u8>,
    sent: usize,
    /// While a streaming application is ahead of its reader, all that is to be sent; `out` is empty then.
    outbox: Option<Arc<Outbox>>,
    pace: Pace,
    /// Who sends while the application does something else.
    offload: Option<Arc<Offload>>,
    file: Option<FileRange>,
    rules: ResponseRules,
    stage: Stage,
    keep_alive: bool,
    /// Whether the kernel can hold a packet back.
    has_packets: bool,
    /// The peer is on this machine, and need not be woken for each answer.
    is_near: bool,
    /// The kernel holds the last packet back, for the end of the connection to travel with it.
    held: bool,
    broken: bool,
    tally: Tally,
    timeout: Duration,
    detach: Detach,
    /// Where requests are watched, this one's flight.
    ticket: Option<Ticket>,
    /// Whether the application has the word.
    claimed: bool,
}

#[derive(Debug)]
enum Stage {
    Unstarted,
    /// The head is in `out`, its end is not.
    Head(PendingHead),
    Body(BodyFramer),
    Finished,
    /// Ended before the application was done; what it still says goes nowhere.
    Disconnected,
}

/// A part of a file to be sent by `sendfile(2)`.
#[derive(Debug)]
pub struct FileRange {
    /// The file; a descriptor of our own, as the application closes its own.
    pub file: OwnedFd,
    /// The next byte.
    pub offset: u64,
    /// Bytes left.
    pub left: u64,
}

/// Whether the peer has taken all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It has.
    All,
    /// It takes no more for now.
    SocketFull,
}

/// What the log says about an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The status code; 0 when there was no answer.
    pub status: u16,
    /// Headers of the application.
    pub headers: u16,
    /// Bytes of the head.
    pub head_bytes: u32,
    /// Bytes of the body, without framing.
    pub body_bytes: u64,
    /// Whether the body was a file that the kernel sent.
    pub sendfile: bool,
    /// How often the application was asked for the next piece, the last time included.
    pub switches: u32,
}

impl Tally {
    /// Bytes of head and body.
    pub fn bytes(&self) -> u64 {
        u64::from(self.head_bytes) + self.body_bytes
    }
}

impl Response {
    /// `has_packets`: the socket is TCP's.
    pub(crate) fn new(
        socket: Socket,
        has_packets: bool,
        timeout: Duration,
        detach: Detach,
    ) -> Box<Self> {
        Box::new(Self {
            socket,
            out: Vec::new(),
            has_packets,
            sent: 0,
            outbox: None,
            pace: Pace::default(),
            offload: None,
            file: None,
            rules: ResponseRules {
                protocol: Protocol::Http11,
                method: Method::Other,
                keep_alive: false,
            },
            stage: Stage::Unstarted,
            keep_alive: false,
            is_near: false,
            held: false,
            broken: false,
            tally: Tally::default(),
            timeout,
            detach,
            ticket: None,
            claimed: false,
        })
    }

    /// With somebody to send while the application does something else.
    pub(crate) fn offloaded(mut self: Box<Self>, offload: Arc<Offload>) -> Box<Self> {
        self.offload = Some(offload);
        self
    }

    /// To a peer on this machine: a whole answer may leave together with others.
    pub(crate) fn near(mut self: Box<Self>, is_near: bool) -> Box<Self> {
        self.is_near = is_near && self.has_packets;
        self
    }

    /// Makes ready for the next request of the connection.
    pub(crate) fn begin(&mut self, rules: ResponseRules) {
        self.rules = rules;
        self.stage = Stage::Unstarted;
        self.keep_alive = false;
        self.held = false;
        self.pace = Pace::default();
        self.tally = Tally::default();
        self.ticket = None;
    }

    /// What the framing depends on.
    pub(crate) fn rules(&self) -> ResponseRules {
        self.rules
    }

    /// Somebody watches the request: whoever first claims the word may answer.
    pub(crate) fn watch(&mut self, ticket: Ticket) {
        self.claimed = self.is_sent() && ticket.claim();
        self.ticket = Some(ticket);
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether a head was begun.
    pub fn is_started(&self) -> bool {
        !matches!(self.stage, Stage::Unstarted)
    }

    /// Whether the client has its end ([`Response::disconnect`]): whatever follows goes nowhere.
    pub fn is_disconnected(&self) -> bool {
        matches!(self.stage, Stage::Disconnected)
    }

    /// Whether the head is out (or on its way): it cannot be changed any more.
    pub fn is_sent(&self) -> bool {
        matches!(
            self.stage,
            Stage::Body(_) | Stage::Finished | Stage::Disconnected
        )
    }

    /// Whether more body would be thrown away: none is allowed, or the Content-Length is reached.
    pub fn is_full(&self) -> bool {
        matches!(&self.stage, Stage::Body(framer) if framer.is_full())
    }

    /// Counts that the application was asked for a piece of its body.
    pub fn count_switch(&mut self) {
        self.tally.switches += 1;
    }

    /// Whether the last packet waits for the end of the connection.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Ends an answer that cannot be completed: the connection closes without its proper end.
    pub fn abandon(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            // The application has given these bytes away before it failed.
            let _ = outbox.send();
        }
        self.broken = true;
        self.keep_alive = false;
        self.file = None;
        self.stage = Stage::Finished;
    }

    /// Ends the answer for the client while the application goes on: what was written is sent, the rest will be
    /// thrown away, and the connection takes no further request.
    ///
    /// # Errors
    /// `TimedOut` when the client takes nothing for `socket-timeout`; whatever the kernel says when it is gone.
    pub fn disconnect(&mut self) -> io::Result<()> {
        self.finish()?;
        while self.send_pending()? == Sent::SocketFull {
            self.wait()?;
        }
        self.keep_alive = false;
        self.stage = Stage::Disconnected;
        socket::shutdown_write(self.socket.as_fd())
    }

    /// Whether something waits for the peer.
    pub(crate) fn is_pending(&self) -> bool {
        !self.broken && (self.backlog() > 0 || self.file.is_some())
    }

    /// Whether the answer is complete and the connection may carry another one.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive && !self.broken && matches!(self.stage, Stage::Finished)
    }

    /// Whether the body came to its end.
    pub fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Finished)
    }

    /// Whether the peer is gone or the answer was cut.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// What was answered, for the log.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}
