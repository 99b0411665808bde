//! A connection's heads, each translated only once.

use crate::{Head, Limits, Parsed, Peer, Reject, parse};

/// A longer head is not remembered: it would be somebody's cookies, in memory for as long as the connection rests.
const REMEMBERED: usize = 2 * 1024;

/// After so many heads of which each differed from the one before, nothing is remembered any more.
const DIFFERENT: u8 = 16;

/// The var block of a connection's current request, and the head that it was made from.
///
/// Clients that ask again and again (an API's, a health check, whoever polls) mostly send the same bytes again. What
/// they mean has been found out then, and the block is still there. One for each connection, always with the same
/// limits and the same peer.
#[derive(Debug, Default)]
pub struct Translation {
    block: Vec<u8>,
    /// The bytes that the block was made from, and what else they said; empty when that is not known.
    bytes: Vec<u8>,
    head: Option<Head>,
    /// How many heads in a row were different.
    different: u8,
}

impl Translation {
    /// The var block of the last head.
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// As [`parse`], into the block that is kept here.
    ///
    /// # Errors
    /// As [`parse`]. The block is of no use then.
    pub fn translate(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        peer: &Peer<'_>,
    ) -> Result<Parsed, Reject> {
        if let Some(head) = self.recall(buf) {
            self.different = 0;
            return Ok(Parsed::Complete(head));
        }
        self.head = None;
        let parsed = parse(buf, limits, peer, &mut self.block)?;
        if let Parsed::Complete(head) = parsed {
            self.remember(buf, head);
        }
        Ok(parsed)
    }

    /// A head ends where it says, whatever follows; so one that begins with the same bytes is the same.
    fn recall(&self, buf: &[u8]) -> Option<Head> {
        let head = self.head?;
        let begins = buf.get(..self.bytes.len())?;
        is_same(begins, &self.bytes).then_some(head)
    }

    fn remember(&mut self, buf: &[u8], head: Head) {
        if self.different == DIFFERENT || !head.keep_alive {
            return;
        }
        self.different += 1;
        let bytes = buf.get(..head.len).unwrap_or_default();
        if self.different < DIFFERENT && bytes.len() <= REMEMBERED {
            self.bytes.clear();
            self.bytes.extend_from_slice(bytes);
            self.head = Some(head);
        } else {
            self.bytes = Vec::new();
        }
    }
}

/// Blocks that were made elsewhere.
impl From<Vec<u8>> for Translation {
    fn from(block: Vec<u8>) -> Self {
        Self {
            block,
            ..Self::default()
        }
    }
}

/// Takes the same time wherever the difference is: a proxy sends the requests of several clients over one connection,
/// and how far somebody's guess of another one's cookie was right is not to be had by a clock.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (ones, rest_of_one) = one.as_chunks::<16>();
    let (others, rest_of_other) = other.as_chunks::<16>();
    let words = ones.iter().zip(others).fold(0, |found, (one, other)| {
        found | (u128::from_ne_bytes(*one) ^ u128::from_ne_bytes(*other))
    });
    let rest = rest_of_one.iter().zip(rest_of_other);
    let bytes = rest.fold(0, |found, (one, other)| found | (one ^ other));
    one.len() == other.len() && words == 0 && bytes == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Peer<'static> = Peer {
        server_name: b"localhost",
        server_port: b"80",
        remote_addr: b"127.0.0.1",
        remote_port: b"1",
        https: false,
    };

    fn head(translation: &mut Translation, buf: &str) -> Head {
        match translation.translate(buf.as_bytes(), &Limits::default(), &PEER) {
            Ok(Parsed::Complete(head)) => head,
            other => panic!("{buf:?}: {other:?}"),
        }
    }

    #[test]
    fn any_difference_is_seen() {
        for len in 0..70 {
            let one = vec![b'x'; len];
            assert!(is_same(&one, &one));
            assert!(!is_same(&one, &vec![b'x'; len + 1]));
            for at in 0..len {
                let mut other = one.clone();
                other[at] ^= 1;
                assert!(!is_same(&one, &other), "{at} of {len}");
            }
        }
    }

    #[test]
    fn what_follows_a_head_makes_no_difference_to_it() {
        let mut translation = Translation::default();
        let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
        let first = head(&mut translation, request);
        let block = translation.block().to_vec();
        let again = head(
            &mut translation,
            &format!("{request}GET /b HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        assert_eq!((again, translation.block()), (first, &block[..]));
        let other = head(&mut translation, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(other.len, first.len);
        assert_ne!(translation.block(), block);
    }

    #[test]
    fn a_head_that_was_refused_or_is_not_complete_is_not_remembered() {
        let mut translation = Translation::default();
        let limits = Limits::default();
        head(&mut translation, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        for _ in 0..2 {
            let refused = translation.translate(b"GET / HTTP/1.1\r\n\r\n", &limits, &PEER);
            assert_eq!(refused, Err(Reject::HostMissing));
            let begun = translation.translate(b"GET / HTTP/1.1\r\nHost", &limits, &PEER);
            assert_eq!(begun, Ok(Parsed::Partial));
        }
    }

    #[test]
    fn where_no_head_is_like_the_one_before_nothing_is_kept() {
        let mut translation = Translation::default();
        for number in 0..DIFFERENT {
            let request = format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n");
            head(&mut translation, &request);
        }
        assert!(translation.head.is_none() && translation.bytes.capacity() == 0);
        let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(
            head(&mut translation, request),
            head(&mut translation, request)
        );
        assert!(translation.head.is_none());
    }
}
