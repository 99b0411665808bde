use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use uwgate_http::{ChunkedDecoder, Translation};
use uwsgi_codec::Vars;

use super::notes::Notes;
use super::spool::Spool;
use super::{Detach, Socket, Ticket, detached, shrink};

/// How much is received with one call while a head or a small body arrives.
const RECEIVE: usize = 16 * 1024;

/// The same for the rest of a body whose length is known: as much as is awaited before the application is called.
const RECEIVE_REST: usize = 64 * 1024;

/// How much is received with one call on behalf of an application that reads a large body.
const RECEIVE_BODY: usize = 128 * 1024;

/// The reading half of a request: its variables and its body.
///
/// ```text
/// received: [ consumed | block (uwsgi only) | body bytes at hand, then the next request ]
///                                           ^ start
/// ```
#[derive(Debug)]
pub struct Request {
    socket: Socket,
    /// Bytes from the peer; those before `start` are used up.
    pub(crate) received: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) block: Block,
    pub(crate) var_count: usize,
    pub(crate) body: Body,
    pub(crate) modifier1: u8,
    pub(crate) modifier2: u8,
    trust: Trust,
    /// How long one read waits for the peer (`socket-timeout`).
    timeout: Duration,
    detach: Detach,
    /// What of the body has been put aside, while the rest is on its way.
    spool: Option<Box<Spool>>,
    /// Why no more can be read, once that is so.
    broken: Option<io::ErrorKind>,
    /// What the application has noted for the log.
    notes: Option<Box<Notes>>,
    /// Where requests are watched, this one's flight.
    pub(crate) ticket: Option<Ticket>,
}

/// What a peer is believed, by the options that name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trust {
    /// `http-trust-forwarded`
    pub(crate) forwarded: bool,
    /// `uwsgi-trust`
    pub(crate) uwsgi: bool,
}

/// Where the var block is.
#[derive(Debug)]
pub(crate) enum Block {
    /// As it came over the uwsgi protocol.
    Received(Range<usize>),
    /// Made from an HTTP head.
    Translated(Translation),
}

/// How much of a request's body is still to come from the peer.
#[derive(Debug)]
pub enum Body {
    /// All of it was read, or there was none.
    Done,
    /// So many bytes, those at hand included.
    Length(u64),
    /// Until the last chunk.
    Chunked(Box<Chunked>),
    /// All of it is here (`post-buffering`), and can be read again.
    Spooled(Box<Spool>),
}

/// A chunked body; what is decoded waits in a buffer of its own.
#[derive(Debug)]
pub struct Chunked {
    decoder: ChunkedDecoder,
    decoded: Vec<u8>,
    taken: usize,
    done: bool,
}

impl Chunked {
    pub(crate) fn new(decoder: ChunkedDecoder) -> Self {
        Self {
            decoder,
            decoded: Vec::new(),
            taken: 0,
            done: false,
        }
    }

    fn at_hand(&self) -> &[u8] {
        self.decoded.get(self.taken..).unwrap_or_default()
    }

    /// Decodes what was received; returns how much of it is used up.
    fn decode(&mut self, received: &[u8]) -> Result<usize, uwgate_http::Reject> {
        if self.taken == self.decoded.len() {
            self.decoded.clear();
            self.taken = 0;
        }
        let mut used = 0;
        while !self.done {
            let rest = received.get(used..).unwrap_or_default();
            let step = self.decoder.decode(rest)?;
            self.decoded
                .extend_from_slice(rest.get(step.data).unwrap_or_default());
            self.done = step.done;
            used += step.consumed;
            if step.consumed == 0 {
                break;
            }
        }
        Ok(used)
    }
}

impl Request {
    pub(crate) fn new(
        socket: Socket,
        timeout: Duration,
        detach: Detach,
        trust: Trust,
    ) -> Box<Self> {
        Box::new(Self {
            socket,
            received: Vec::new(),
            start: 0,
            block: Block::Translated(Translation::default()),
            var_count: 0,
            body: Body::Done,
            modifier1: 0,
            modifier2: 0,
            trust,
            timeout,
            detach,
            spool: None,
            broken: None,
            notes: None,
            ticket: None,
        })
    }

    /// What is known of a request whose halves are out of reach, for the log.
    pub(crate) fn seen(socket: Socket, block: Vec<u8>, var_count: usize) -> Box<Self> {
        let trust = Trust {
            forwarded: false,
            uwsgi: false,
        };
        let mut request = Self::new(socket, Duration::ZERO, |wait| wait(), trust);
        request.block = Block::Received(0..block.len());
        request.received = block;
        request.var_count = var_count;
        request
    }

    /// What the application has noted for the log; `None` when it has not.
    pub fn notes(&self) -> Option<&Notes> {
        self.notes.as_deref()
    }

    /// For noting something.
    pub fn notes_mut(&mut self) -> &mut Notes {
        self.notes.get_or_insert_default()
    }

    /// Makes ready for the next request of the connection.
    pub(crate) fn forget_notes(&mut self) {
        self.notes = None;
    }

    /// The connection, for somebody who will outlive the request.
    pub(crate) fn shared_socket(&self) -> Socket {
        Socket::clone(&self.socket)
    }

    /// The connection to the client or front server.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The CGI variables, checked when the request arrived.
    pub fn vars(&self) -> Vars<'_> {
        Vars::revisited(self.block(), self.var_count)
    }

    /// The var block.
    pub(crate) fn block(&self) -> &[u8] {
        match &self.block {
            Block::Received(range) => self.received.get(range.clone()).unwrap_or_default(),
            Block::Translated(translation) => translation.block(),
        }
    }

    /// The uwsgi packet's modifier1; 0 for HTTP.
    pub fn modifier1(&self) -> u8 {
        self.modifier1
    }

    /// The uwsgi packet's modifier2; 0 for HTTP.
    pub fn modifier2(&self) -> u8 {
        self.modifier2
    }

    /// Whether the peer did not send all of the body.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether the peer is a proxy whose `X-Forwarded-*` headers are to be believed.
    pub fn trusts_forwarded(&self) -> bool {
        self.trust.forwarded
    }

    /// Whether the peer's `UWSGI_*` variables may choose the application.
    pub fn trusts_uwsgi(&self) -> bool {
        self.trust.uwsgi
    }

    /// Bytes of the var block.
    pub fn block_len(&self) -> usize {
        self.block().len()
    }

    /// Whether the end of the body is known without a Content-Length (`wsgi.input_terminated`).
    pub fn is_chunked(&self) -> bool {
        matches!(self.body, Body::Chunked(_))
    }

    /// Whether there is nothing (more) to read.
    pub fn is_done(&self) -> bool {
        matches!(self.body, Body::Done)
    }

    /// The bytes received and not used up.
    pub(crate) fn waiting(&self) -> &[u8] {
        self.received.get(self.start..).unwrap_or_default()
    }

    /// Forgets used bytes, so that the buffer does not creep through memory.
    pub(crate) fn compact(&mut self) {
        if self.start == self.received.len() {
            self.received.clear();
            shrink(&mut self.received);
        } else if self.start > 0 {
            self.received.drain(..self.start);
        }
        self.start = 0;
    }

    /// Receives what is there without waiting; `None` when nothing is, `Some(0)` at the end.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Received>> {
        self.receive_at_most(self.expected())
    }

    /// How much to receive at once: of a body whose length is known the rest, within bounds.
    fn expected(&self) -> usize {
        let Body::Length(left) = self.body else {
            return RECEIVE;
        };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let missing = left.saturating_sub(self.waiting().len());
        // One byte more than there should be: a receive that gets all it asked for does not tell that it got all.
        missing.saturating_add(1).clamp(RECEIVE, RECEIVE_REST)
    }

    fn receive_at_most(&mut self, most: usize) -> io::Result<Option<Received>> {
        let received =
            uwgate_sys::socket::recv_into(self.socket.as_fd(), &mut self.received, most)?;
        Ok(received.map(|len| Received {
            len,
            drained: len < most,
        }))
    }

    /// Body bytes that a read would get without waiting.
    fn at_hand(&self) -> &[u8] {
        match &self.body {
            Body::Done => &[],
            Body::Length(left) => {
                let waiting = self.waiting();
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                waiting.get(..most).unwrap_or(waiting)
            }
            Body::Chunked(chunked) => chunked.at_hand(),
            Body::Spooled(spool) => spool.at_hand(),
        }
    }

    /// Whether the whole body, or at least `enough` bytes of it, need no waiting. They may still be with the kernel: the
    /// application's read takes them from there to where it wants them.
    ///
    /// # Errors
    /// What is wrong with the chunks received so far.
    pub(crate) fn has_body(&mut self, enough: usize) -> Result<bool, uwgate_http::Reject> {
        self.decode_received()?;
        Ok(match &self.body {
            Body::Done | Body::Spooled(_) => true,
            Body::Length(left) => {
                let (at_hand, enough) = (self.at_hand().len() as u64, enough as u64);
                let missing = enough.min(*left).saturating_sub(at_hand);
                missing == 0
                    || uwgate_sys::socket::waiting(self.socket.as_fd())
                        .is_ok_and(|waiting| waiting >= missing)
            }
            Body::Chunked(chunked) => chunked.done || chunked.at_hand().len() >= enough,
        })
    }

    /// Puts the bytes at hand aside; true when the whole body is there and can be read from its beginning.
    ///
    /// # Errors
    /// What is wrong with the chunks, or with the temporary file.
    pub(crate) fn spool(&mut self, threshold: u64) -> Result<bool, SpoolError> {
        self.decode_received().map_err(SpoolError::Peer)?;
        loop {
            let mut spool = self
                .spool
                .take()
                .unwrap_or_else(|| Box::new(Spool::new(threshold)));
            let len = self.at_hand().len();
            let put = spool.append(self.at_hand());
            self.consume(len);
            put.map_err(SpoolError::Disk)?;
            if self.ended() {
                self.body = Body::Spooled(spool);
                return Ok(true);
            }
            self.spool = Some(spool);
            if len == 0 {
                self.compact_if_translated();
                return Ok(false);
            }
        }
    }

    /// Where the next read begins, in a body that can be read again.
    pub fn position(&self) -> Option<u64> {
        match &self.body {
            Body::Spooled(spool) => Some(spool.position()),
            Body::Done | Body::Length(_) | Body::Chunked(_) => None,
        }
    }

    /// Goes to `position`, in a body that can be read again; false in any other.
    pub fn seek(&mut self, position: u64) -> bool {
        match &mut self.body {
            Body::Spooled(spool) => {
                spool.seek(position);
                true
            }
            Body::Done | Body::Length(_) | Body::Chunked(_) => false,
        }
    }

    /// Bytes of the whole body, if it can be read again.
    pub fn spooled_len(&self) -> Option<u64> {
        match &self.body {
            Body::Spooled(spool) => Some(spool.len()),
            Body::Done | Body::Length(_) | Body::Chunked(_) => None,
        }
    }

    fn decode_received(&mut self) -> Result<(), uwgate_http::Reject> {
        if let Body::Chunked(chunked) = &mut self.body {
            let received = self.received.get(self.start..).unwrap_or_default();
            self.start += chunked.decode(received)?;
            self.compact_if_translated();
        }
        Ok(())
    }

    /// A block that was received stands in front of the body in the same buffer and must stay.
    fn compact_if_translated(&mut self) {
        if matches!(self.block, Block::Translated(_)) {
            self.compact();
        }
    }

    /// The next bytes of the body, waiting for the peer if none are at hand; empty at the body's end.
    /// [`Request::consume`] takes them.
    ///
    /// # Errors
    /// `TimedOut` when the peer sent nothing for `socket-timeout`, `UnexpectedEof` when it left in mid-body,
    /// `InvalidData` for malformed chunks, and whatever the kernel says. Once failed, it fails for ever.
    pub fn fill(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        if let Body::Spooled(spool) = &mut self.body {
            spool.fill()?;
        }
        while self.at_hand().is_empty() && !self.ended() {
            self.wait_for_more()?;
        }
        Ok(self.at_hand())
    }

    /// Takes `len` of the bytes that [`Request::fill`] showed.
    pub fn consume(&mut self, len: usize) {
        match &mut self.body {
            Body::Done => {}
            Body::Length(left) => {
                self.start += len;
                *left = left.saturating_sub(len as u64);
                if *left == 0 {
                    self.body = Body::Done;
                }
            }
            Body::Chunked(chunked) => {
                chunked.taken += len;
                if chunked.done && chunked.at_hand().is_empty() {
                    self.body = Body::Done;
                }
            }
            Body::Spooled(spool) => spool.consume(len),
        }
    }

    /// Reads into `target` until it is full or the body ends; returns how much: so many of its first bytes are
    /// initialised then.
    ///
    /// # Errors
    /// As [`Request::fill`].
    pub fn read(&mut self, target: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = target.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let len = self.read_some(rest)?;
            if len == 0 {
                break;
            }
            filled += len;
        }
        Ok(filled)
    }

    fn read_some(&mut self, target: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        if self.at_hand().is_empty()
            && let Body::Length(left) = self.body
        {
            return self.receive_directly(target, left);
        }
        let bytes = self.fill()?;
        let len = bytes.len().min(target.len());
        for (to, from) in target.iter_mut().zip(bytes) {
            to.write(*from);
        }
        self.consume(len);
        Ok(len)
    }

    /// Receives body bytes to where the application wants them.
    fn receive_directly(&mut self, target: &mut [MaybeUninit<u8>], left: u64) -> io::Result<usize> {
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(target.len());
        loop {
            self.check()?;
            let target = target.get_mut(..most).unwrap_or_default();
            match uwgate_sys::socket::recv_uninit(self.socket.as_fd(), target) {
                Ok(Some(0)) => return Err(self.fail(io::ErrorKind::UnexpectedEof)),
                Ok(Some(len)) => {
                    let left = left.saturating_sub(len as u64);
                    self.body = if left == 0 {
                        Body::Done
                    } else {
                        Body::Length(left)
                    };
                    return Ok(len);
                }
                Ok(None) => self.wait()?,
                Err(error) => return Err(self.fail(error.kind())),
            }
        }
    }

    /// Bytes of the body still to be read, when that is known.
    pub fn left(&self) -> Option<u64> {
        match &self.body {
            Body::Done => Some(0),
            Body::Length(left) => Some(*left),
            Body::Chunked(chunked) if chunked.done => Some(chunked.at_hand().len() as u64),
            Body::Chunked(_) => None,
            Body::Spooled(spool) => Some(spool.left()),
        }
    }

    fn ended(&self) -> bool {
        match &self.body {
            Body::Done | Body::Spooled(_) => true,
            Body::Length(_) => false,
            Body::Chunked(chunked) => chunked.done,
        }
    }

    fn wait_for_more(&mut self) -> io::Result<()> {
        self.check()?;
        self.compact_if_translated();
        match self.receive_at_most(RECEIVE_BODY) {
            Ok(Some(received)) if received.len == 0 => Err(self.fail(io::ErrorKind::UnexpectedEof)),
            Ok(Some(_)) => self
                .decode_received()
                .map_err(|_| self.fail(io::ErrorKind::InvalidData)),
            Ok(None) => self.wait(),
            Err(error) => Err(self.fail(error.kind())),
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let (socket, timeout) = (self.socket.as_fd(), self.timeout);
        let waiting = self.ticket.as_ref().map(Ticket::wait_for_client);
        let readable = detached(self.detach, || {
            uwgate_sys::socket::wait_readable(socket, Some(timeout))
        });
        drop(waiting);
        match readable {
            Some(Ok(true)) => Ok(()),
            Some(Err(error)) => Err(self.fail(error.kind())),
            Some(Ok(false)) | None => Err(self.fail(io::ErrorKind::TimedOut)),
        }
    }

    fn check(&self) -> io::Result<()> {
        self.broken.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn fail(&mut self, kind: io::ErrorKind) -> io::Error {
        self.broken = Some(kind);
        kind.into()
    }

    /// Skips body bytes the application left, if they are at hand or with the kernel; false when the rest is still on
    /// its way, or so much that nobody should have to receive it for nothing.
    pub(crate) fn skip_rest(&mut self) -> bool {
        loop {
            let len = self.at_hand().len();
            self.consume(len);
            if self.ended() {
                self.body = Body::Done;
                return self.broken.is_none();
            }
            if len == 0 && !self.receive_small_rest() {
                return false;
            }
        }
    }

    /// Receives what the kernel has of a body that ends soon; false when there is nothing, or too much to come.
    fn receive_small_rest(&mut self) -> bool {
        let Body::Length(left) = self.body else {
            return false;
        };
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        most <= RECEIVE_BODY
            && self.broken.is_none()
            && matches!(self.receive_at_most(most), Ok(Some(received)) if received.len > 0)
    }
}

/// Why a body could not be put aside.
#[derive(Debug)]
pub(crate) enum SpoolError {
    Peer(uwgate_http::Reject),
    Disk(io::Error),
}

/// What one receive brought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    /// Bytes; 0 at the end of the stream.
    pub(crate) len: usize,
    /// Whether the kernel had no more: then the next receive would only say so.
    pub(crate) drained: bool,
}
