//! What master, zygote and workers say to each other, one message a datagram of their `SOCK_SEQPACKET` pairs.
//!
//! End of file is a message too: it always means that the other process is gone, since no sibling inherits a
//! channel.

use std::io;

use tokio::io::unix::AsyncFd;
use uwgate_sys::channel::Channel;

/// Master to zygote. A file descriptor travels along with `Fork`: the new worker's end of its own channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToZygote {
    /// Make worker number `worker` (from 1).
    Fork {
        /// The worker's number.
        worker: u32,
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
    },
}

/// Master to worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToWorker {
    /// Accept nothing more, finish what is there, tell keep-alive clients politely, then end.
    Drain,
    /// As `Drain`, but idle keep-alive connections are closed at once: nobody comes after us.
    Stop,
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
}

/// The size of every message in bytes.
pub const SIZE: usize = 5;

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

fn bytes(kind: u8, value: u32) -> [u8; SIZE] {
    let [a, b, c, d] = value.to_le_bytes();
    [kind, a, b, c, d]
}

fn parts(bytes: &[u8]) -> Option<(u8, u32)> {
    let [kind, a, b, c, d] = bytes.try_into().ok()?;
    Some((kind, u32::from_le_bytes([a, b, c, d])))
}

impl Message for ToZygote {
    fn encode(self) -> [u8; SIZE] {
        match self {
            Self::Fork { worker } => bytes(b'f', worker),
        }
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'f', worker) => Some(Self::Fork { worker }),
            _ => None,
        }
    }
}

impl Message for FromZygote {
    fn encode(self) -> [u8; SIZE] {
        match self {
            Self::Loaded { apps } => bytes(b'l', apps),
            Self::ForkFailed { worker } => bytes(b'x', worker),
        }
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'l', apps) => Some(Self::Loaded { apps }),
            (b'x', worker) => Some(Self::ForkFailed { worker }),
            _ => None,
        }
    }
}

impl Message for ToWorker {
    fn encode(self) -> [u8; SIZE] {
        match self {
            Self::Drain => bytes(b'd', 0),
            Self::Stop => bytes(b's', 0),
        }
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'd', 0) => Some(Self::Drain),
            (b's', 0) => Some(Self::Stop),
            _ => None,
        }
    }
}

impl Message for FromWorker {
    fn encode(self) -> [u8; SIZE] {
        match self {
            Self::Started { pid } => bytes(b'p', pid),
            Self::Ready { apps } => bytes(b'r', apps),
        }
    }

    fn decode(datagram: &[u8]) -> Option<Self> {
        match parts(datagram)? {
            (b'p', pid) => Some(Self::Started { pid }),
            (b'r', apps) => Some(Self::Ready { apps }),
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
        survives(ToZygote::Fork { worker: 70_000 });
        survives(FromZygote::Loaded { apps: 3 });
        survives(FromZygote::ForkFailed { worker: 2 });
        survives(ToWorker::Drain);
        survives(ToWorker::Stop);
        survives(FromWorker::Started { pid: 4_000_000 });
        survives(FromWorker::Ready { apps: 1 });
    }

    #[test]
    fn foreign_datagrams_are_not_messages() {
        for bytes in [&b""[..], b"f", b"f12345", b"?1234"] {
            assert_eq!(ToZygote::decode(bytes), None);
            assert_eq!(FromWorker::decode(bytes), None);
        }
    }
}
