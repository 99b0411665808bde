use crate::response::BodyMode;

/// Frames the chunks of a response body, and sees to it that no more is sent than was promised.
///
/// For each chunk of the application call [`frame`](Self::frame) and send what it says; after the last one call
/// [`finish`](Self::finish).
#[derive(Debug, Clone)]
pub struct BodyFramer {
    mode: BodyMode,
    /// Bytes still missing from the Content-Length.
    left: u64,
}

/// How to send one chunk of the application: `prefix`, the first `take` bytes of it, `suffix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Piece {
    prefix: [u8; PREFIX_MAX],
    prefix_len: u8,
    /// Bytes of the chunk that may be sent. Fewer than it has: the rest is beyond the Content-Length, or the
    /// response has no body.
    pub take: usize,
    /// What follows the bytes.
    pub suffix: &'static [u8],
}

/// How a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last bytes to be sent.
    pub bytes: &'static [u8],
    /// Bytes of the Content-Length that the application has not delivered. If not zero the connection must be closed,
    /// for the client waits for them.
    pub missing: u64,
}

/// Sixteen digits and a line's end.
const PREFIX_MAX: usize = 18;

impl Piece {
    /// What precedes the bytes: a chunk's size and line end, or nothing.
    pub fn prefix(&self) -> &[u8] {
        self.prefix
            .get(PREFIX_MAX - usize::from(self.prefix_len)..)
            .unwrap_or_default()
    }

    const fn plain(take: usize) -> Self {
        Self {
            prefix: [0; PREFIX_MAX],
            prefix_len: 0,
            take,
            suffix: b"",
        }
    }

    fn chunk(len: usize) -> Self {
        let mut prefix = [0; PREFIX_MAX];
        let mut rest = len;
        let mut prefix_len = 0;
        for byte in prefix.iter_mut().rev() {
            *byte = match prefix_len {
                0 => b'\n',
                1 => b'\r',
                _ => {
                    let digit = hex_letter(rest);
                    rest >>= 4;
                    digit
                }
            };
            prefix_len += 1;
            if prefix_len > 2 && rest == 0 {
                break;
            }
        }
        Self {
            prefix,
            prefix_len,
            take: len,
            suffix: b"\r\n",
        }
    }
}

/// The lowest four bits as a digit.
fn hex_letter(number: usize) -> u8 {
    match u8::try_from(number & 0xf).unwrap_or(0) {
        digit @ 0..=9 => b'0' + digit,
        digit => b'a' - 10 + digit,
    }
}

impl BodyFramer {
    /// At the start of a body that is framed like `mode`.
    pub const fn new(mode: BodyMode) -> Self {
        let left = match mode {
            BodyMode::Length(length) => length,
            BodyMode::Chunked | BodyMode::Close | BodyMode::None => 0,
        };
        Self { mode, left }
    }

    /// How the next chunk of `len` bytes is to be sent. Empty chunks send nothing: an empty chunk would end a chunked
    /// body.
    pub fn frame(&mut self, len: usize) -> Piece {
        match self.mode {
            BodyMode::Chunked if len > 0 => Piece::chunk(len),
            BodyMode::Chunked | BodyMode::None => Piece::plain(0),
            BodyMode::Close => Piece::plain(len),
            BodyMode::Length(_) => {
                let take = usize::try_from(self.left).map_or(len, |left| left.min(len));
                self.left -= take as u64;
                Piece::plain(take)
            }
        }
    }

    /// Whether nothing of a further chunk would be sent: the Content-Length is reached, or there is no body.
    pub fn is_full(&self) -> bool {
        match self.mode {
            BodyMode::Length(_) => self.left == 0,
            BodyMode::None => true,
            BodyMode::Chunked | BodyMode::Close => false,
        }
    }

    /// Ends a body whose application came to its end. After a failure in mid-body do not call it, close the
    /// connection: the client must not take the response for complete.
    pub fn finish(self) -> End {
        let bytes: &[u8] = if self.mode == BodyMode::Chunked {
            b"0\r\n\r\n"
        } else {
            b""
        };
        End {
            bytes,
            missing: self.left,
        }
    }
}
