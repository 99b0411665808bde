//! The list while it grows.

use crate::entry::Entry;

/// An entry of the growing list.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) entry: Entry,
    /// It was applied while reading (or came when the passes were over), so its value is never expanded.
    pub(super) is_raw: bool,
    /// It was defined as a placeholder, so `strict` does not mind it.
    pub(super) is_placeholder: bool,
}

impl Item {
    /// Whether the value holds anything like `symbol(`.
    pub(super) fn may_hold(&self, symbol: u8) -> bool {
        let value = self.entry.text().as_bytes();
        value.windows(2).any(|pair| pair == [symbol, b'('])
    }
}
