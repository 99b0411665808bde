//! Copies of the var blocks of requests in flight, for whoever asks what a worker is doing: harakiri and the stats
//! server. They are made only when an option asks for them.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// So many words of a block are shown.
const WORDS: usize = 512;

/// So many bytes of a block are shown; what goes beyond is left out, whole variables at a time.
const CAPACITY: usize = WORDS * 8;

uwgate_sys::shared_struct! {
    /// The block of the request that a core serves now, or served last.
    pub struct Exhibit {
        /// Odd while the block is being written.
        version: AtomicU64,
        /// Bytes of the block that are shown.
        len: AtomicU64,
        words: [AtomicU64; WORDS],
    }
}

impl Exhibit {
    /// Shows a block. There is one writer.
    pub(crate) fn show(&self, block: &[u8]) {
        let block = block.get(..CAPACITY).unwrap_or(block);
        let version = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(version, Ordering::Relaxed);
        fence(Ordering::Release);
        self.len.store(block.len() as u64, Ordering::Relaxed);
        for (word, bytes) in self.words.iter().zip(block.chunks(8)) {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(bytes) {
                *to = *from;
            }
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        self.version.store(version + 1, Ordering::Release);
    }

    /// The variables of the block, keys and values as they were received; `None` when another block was being written
    /// meanwhile (or none ever was).
    pub fn look(&self) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let before = self.version.load(Ordering::Acquire);
        let len = usize::try_from(self.len.load(Ordering::Relaxed)).ok()?;
        let words = self.words.iter().take(len.div_ceil(8));
        let mut block: Vec<u8> = words
            .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .collect();
        fence(Ordering::Acquire);
        let same = self.version.load(Ordering::Relaxed) == before;
        if before == 0 || before % 2 == 1 || !same {
            return None;
        }
        block.truncate(len);
        let mut rest: &[u8] = &block;
        Some(std::iter::from_fn(|| Some((item(&mut rest)?, item(&mut rest)?))).collect())
    }
}

/// One length and its bytes, taken off the front; `None` where the block was cut off.
fn item(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (len, after) = rest.split_first_chunk()?;
    let (bytes, after) = after.split_at_checked(u16::from_le_bytes(*len).into())?;
    *rest = after;
    Some(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use uwgate_sys::memory::SharedSlice;

    use super::*;

    fn block(vars: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        for bytes in vars.iter().flat_map(|(key, value)| [key, value]) {
            block.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
            block.extend_from_slice(bytes);
        }
        block
    }

    #[test]
    fn the_last_block_is_seen() {
        let exhibits = SharedSlice::<Exhibit>::create(1).unwrap();
        assert_eq!(exhibits[0].look(), None);
        exhibits[0].show(&block(&[(b"PATH_INFO", b"/a/long/path"), (b"A", b"")]));
        exhibits[0].show(&block(&[(b"PATH_INFO", b"/b")]));
        let seen = exhibits[0].look().unwrap();
        assert_eq!(seen, [(b"PATH_INFO".to_vec(), b"/b".to_vec())]);
    }

    #[test]
    fn a_large_block_is_cut_between_variables() {
        let exhibits = SharedSlice::<Exhibit>::create(1).unwrap();
        let value = vec![b'x'; 3000];
        exhibits[0].show(&block(&[(b"A", &value), (b"B", &value), (b"C", b"")]));
        assert_eq!(exhibits[0].look().unwrap(), [(b"A".to_vec(), value)]);
    }

    #[test]
    fn no_mixture_of_two_blocks_is_ever_seen() {
        let exhibits = SharedSlice::<Exhibit>::create(1).unwrap();
        let exhibit = &exhibits[0];
        let blocks = [b'a', b'b'].map(|byte| block(&[(&[byte; 300], &[byte; 900])]));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for turn in 0..20_000 {
                    exhibit.show(&blocks[turn % 2]);
                }
            });
            while !writer.is_finished() {
                for (key, value) in exhibit.look().unwrap_or_default() {
                    let one = key.first().copied();
                    assert!(key.iter().chain(&value).all(|byte| Some(*byte) == one));
                }
            }
        });
        assert!(exhibit.look().is_some());
    }
}
