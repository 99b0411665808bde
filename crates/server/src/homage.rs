//! How a vassal that has outlived its emperor becomes the next one's: it calls at the place that the environment names,
//! and hands over the ends of a new dialogue. Who calls the kernel says.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use serde::{Deserialize, Serialize};
use uwgate_sys::channel::Channel;

/// The variable with the path of the place. A vassal that has it may ask to outlive its emperor.
pub const VARIABLE: &str = "UWGATE_EMPEROR_CALL";

/// What a vassal hands over.
#[derive(Debug)]
pub struct Homage {
    /// The emperor's end of the dialogue.
    pub dialogue: OwnedFd,
    /// The emperor's end of the way that the vassal's configuration takes, if the emperor sends it.
    pub config: Option<OwnedFd>,
    /// The file in memory that it prints to, and how much of that an emperor has seen, in bytes.
    pub printed: Option<(OwnedFd, u64)>,
    /// The socket on demand that it was lent.
    pub door: Option<OwnedFd>,
}

/// Which of them there are, in this order.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct List {
    config: bool,
    printed: Option<u64>,
    door: bool,
}

/// Longer than any list.
const LONGEST: usize = 1024;

impl Homage {
    /// # Errors
    /// When nobody listens.
    pub fn send(&self, to: &Channel) -> io::Result<()> {
        let Self {
            dialogue,
            config,
            printed,
            door,
        } = self;
        let list = List {
            config: config.is_some(),
            printed: printed.as_ref().map(|it| it.1),
            door: door.is_some(),
        };
        let text = serde_json::to_vec(&list).map_err(io::Error::other)?;
        let printed = printed.as_ref().map(|it| &it.0);
        let more = [config.as_ref(), printed, door.as_ref()];
        let fds: Vec<_> = std::iter::once(dialogue)
            .chain(more.into_iter().flatten())
            .map(AsFd::as_fd)
            .collect();
        to.send(&text, &fds)
    }

    /// # Errors
    /// When it is none; `WouldBlock` when none has come yet.
    pub fn receive(from: &Channel) -> io::Result<Self> {
        let mut text = [0; LONGEST];
        let received = from.recv(&mut text)?;
        let text = text.get(..received.len).unwrap_or_default();
        let list: List = serde_json::from_slice(text).map_err(io::Error::other)?;
        let mut fds = received.fds.into_iter();
        let mut next = || {
            let missing = || io::Error::other("a descriptor is missing");
            fds.next().ok_or_else(missing)
        };
        let homage = Self {
            dialogue: next()?,
            config: list.config.then(&mut next).transpose()?,
            printed: match list.printed {
                Some(seen) => Some((next()?, seen)),
                None => None,
            },
            door: list.door.then(&mut next).transpose()?,
        };
        match fds.next() {
            None => Ok(homage),
            Some(_) => Err(io::Error::other("a descriptor that the list does not name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use uwgate_sys::channel::pair;

    use super::*;

    fn end() -> OwnedFd {
        UnixStream::pair().expect("sockets").0.into()
    }

    #[test]
    fn what_is_handed_over_arrives() {
        let (ours, theirs) = pair().expect("a channel");
        for full in [true, false] {
            let homage = Homage {
                dialogue: end(),
                config: full.then(end),
                printed: full.then(|| (end(), 7)),
                door: Some(end()),
            };
            homage.send(&ours).expect("it is sent");
            let got = Homage::receive(&theirs).expect("it arrives");
            assert_eq!(got.config.is_some(), full);
            assert_eq!(got.printed.map(|it| it.1), full.then_some(7));
            assert!(got.door.is_some());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let (ours, theirs) = pair().expect("a channel");
        let one = end();
        let messages: [(&[u8], usize); 4] =
            [(b"x", 1), (b"{}", 0), (br#"{"door":true}"#, 1), (b"[]", 2)];
        for (text, fds) in messages {
            ours.send(text, &vec![one.as_fd(); fds])
                .expect("it is sent");
            assert!(Homage::receive(&theirs).is_err(), "{text:?}");
        }
        drop(ours);
        assert!(Homage::receive(&theirs).is_err(), "the end");
    }
}
