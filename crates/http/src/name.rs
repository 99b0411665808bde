//! A header's name on its way to a variable's key.

use httparse::Header;
use uwsgi_codec::KeyWriter;

use crate::bytes;

/// The headers that are more than text for the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Host,
    Proxy,
    Expect,
    Cookie,
    Connection,
    ContentType,
    ContentLength,
    TransferEncoding,
}

/// Bytes that are mapped at once: a matter of a few vector instructions, where a loop over a name's bytes would take
/// longer than all the parsing. Longer names are rare.
const BLOCK: usize = 32;

/// A name, and its first bytes as they stand in a key: upper case, `_` for `-`, zeros behind the last.
#[derive(Debug)]
pub(crate) struct Name<'a> {
    raw: &'a [u8],
    block: [u8; BLOCK],
    has_underscore: bool,
}

impl<'a> Name<'a> {
    /// `head` are the bytes that `raw` is a part of.
    #[inline]
    pub(crate) fn new(head: &[u8], raw: &'a str) -> Self {
        let raw = raw.as_bytes();
        let block = window(head, raw).unwrap_or_else(|| first_bytes(raw));
        let has_underscore = match raw.get(BLOCK..) {
            None => block
                .iter()
                .fold(false, |found, &byte| found | (byte == b'_')),
            Some(_) => raw.contains(&b'_'),
        };
        Self {
            raw,
            block: block.map(key_byte),
            has_underscore,
        }
    }

    /// Whether the header must not become a variable: a name with an underscore would have the key of another one with
    /// a hyphen, which a front server may have checked.
    pub(crate) const fn has_underscore(&self) -> bool {
        self.has_underscore
    }

    /// The key without prefix, if it fits into the block.
    #[inline]
    fn key(&self) -> Option<&[u8]> {
        self.block.get(..self.raw.len())
    }

    #[inline]
    pub(crate) fn known(&self) -> Option<Known> {
        if self.has_underscore {
            return None;
        }
        match self.key()? {
            b"HOST" => Some(Known::Host),
            b"PROXY" => Some(Known::Proxy),
            b"EXPECT" => Some(Known::Expect),
            b"COOKIE" => Some(Known::Cookie),
            b"CONNECTION" => Some(Known::Connection),
            b"CONTENT_TYPE" => Some(Known::ContentType),
            b"CONTENT_LENGTH" => Some(Known::ContentLength),
            b"TRANSFER_ENCODING" => Some(Known::TransferEncoding),
            _ => None,
        }
    }

    /// Whether a header has this name.
    pub(crate) fn is_of(&self, header: &Header<'_>) -> bool {
        header.name.as_bytes().eq_ignore_ascii_case(self.raw)
    }

    /// Appends the name, without `HTTP_`, to a key.
    #[inline]
    pub(crate) fn extend(&self, key: &mut KeyWriter<'_, '_>) {
        match self.key() {
            Some(upper) => key.extend(upper),
            None => key.extend_mapped(self.raw, key_byte),
        }
    }
}

/// The name's bytes, taken with those that follow it in the head and freed from them. `None`: the name is longer than a
/// block, or the head ends too early.
#[inline]
fn window(head: &[u8], name: &[u8]) -> Option<[u8; BLOCK]> {
    /// A block of ones, then one of zeros: a block of it that begins in the middle keeps a name of that length.
    const EDGE: [u8; 2 * BLOCK] = {
        let mut edge = [0; 2 * BLOCK];
        let (ones, _) = edge.split_at_mut(BLOCK);
        ones.copy_from_slice(&[0xff; BLOCK]);
        edge
    };

    let mask: &[u8; BLOCK] = EDGE.get(BLOCK.checked_sub(name.len())?..)?.first_chunk()?;
    let start = bytes::offset_in(head, name)?;
    let mut block: [u8; BLOCK] = *head.get(start..)?.first_chunk()?;
    for (byte, mask) in block.iter_mut().zip(mask) {
        *byte &= mask;
    }
    Some(block)
}

/// The same, byte by byte.
#[cold]
fn first_bytes(name: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(name) {
        *to = *from;
    }
    block
}

/// A byte of a name as it stands in a key.
#[inline]
const fn key_byte(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        _ => byte.to_ascii_uppercase(),
    }
}

/// Tells cheaply that a name has not occurred yet: 256 bits, of which each name sets one.
#[derive(Debug, Default)]
pub(crate) struct SeenNames([u64; 4]);

impl SeenNames {
    /// Notes a name. False: it is new. True: it, or one that looks alike, was there before.
    #[inline]
    pub(crate) fn may_hold(&mut self, name: &Name<'_>) -> bool {
        let (words, _) = name.block.as_chunks::<8>();
        let mix = words.iter().fold(0, |mix: u64, &word| {
            mix.rotate_left(9) ^ u64::from_le_bytes(word)
        });
        let [.., place] = mix.wrapping_mul(SPREAD).to_le_bytes();
        let Some(bits) = self.0.get_mut(usize::from(place >> 6)) else {
            return true;
        };
        let bit = 1 << (place & 63);
        let held = *bits & bit != 0;
        *bits |= bit;
        held
    }
}

/// 2^64 over the golden ratio: multiplied by it, neighbours end up far apart in the upper bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
