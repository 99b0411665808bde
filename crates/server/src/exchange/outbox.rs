//! What a streaming application is ahead of its reader.
//!
//! PEP 3333 lets a server keep a piece of the body back only if it goes on sending while the application makes the
//! next one. The offload thread does ([`Outbox::attend`]), whether or not the application holds the interpreter's lock;
//! the application's own thread sends whenever enough has gathered.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use uwgate_sys::socket;

use super::pace::MOMENT;

/// So much is gathered at most while the peer takes it: more in one call makes each byte hardly cheaper.
pub(super) const GATHERED: usize = 64 * 1024;

/// A peer that takes nothing is tried again after a moment, and then after twice as long each time up to this.
const LONGEST: Duration = Duration::from_millis(32);

/// Bytes of one response between two pieces of its application, for whoever is first to send them.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Not held on to: the end of a connection must not wait for the offload thread to look here once more.
    socket: Weak<OwnedFd>,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// Bytes to be sent from `sent` on.
    bytes: Vec<u8>,
    sent: usize,
    /// The peer took no more when asked last.
    full: bool,
    /// The offload thread will look here again.
    attended: bool,
    lost: Option<io::ErrorKind>,
}

/// What is left after something was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ahead {
    /// Bytes that wait.
    pub(super) bytes: usize,
    /// The offload thread must be told: nobody looks here.
    pub(super) unattended: bool,
}

/// What the offload thread has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Something,
    PeerFull,
}

impl Outbox {
    /// With what `bytes` holds from `sent` on, which the peer did not take.
    pub(super) fn new(socket: &Arc<OwnedFd>, bytes: Vec<u8>, sent: usize) -> Self {
        let full = sent < bytes.len();
        Self {
            socket: Arc::downgrade(socket),
            inside: Mutex::new(Inside {
                bytes,
                sent,
                full,
                ..Inside::default()
            }),
        }
    }

    /// Puts in what follows everything before, and sends if that is enough.
    ///
    /// # Errors
    /// Whatever the kernel says, now or to the offload thread before, when the peer is gone.
    pub(super) fn put(&self, pieces: [&[u8]; 3]) -> io::Result<Ahead> {
        let mut inside = self.lock();
        inside.check()?;
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        match inside.backlog() + len > GATHERED && !inside.full {
            true => inside.send_with(&self.socket, pieces)?,
            false => inside.append(pieces, 0),
        }
        Ok(inside.ahead())
    }

    /// Whether all was sent.
    pub(super) fn is_empty(&self) -> bool {
        let inside = self.lock();
        inside.backlog() == 0 && inside.lost.is_none()
    }

    /// What waits, and whether the offload thread must be told to look here. From now on it does.
    pub(super) fn ahead(&self) -> Ahead {
        self.lock().ahead()
    }

    /// Sends what the peer takes.
    ///
    /// # Errors
    /// As [`Outbox::put`].
    pub(super) fn send(&self) -> io::Result<Ahead> {
        let mut inside = self.lock();
        inside.check()?;
        inside.send_with(&self.socket, [&[]; 3])?;
        Ok(inside.ahead())
    }

    /// Takes out what the peer has not taken: the bytes, and how many of them are sent.
    ///
    /// # Errors
    /// As [`Outbox::put`].
    pub(super) fn empty(&self) -> io::Result<(Vec<u8>, usize)> {
        let mut inside = self.lock();
        inside.check()?;
        let sent = std::mem::take(&mut inside.sent);
        Ok((std::mem::take(&mut inside.bytes), sent))
    }

    /// Sends what is put in, a moment later, until a moment passes in which nothing was. A peer that takes nothing for
    /// `patience` is given up.
    pub(super) async fn attend(self: Arc<Self>, patience: Duration) {
        let (mut pause, mut waited) = (MOMENT, Duration::ZERO);
        loop {
            tokio::time::sleep(pause).await;
            match self.look(waited >= patience) {
                Found::Nothing => return,
                Found::Something => (pause, waited) = (MOMENT, Duration::ZERO),
                Found::PeerFull => {
                    waited += pause;
                    pause = LONGEST.min(pause * 2);
                }
            }
        }
    }

    fn look(&self, out_of_patience: bool) -> Found {
        let mut inside = self.lock();
        let before = inside.backlog();
        if before == 0 {
            inside.attended = false;
            return Found::Nothing;
        }
        let sent = inside.send_with(&self.socket, [&[]; 3]);
        let took_nothing = sent.is_ok() && inside.backlog() == before;
        match took_nothing {
            true if out_of_patience => inside.lose(io::ErrorKind::TimedOut),
            true => return Found::PeerFull,
            false => {}
        }
        Found::Something
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn backlog(&self) -> usize {
        self.bytes.len() - self.sent
    }

    fn ahead(&mut self) -> Ahead {
        let bytes = self.backlog();
        Ahead {
            bytes,
            unattended: bytes > 0 && !std::mem::replace(&mut self.attended, true),
        }
    }

    fn check(&self) -> io::Result<()> {
        self.lost.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Sends what waits and then `pieces`; what is not taken waits.
    fn send_with(&mut self, socket: &Weak<OwnedFd>, pieces: [&[u8]; 3]) -> io::Result<()> {
        let waiting = self.bytes.get(self.sent..).unwrap_or_default();
        let [prefix, chunk, suffix] = pieces;
        let all = [waiting, prefix, chunk, suffix];
        let len: usize = all.iter().map(|piece| piece.len()).sum();
        let sent = match socket.upgrade() {
            Some(socket) => socket::send_vectored(socket.as_fd(), &all.map(IoSlice::new)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        let taken = match sent {
            Ok(taken) => taken.unwrap_or(0),
            Err(error) => {
                self.lose(error.kind());
                return Err(error);
            }
        };
        self.full = taken < len;
        let from_waiting = taken.min(waiting.len());
        self.sent += from_waiting;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
        self.append(pieces, taken - from_waiting);
        Ok(())
    }

    /// Appends what of `pieces` is not yet `sent`.
    fn append(&mut self, pieces: [&[u8]; 3], mut sent: usize) {
        for piece in pieces {
            let from_piece = sent.min(piece.len());
            sent -= from_piece;
            self.bytes
                .extend_from_slice(piece.get(from_piece..).unwrap_or_default());
        }
    }

    fn lose(&mut self, kind: io::ErrorKind) {
        self.lost = Some(kind);
        self.bytes = Vec::new();
        self.sent = 0;
    }
}
