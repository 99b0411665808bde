use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uwgate_http::{
    BodyFramer, HeadWriter, HeaderError, HeaderMemory, IMF_FIXDATE_LEN, Method, PendingHead, Piece,
    Plan, Protocol, ResponseRules, imf_fixdate,
};
use uwgate_sys::socket;

use super::outbox::{Ahead, GATHERED, Outbox};
use super::pace::Pace;
use super::{Detach, Offload, Socket, Ticket, detached, shrink};

/// A chunk up to this size is copied behind what waits, so that one plain `send` takes all; a larger one is sent from
/// where it lies.
const COPIED: usize = 4 * 1024;

/// So much of a streamed answer may wait for a slow reader before the application has to wait too.
const BACKLOG: usize = 256 * 1024;

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

    /// Begins the head, or begins it anew; `status` is `b"200 OK"`. Then [`Response::header`] for each header.
    ///
    /// # Errors
    /// A malformed status. Nothing of an earlier head is left then.
    ///
    /// # Panics
    /// Never: once the head is sent ([`Response::is_sent`]) this is an error of the caller, and ignored.
    pub fn start(&mut self, status: &[u8]) -> Result<(), HeaderError> {
        if self.is_sent() {
            return Ok(());
        }
        self.forget();
        let head = HeadWriter::start(&mut self.out, self.rules, status)?.pause();
        self.tally.headers = 0;
        self.tally.status = head.status();
        self.stage = Stage::Head(head);
        Ok(())
    }

    /// Begins the head, with all its headers, as the last one of `memory`, which is known to be the same; false when
    /// that one was written for another protocol.
    pub fn start_again(&mut self, memory: &HeaderMemory) -> bool {
        if self.is_sent() {
            return false;
        }
        self.forget();
        let Some(writer) = HeadWriter::start_again(&mut self.out, self.rules, memory) else {
            return false;
        };
        let head = writer.pause();
        self.tally.headers = u16::try_from(head.headers()).unwrap_or(u16::MAX);
        self.tally.status = head.status();
        self.stage = Stage::Head(head);
        true
    }

    /// Has `memory` keep the head that was begun; `status` and the number of `headers` are what the application has
    /// given.
    pub fn remember_head(&mut self, memory: &mut HeaderMemory, status: &[u8], headers: usize) {
        if let Stage::Head(head) = &self.stage {
            head.resume(&mut self.out).remember(memory, status, headers);
        }
    }

    /// Adds a header to a head that was begun. What `memory` has seen in the same place is not checked again.
    ///
    /// # Errors
    /// What is wrong with it; the head is as it was before.
    pub fn remembered_header(
        &mut self,
        memory: &mut HeaderMemory,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeaderError> {
        self.add_header(|writer| writer.remembered_header(memory, name, value))
    }

    /// Adds a header to a head that was begun.
    ///
    /// # Errors
    /// What is wrong with it; the head is as it was before.
    pub fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        self.add_header(|writer| writer.header(name, value))
    }

    fn add_header(
        &mut self,
        add: impl FnOnce(&mut HeadWriter<'_>) -> Result<(), HeaderError>,
    ) -> Result<(), HeaderError> {
        if let Stage::Head(head) = &self.stage {
            let mut writer = head.resume(&mut self.out);
            add(&mut writer)?;
            self.stage = Stage::Head(writer.pause());
            self.tally.headers = self.tally.headers.saturating_add(1);
        }
        Ok(())
    }

    /// Takes a begun head back.
    pub fn forget(&mut self) {
        if let Stage::Head(head) = &self.stage {
            head.resume(&mut self.out).discard();
            self.stage = Stage::Unstarted;
            self.tally.status = 0;
        }
    }

    /// Says how long the body will be, for a Content-Length if the application gave none.
    pub fn announce(&mut self, body: u64) {
        self.finish_head(Some(body));
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

    /// The Content-Length the application has given.
    pub fn content_length(&self) -> Option<u64> {
        match &self.stage {
            Stage::Head(head) => head.content_length(),
            Stage::Unstarted | Stage::Body(_) | Stage::Finished | Stage::Disconnected => None,
        }
    }

    /// Whether more body would be thrown away: none is allowed, or the Content-Length is reached.
    pub fn is_full(&self) -> bool {
        matches!(&self.stage, Stage::Body(framer) if framer.is_full())
    }

    /// Counts that the application was asked for a piece of its body.
    pub fn count_switch(&mut self) {
        self.tally.switches += 1;
    }

    /// Sends a piece of the body, and the head before the first one. Of many that come one hard upon another several
    /// are sent together, at most a moment later, whatever the application does meanwhile.
    ///
    /// # Errors
    /// `TimedOut` when a peer that is far behind takes nothing for `socket-timeout`; whatever the kernel says when it
    /// is gone. Once failed, every further write fails.
    pub fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.finish_head(None);
        let Some(offload) = self.offload.clone() else {
            return self.write_at_once(chunk);
        };
        let (outbox, ahead) = match self.pace.note(Instant::now()) || self.is_ahead() {
            true => self.gather(chunk)?,
            false => {
                self.put(chunk, COPIED)?;
                if self.send_pending()? == Sent::All {
                    return Ok(());
                }
                let outbox = self.set_ahead();
                let ahead = outbox.ahead();
                (outbox, ahead)
            }
        };
        if ahead.unattended && !offload.attend(Arc::clone(&outbox), self.timeout) {
            self.offload = None;
        }
        self.catch_up(&outbox, ahead.bytes)
    }

    /// Sends a piece of the body, of which more is there already: it may wait for that.
    ///
    /// # Errors
    /// As [`Response::write`].
    pub fn write_ahead(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.finish_head(None);
        self.recall()?;
        self.put(chunk, GATHERED.saturating_sub(self.backlog()))?;
        self.limit_backlog()
    }

    fn write_at_once(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.recall()?;
        self.put(chunk, COPIED)?;
        self.send_pending()?;
        self.limit_backlog()
    }

    fn limit_backlog(&mut self) -> io::Result<()> {
        while self.backlog() > BACKLOG {
            self.wait()?;
            self.send_pending()?;
        }
        Ok(())
    }

    /// Whether bytes wait that must be sent before any others.
    fn is_ahead(&self) -> bool {
        self.outbox.as_ref().is_some_and(|it| !it.is_empty())
    }

    /// Puts a piece behind what waits, or with others that come as quickly.
    fn gather(&mut self, chunk: &[u8]) -> io::Result<(Arc<Outbox>, Ahead)> {
        let piece = self.frame(chunk.len())?;
        let chunk = chunk.get(..piece.take).unwrap_or_default();
        self.tally.body_bytes += chunk.len() as u64;
        let outbox = self.set_ahead();
        match outbox.put([piece.prefix(), chunk, piece.suffix]) {
            Ok(ahead) => Ok((outbox, ahead)),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// From now on what is to be sent is in the outbox.
    fn set_ahead(&mut self) -> Arc<Outbox> {
        let outbox = match self.outbox.take() {
            Some(outbox) if self.backlog() == 0 => outbox,
            // It is empty, as nothing goes past one that is not.
            _ => {
                let waiting = std::mem::take(&mut self.out);
                let sent = std::mem::take(&mut self.sent);
                Arc::new(Outbox::new(&self.socket, waiting, sent))
            }
        };
        self.outbox = Some(Arc::clone(&outbox));
        outbox
    }

    /// Takes what the peer has not taken back from the outbox.
    fn recall(&mut self) -> io::Result<()> {
        let Some(outbox) = self.outbox.take() else {
            return Ok(());
        };
        match outbox.empty() {
            // Nothing else waits while there is an outbox.
            Ok((waiting, sent)) => (self.out, self.sent) = (waiting, sent),
            Err(error) => return Err(self.lost(error)),
        }
        Ok(())
    }

    /// Waits until the reader is not too far behind.
    fn catch_up(&mut self, outbox: &Outbox, mut backlog: usize) -> io::Result<()> {
        while backlog > BACKLOG {
            self.wait()?;
            backlog = match outbox.send() {
                Ok(ahead) => ahead.bytes,
                Err(error) => return Err(self.lost(error)),
            };
        }
        Ok(())
    }

    /// Sends the whole body at once: its length becomes the Content-Length if the application gave none.
    ///
    /// # Errors
    /// Whatever the kernel says when the peer is gone.
    pub fn finish_with(&mut self, body: &[u8]) -> io::Result<()> {
        self.finish_head(Some(body.len() as u64));
        self.put(body, COPIED)?;
        self.finish()
    }

    /// As [`Response::finish_with`], when nothing else is left to do for the request: where the connection ends with it,
    /// the end travels in the same packet. Without an end the kernel would send the packet 200 ms later.
    ///
    /// # Errors
    /// Whatever the kernel says when the peer is gone.
    pub fn finish_at_once_with(&mut self, body: &[u8]) -> io::Result<()> {
        self.finish_head(Some(body.len() as u64));
        self.held = self.has_packets && !self.keep_alive;
        self.put(body, COPIED)?;
        self.finish()
    }

    /// Whether the last packet waits for the end of the connection.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Sends part of a file as the whole body.
    ///
    /// # Errors
    /// As [`Response::finish_with`], and what the kernel says about a file that cannot be sent this way.
    pub fn finish_with_file(&mut self, mut range: FileRange) -> io::Result<()> {
        self.finish_head(Some(range.left));
        if let Stage::Body(framer) = &mut self.stage {
            let most = usize::try_from(range.left).unwrap_or(usize::MAX);
            range.left = framer.frame(most).take as u64;
            self.tally.body_bytes += range.left;
            self.tally.sendfile = true;
            self.file = Some(range).filter(|range| range.left > 0);
        }
        self.finish()
    }

    /// Ends the body.
    ///
    /// # Errors
    /// Whatever the kernel says when the peer is gone.
    pub fn finish(&mut self) -> io::Result<()> {
        self.finish_head(Some(0));
        self.recall()?;
        let Stage::Body(framer) = std::mem::replace(&mut self.stage, Stage::Finished) else {
            return Ok(());
        };
        let end = framer.finish();
        self.out.extend_from_slice(end.bytes);
        if end.missing > 0 {
            // The client waits for bytes that will not come; only the end of the connection tells it.
            self.keep_alive = false;
        }
        self.send_pending().map(|_| ())
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

    fn finish_head(&mut self, whole_body: Option<u64>) {
        let Stage::Head(head) = &self.stage else {
            return;
        };
        let head = *head;
        let date = now_as_date(self.rules.protocol);
        let Plan {
            body, keep_alive, ..
        } = head
            .resume(&mut self.out)
            .finish(whole_body, date.as_ref().map(|date| &date[..]));
        self.keep_alive = keep_alive;
        self.tally.head_bytes = u32::try_from(self.out.len() - self.sent).unwrap_or(u32::MAX);
        self.stage = Stage::Body(BodyFramer::new(body));
    }

    /// How a piece of so many bytes is sent; of an answer that has ended for its client, nothing is.
    fn frame(&mut self, len: usize) -> io::Result<Piece> {
        self.check()?;
        match &mut self.stage {
            Stage::Body(framer) => Ok(framer.frame(len)),
            Stage::Disconnected => Ok(Piece::default()),
            Stage::Unstarted | Stage::Head(_) | Stage::Finished => {
                Err(io::Error::other("the response was not started"))
            }
        }
    }

    /// Frames a piece. One of at most `copied` bytes waits in `out`, of a larger one what the socket does not take.
    fn put(&mut self, chunk: &[u8], copied: usize) -> io::Result<()> {
        let piece = self.frame(chunk.len())?;
        let chunk = chunk.get(..piece.take).unwrap_or_default();
        self.tally.body_bytes += chunk.len() as u64;
        if chunk.len() <= copied {
            self.out.extend_from_slice(piece.prefix());
            self.out.extend_from_slice(chunk);
            self.out.extend_from_slice(piece.suffix);
            return Ok(());
        }
        self.send_pieces(&[piece.prefix(), chunk, piece.suffix])
    }

    fn send_pieces(&mut self, pieces: &[&[u8]; 3]) -> io::Result<()> {
        self.claim()?;
        let waiting = self.out.get(self.sent..).unwrap_or_default();
        let [prefix, chunk, suffix] = pieces;
        let all = [waiting, prefix, chunk, suffix].map(IoSlice::new);
        let taken = match socket::send_vectored(self.socket.as_fd(), &all) {
            Ok(taken) => taken.unwrap_or(0),
            Err(error) => return Err(self.lost(error)),
        };
        let from_waiting = taken.min(waiting.len());
        let mut rest = taken - from_waiting;
        self.took(from_waiting);
        for piece in pieces {
            let from_piece = rest.min(piece.len());
            rest -= from_piece;
            self.out
                .extend_from_slice(piece.get(from_piece..).unwrap_or_default());
        }
        Ok(())
    }

    /// Sends what waits, as far as the peer takes it.
    ///
    /// # Errors
    /// Whatever the kernel says when the peer is gone.
    pub fn send_pending(&mut self) -> io::Result<Sent> {
        self.check()?;
        self.claim()?;
        while self.backlog() > 0 {
            let waiting = self.out.get(self.sent..).unwrap_or_default();
            // The head shares a packet with the file's first bytes, an answer with the end of the connection.
            let sent = match self.file.is_some() || self.held {
                true => socket::send_more(self.socket.as_fd(), waiting),
                false => socket::send(self.socket.as_fd(), waiting),
            };
            match sent {
                Ok(Some(taken)) => self.took(taken),
                Ok(None) => {
                    self.held = false;
                    return Ok(Sent::SocketFull);
                }
                Err(error) => return Err(self.lost(error)),
            }
        }
        self.send_file()
    }

    fn send_file(&mut self) -> io::Result<Sent> {
        while let Some(range) = &mut self.file {
            let count = usize::try_from(range.left).unwrap_or(usize::MAX);
            let (to, from) = (self.socket.as_fd(), range.file.as_fd());
            match socket::sendfile(to, from, Some(&mut range.offset), count) {
                Ok(Some(0)) => {
                    let short = "the file became shorter while it was sent";
                    return Err(self.lost(io::Error::new(io::ErrorKind::UnexpectedEof, short)));
                }
                Ok(Some(taken)) => {
                    range.left = range.left.saturating_sub(taken as u64);
                    if range.left == 0 {
                        self.file = None;
                    }
                }
                Ok(None) => return Ok(Sent::SocketFull),
                Err(error) => return Err(self.lost(error)),
            }
        }
        Ok(Sent::All)
    }

    fn took(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
            shrink(&mut self.out);
        }
    }

    /// Bytes that wait for the peer, without those of a file.
    fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    fn wait(&mut self) -> io::Result<()> {
        let (peer, timeout) = (self.socket.as_fd(), self.timeout);
        let waiting = self.ticket.as_ref().map(Ticket::wait_for_client);
        let writable = detached(self.detach, || socket::wait_writable(peer, Some(timeout)));
        drop(waiting);
        match writable {
            Some(Ok(true)) => Ok(()),
            Some(Err(error)) => Err(self.lost(error)),
            Some(Ok(false)) | None => Err(self.lost(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Asks for the word before the first byte of an answer.
    fn claim(&mut self) -> io::Result<()> {
        if let Some(ticket) = &self.ticket
            && !self.claimed
        {
            self.claimed = ticket.claim();
            if !self.claimed {
                return Err(self.lost(io::ErrorKind::BrokenPipe.into()));
            }
        }
        Ok(())
    }

    fn check(&self) -> io::Result<()> {
        match self.broken {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }

    fn lost(&mut self, error: io::Error) -> io::Error {
        self.abandon();
        self.out.clear();
        self.sent = 0;
        error
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

/// HTTP wants a Date from whoever has a clock (RFC 9110 section 6.6.1); behind uwsgi the front server gives it.
fn now_as_date(protocol: Protocol) -> Option<[u8; IMF_FIXDATE_LEN]> {
    if matches!(protocol, Protocol::UwsgiHttp10 | Protocol::UwsgiHttp11) {
        return None;
    }
    thread_local! {
        static DATE: std::cell::Cell<(u64, [u8; IMF_FIXDATE_LEN])> =
            const { std::cell::Cell::new((u64::MAX, [0; IMF_FIXDATE_LEN])) };
    }
    let now = uwgate_sys::clock::coarse_realtime().as_secs();
    let (second, mut date) = DATE.get();
    if second != now {
        date = imf_fixdate(now);
        DATE.set((now, date));
    }
    Some(date)
}
