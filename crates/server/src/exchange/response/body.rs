//! The body: in pieces, of which some may wait for others or for the reader, or as a whole.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use uwgate_http::Piece;

use super::{FileRange, Response, Sent, Stage};
use crate::exchange::outbox::{Ahead, GATHERED, Outbox};

/// A chunk up to this size is copied behind what waits, so that one plain `send` takes all; a larger one is sent from
/// where it lies.
const COPIED: usize = 4 * 1024;

/// So much of a streamed answer may wait for a slow reader before the application has to wait too.
const BACKLOG: usize = 256 * 1024;

impl Response {
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

    pub(super) fn limit_backlog(&mut self) -> io::Result<()> {
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
    pub(super) fn recall(&mut self) -> io::Result<()> {
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

    /// How a piece of so many bytes is sent; of an answer that has ended for its client, nothing is.
    pub(super) fn frame(&mut self, len: usize) -> io::Result<Piece> {
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
    pub(super) fn put(&mut self, chunk: &[u8], copied: usize) -> io::Result<()> {
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
}
