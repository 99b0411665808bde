//! Whole lines out of what several processes write in pieces.

use std::collections::HashMap;

/// A line is broken when it has become as long as this.
pub(super) const LONGEST: usize = 1024 * 1024;

/// What each writer has begun and not ended.
#[derive(Debug)]
pub(super) struct Assembler {
    begun: HashMap<i32, Vec<u8>>,
    longest: usize,
}

/// Writers whose empty buffers are kept.
const KEPT: usize = 64;

impl Assembler {
    pub(super) fn new(longest: usize) -> Self {
        Self {
            begun: HashMap::new(),
            longest,
        }
    }

    /// Takes what `writer` wrote and hands out every line that is whole now, without its newline.
    pub(super) fn take(&mut self, writer: i32, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        let begun = self.begun.entry(writer).or_default();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (last, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            match begun.is_empty() {
                true => broken(last, self.longest, &mut line),
                false => {
                    begun.extend_from_slice(last);
                    broken(begun, self.longest, &mut line);
                    begun.clear();
                }
            }
        }
        begun.extend_from_slice(rest);
        while begun.len() > self.longest {
            let rest = begun.split_off(self.longest);
            line(begun);
            *begun = rest;
        }
        if self.begun.len() > KEPT {
            self.begun.retain(|_, begun| !begun.is_empty());
        }
    }

    /// Whether somebody has begun a line.
    pub(super) fn is_waiting(&self) -> bool {
        self.begun.values().any(|begun| !begun.is_empty())
    }

    /// Hands out what was begun, as it is.
    pub(super) fn flush(&mut self, mut line: impl FnMut(i32, &[u8])) {
        for (writer, begun) in &mut self.begun {
            if !begun.is_empty() {
                line(*writer, begun);
                begun.clear();
            }
        }
    }
}

/// Hands out a line in pieces of at most `longest` bytes.
fn broken(text: &[u8], longest: usize, line: &mut impl FnMut(&[u8])) {
    if text.len() <= longest {
        return line(text);
    }
    for piece in text.chunks(longest) {
        line(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(assembler: &mut Assembler, writer: i32, bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        assembler.take(writer, bytes, |line| {
            all.push(String::from_utf8_lossy(line).into_owned());
        });
        all
    }

    #[test]
    fn writers_do_not_mix() {
        let mut it = Assembler::new(100);
        assert_eq!(lines(&mut it, 1, b"a"), [""; 0]);
        assert_eq!(lines(&mut it, 2, b"x\ny"), ["x"]);
        assert_eq!(lines(&mut it, 1, b"b\n\nc\nd"), ["ab", "", "c"]);
        assert!(it.is_waiting());
        let mut rest = Vec::new();
        it.flush(|writer, line| rest.push((writer, line.to_vec())));
        rest.sort();
        assert_eq!(rest, [(1, b"d".to_vec()), (2, b"y".to_vec())]);
        assert!(!it.is_waiting());
    }

    #[test]
    fn nothing_is_lost_of_long_lines() {
        let mut it = Assembler::new(3);
        assert_eq!(lines(&mut it, 1, b"1234567"), ["123", "456"]);
        assert_eq!(
            lines(&mut it, 1, b"8\nab\nabcd\n"),
            ["78", "ab", "abc", "d"]
        );
    }
}
