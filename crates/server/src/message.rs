//! What master, zygote and workers say to each other, one message a datagram of their `SOCK_SEQPACKET` pairs.
//!
//! End of file is a message too: it always means that the other process is gone, since no sibling inherits a
//! channel.

use std::io;

use tokio::io::unix::AsyncFd;
use uwgate_sys::channel::Channel;

use crate::scoreboard::Side;

/// Master to zygote. A file descriptor travels along with `Fork`: the new worker's end of its own channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToZygote {
    /// Make worker number `worker` (from 1).
    Fork {
        /// The worker's number.
        worker: u32,
        /// Which of the worker's rows of the scoreboard the process writes.
        side: Side,
    },
}

/// Zygote to master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromZygote {
    /// Ready to fork; so many applications are loaded (none yet with `lazy-apps`).
    Loaded {
        /// Applications found.
        apps: u32,
    },
    /// The fork of a worker failed in the kernel.
    ForkFailed {
        /// The worker's number.
        worker: u32,
        /// The row it would have written.
        side: Side,
    },
}

/// Master to worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToWorker {
    /// Accept nothing more, finish what is there, tell keep-alive clients politely, then end.
    Drain,
    /// As `Drain`, but idle keep-alive connections are closed at once: nobody comes after us.
    Stop,
    /// Nobody will accept after you from some of your sockets: take those who have connected when you drain.
    Closing {
        /// A bit for each socket; those after the first 32 have none.
        doors: u32,
    },
    /// Leave new connections in the queue until told to resume.
    Pause,
    /// Accept again.
    Resume,
}

/// Worker to master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromWorker {
    /// The first word: who I am.
    Started {
        /// The worker's process id.
        pid: u32,
    },
    /// Accepting requests; so many applications are loaded.
    Ready {
        /// Applications found.
        apps: u32,
    },
    /// A request was in the application for too long.
    Harakiri {
        /// The process goes on for a while and wants a successor. Otherwise it ends now.
        replace: bool,
    },
    /// I have served enough: let another take my place. Until it is there I go on.
    Retire {
        /// Why.
        why: Retirement,
        /// Requests that the process has begun.
        requests: u32,
    },
    /// A file of the loaded code was written at this time since 1970 (`py-autoreload`).
    CodeChanged {
        /// Seconds.
        seconds: u32,
        /// And nanoseconds.
        nanos: u32,
    },
}

/// Why a worker wants to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Retirement {
    /// It has served `max-requests`.
    MaxRequests = 1,
    /// An exception of the application is one after which it is to start afresh (`reload-on-exception`).
    Exception = 2,
    /// Somebody has sent it a signal.
    Signal = 3,
}

impl Retirement {
    fn from_number(number: u32) -> Option<Self> {
        [Self::MaxRequests, Self::Exception, Self::Signal]
            .into_iter()
            .find(|why| *why as u32 == number)
    }
}

/// The size of every message in bytes.
pub const SIZE: usize = 9;

/// A message as the bytes of one datagram.
pub trait Message: Sized {
    /// The datagram.
    fn encode(self) -> [u8; SIZE];
    /// Reads a datagram; `None` for what another version might have meant.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// The next message of a non-blocking channel; `None` when the other process is gone.
pub(crate) async fn next_message<M: Message>(channel: &AsyncFd<Channel>) -> Option<M> {
    loop {
        let mut ready = channel.readable().await.ok()?;
        let mut datagram = [0; SIZE];
        match channel.get_ref().recv(&mut datagram) {
            Ok(received) if received.is_eof() => return None,
            Ok(received) => {
                if let Some(message) = datagram.get(..received.len).and_then(M::decode) {
                    return Some(message);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(_) => return None,
        }
    }
}

fn bytes(kind: u8, first: u32, second: u32) -> [u8; SIZE] {
    let [a, b, c, d] = first.to_le_bytes();
    let [e, f, g, h] = second.to_le_bytes();
    [kind, a, b, c, d, e, f, g, h]
}

fn parts(bytes: &[u8]) -> Option<(u8, u32, u32)> {
    let [kind, a, b, c, d, e, f, g, h] = bytes.try_into().ok()?;
    let (first, second) = ([a, b, c, d], [e, f, g, h]);
    Some((kind, u32::from_le_bytes(first), u32::from_le_bytes(second)))
}

impl Message for ToZygote {
    fn encode(self) -> [u8; SIZE] {
        match self {
            Self::Fork { worker, side } => bytes(b'f', worker, side as u32),
        }
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'f', worker, side) => Some(Self::Fork {
                worker,
                side: Side::from_number(side)?,
            }),
            _ => None,
        }
    }
}

impl Message for FromZygote {
    fn encode(self) -> [u8; SIZE] {
        match self {
            Self::Loaded { apps } => bytes(b'l', apps, 0),
            Self::ForkFailed { worker, side } => bytes(b'x', worker, side as u32),
        }
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'l', apps, 0) => Some(Self::Loaded { apps }),
            (b'x', worker, side) => Some(Self::ForkFailed {
                worker,
                side: Side::from_number(side)?,
            }),
            _ => None,
        }
    }
}

impl Message for ToWorker {
    fn encode(self) -> [u8; SIZE] {
        let letter = match self {
            Self::Closing { doors } => return bytes(b'c', doors, 0),
            Self::Drain => b'd',
            Self::Stop => b's',
            Self::Pause => b'p',
            Self::Resume => b'r',
        };
        bytes(letter, 0, 0)
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'd', 0, 0) => Some(Self::Drain),
            (b's', 0, 0) => Some(Self::Stop),
            (b'c', doors, 0) => Some(Self::Closing { doors }),
            (b'p', 0, 0) => Some(Self::Pause),
            (b'r', 0, 0) => Some(Self::Resume),
            _ => None,
        }
    }
}

impl Message for FromWorker {
    fn encode(self) -> [u8; SIZE] {
        match self {
            Self::Started { pid } => bytes(b'p', pid, 0),
            Self::Ready { apps } => bytes(b'r', apps, 0),
            Self::Harakiri { replace } => bytes(b'h', replace.into(), 0),
            Self::Retire { why, requests } => bytes(b'e', why as u32, requests),
            Self::CodeChanged { seconds, nanos } => bytes(b'c', seconds, nanos),
        }
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'p', pid, 0) => Some(Self::Started { pid }),
            (b'r', apps, 0) => Some(Self::Ready { apps }),
            (b'h', replace @ 0..=1, 0) => Some(Self::Harakiri {
                replace: replace == 1,
            }),
            (b'e', why, requests) => Some(Self::Retire {
                why: Retirement::from_number(why)?,
                requests,
            }),
            (b'c', seconds, nanos) => Some(Self::CodeChanged { seconds, nanos }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives<M: Message + Copy + PartialEq + std::fmt::Debug>(message: M) {
        assert_eq!(M::decode(&message.encode()), Some(message));
    }

    #[test]
    fn every_message_survives_its_datagram() {
        let (worker, side) = (70_000, Side::Second);
        survives(ToZygote::Fork { worker, side });
        survives(FromZygote::Loaded { apps: 3 });
        survives(FromZygote::ForkFailed { worker, side });
        survives(ToWorker::Drain);
        survives(ToWorker::Stop);
        survives(ToWorker::Closing { doors: 5 });
        survives(ToWorker::Pause);
        survives(ToWorker::Resume);
        survives(FromWorker::Started { pid: 4_000_000 });
        survives(FromWorker::Ready { apps: 1 });
        let (seconds, nanos) = (u32::MAX, 999_999_999);
        survives(FromWorker::CodeChanged { seconds, nanos });
        for replace in [false, true] {
            survives(FromWorker::Harakiri { replace });
        }
        for why in [
            Retirement::MaxRequests,
            Retirement::Exception,
            Retirement::Signal,
        ] {
            survives(FromWorker::Retire {
                why,
                requests: 70_000,
            });
        }
    }

    #[test]
    fn foreign_datagrams_are_not_messages() {
        for bytes in [
            &b""[..],
            b"f",
            b"f1234567890",
            b"f\x01\0\0\0\x07\0\0\0",
            b"?12345678",
        ] {
            assert_eq!(ToZygote::decode(bytes), None);
            assert_eq!(FromWorker::decode(bytes), None);
        }
    }
}
