//! What goes to the socket, what waits for it, and who may send.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use uwgate_sys::socket;

use super::{Response, Sent, Stage};
use crate::exchange::{Ticket, bundle, detached, shrink};

impl Response {
    pub(super) fn send_pieces(&mut self, pieces: &[&[u8]; 3]) -> io::Result<()> {
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
            let is_bundled = self.is_near && self.is_small_and_whole() && bundle::has_room();
            // The head shares a packet with the file's first bytes, an answer with the end of the connection.
            let sent = match self.file.is_some() || self.held || is_bundled {
                true => socket::send_more(self.socket.as_fd(), waiting),
                false => socket::send(self.socket.as_fd(), waiting),
            };
            match sent {
                Ok(Some(taken)) => {
                    self.took(taken);
                    match is_bundled {
                        true => bundle::hold(&self.socket),
                        false => bundle::release(),
                    }
                }
                Ok(None) => {
                    self.held = false;
                    return Ok(Sent::SocketFull);
                }
                Err(error) => return Err(self.lost(error)),
            }
        }
        self.send_file()
    }

    /// Whether what waits is short, ends the answer, and leaves the connection open.
    fn is_small_and_whole(&self) -> bool {
        let is_whole = match &self.stage {
            Stage::Body(framer) => framer.is_full(),
            Stage::Finished => true,
            Stage::Unstarted | Stage::Head(_) | Stage::Disconnected => false,
        };
        is_whole && self.keep_alive && self.file.is_none() && self.backlog() <= bundle::LONGEST
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

    pub(super) fn took(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
            shrink(&mut self.out);
        }
    }

    /// Bytes that wait for the peer, without those of a file.
    pub(super) fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    pub(super) fn wait(&mut self) -> io::Result<()> {
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
    pub(super) fn claim(&mut self) -> io::Result<()> {
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

    pub(super) fn check(&self) -> io::Result<()> {
        match self.broken {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }

    pub(super) fn lost(&mut self, error: io::Error) -> io::Error {
        self.abandon();
        self.out.clear();
        self.sent = 0;
        error
    }
}
