use std::fmt;
use std::iter::FusedIterator;

use crate::{Error, Limits};

/// A var block whose every length has been checked, so that walking it cannot fail.
///
/// Keys and values are bytes as sent: no encoding, case or set of names is implied, and a value may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Vars<'a> {
    /// Holds whole variables only, none with an empty key.
    block: &'a [u8],
    count: usize,
}

impl<'a> Vars<'a> {
    /// Checks a block from its first byte to its last. An empty block is valid here and has no variables.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyVars`], [`Error::EmptyKey`] or [`Error::Truncated`], whichever is met first.
    pub fn parse(block: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        if block.len() > limits.block {
            return Err(Error::TooLarge {
                datasize: block.len(),
                limit: limits.block,
            });
        }
        let mut rest = block;
        let mut count = 0;
        while !rest.is_empty() {
            if count == limits.vars {
                return Err(Error::TooManyVars { limit: limits.vars });
            }
            let at = block.len() - rest.len();
            let (key, behind_key) = split_string(rest).ok_or(Error::Truncated { at })?;
            if key.is_empty() {
                return Err(Error::EmptyKey { at });
            }
            let at = block.len() - behind_key.len();
            let (_, behind) = split_string(behind_key).ok_or(Error::Truncated { at })?;
            rest = behind;
            count += 1;
        }
        Ok(Self { block, count })
    }

    /// For [`BlockWriter`](crate::BlockWriter), which writes only what `parse` would accept.
    pub(crate) const fn written(block: &'a [u8], count: usize) -> Self {
        Self { block, count }
    }

    /// A block that [`Vars::parse`] has accepted before, with the count of variables it found, when the buffer could
    /// not stay borrowed in between. Of any other block the variables up to the first malformed one are seen.
    pub const fn revisited(block: &'a [u8], count: usize) -> Self {
        Self { block, count }
    }

    /// The variables in the order sent, repeated keys included.
    pub const fn iter(&self) -> Iter<'a> {
        Iter {
            rest: self.block,
            left: self.count,
        }
    }

    /// The value of `key`, compared byte for byte.
    ///
    /// Of a repeated key the last value counts, an empty one too: uWSGI walks the block and sets each variable in turn,
    /// so that is what an app finds in environ and what decides CONTENT_LENGTH.
    pub fn get(&self, key: &[u8]) -> Option<&'a [u8]> {
        let mut found = None;
        for (name, value) in *self {
            if name == key {
                found = Some(value);
            }
        }
        found
    }

    /// How many variables there are, repeated keys included.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no variable at all.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The block itself, to be sent on untouched.
    pub const fn block(&self) -> &'a [u8] {
        self.block
    }
}

impl<'a> IntoIterator for Vars<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Vars<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(key, value): (&[u8], &[u8])| {
            (
                key.escape_ascii().to_string(),
                value.escape_ascii().to_string(),
            )
        };
        f.debug_map().entries(self.iter().map(text)).finish()
    }
}

/// Key and value of each variable of [`Vars`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = split_string(self.rest)?;
        let (value, rest) = split_string(rest)?;
        self.rest = rest;
        self.left = self.left.saturating_sub(1);
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

/// Splits off a string that stands behind its `u16` little-endian length.
#[inline]
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
}
