use std::ops::Range;

use crate::{Reject, bytes, path::hex_digit};

/// Bytes of a trailer that are read (and dropped) before the request is refused.
const TRAILER_LIMIT: u32 = 8 * 1024;

/// How far the bytes around the data may run ahead of it before the request is refused.
const OVERHEAD_LIMIT: u64 = 16 * 1024;

/// What a chunk may have around its data without being held against it: the size, two line ends, some letters.
const FREE_OVERHEAD: u64 = 16;

/// Hexadecimal digits of a size, leading zeros included.
const SIZE_DIGITS: u8 = 16;

/// Takes a chunked request body apart where it lies in the caller's buffer (RFC 9112 section 7.1).
///
/// It is strict, because two servers that disagree on where a body ends disagree on where the next request begins:
/// sizes are hexadecimal digits and nothing else, lines end in CR LF and in nothing else. Extensions are skipped,
/// trailers dropped. Call [`decode`](Self::decode) with the bytes not yet consumed until it says done; what follows
/// is the next request.
#[derive(Debug, Clone)]
pub struct ChunkedDecoder {
    state: State,
    /// Bytes of data that may still come before the body is too large.
    room: u64,
    overhead: u64,
    trailer: u32,
}

/// What one call of [`ChunkedDecoder::decode`] has found. All positions count from the start of its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Bytes that are dealt with, `data` among them. Drop them (when `data` has been used) before the next call.
    pub consumed: usize,
    /// Bytes of the body; may be empty.
    pub data: Range<usize>,
    /// The body is complete, trailer included.
    pub done: bool,
}

/// Named after what is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    ExtensionName { size: u64 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerLine,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedDecoder {
    /// A decoder at the start of a body.
    pub const fn new() -> Self {
        Self::with_limit(i64::MAX as u64)
    }

    /// A decoder that refuses a body of more than `bytes`, as soon as a chunk's size announces it.
    pub const fn with_limit(bytes: u64) -> Self {
        let state = State::Size { size: 0, digits: 0 };
        Self {
            state,
            room: bytes,
            overhead: 0,
            trailer: 0,
        }
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Goes on until it meets data, the end of the body or that of `input`.
    ///
    /// At least one byte is consumed unless `input` is empty or the body complete.
    ///
    /// # Errors
    /// Any of the chunk and trailer variants of [`Reject`], or [`Reject::BodyTooLarge`]. The decoder is of no use
    /// then, and neither is the connection.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, Reject> {
        let mut consumed = 0;
        while let Some(rest @ [byte, ..]) = input.get(consumed..) {
            match self.state {
                State::Done => break,
                State::Data { left } => return Ok(self.take_data(left, consumed, rest.len())),
                _ => self.state = self.next(*byte)?,
            }
            consumed += 1;
        }
        Ok(Step {
            consumed,
            data: consumed..consumed,
            done: self.is_done(),
        })
    }

    fn take_data(&mut self, left: u64, start: usize, available: usize) -> Step {
        let len = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left - len as u64;
        self.state = if left == 0 {
            State::DataCr
        } else {
            State::Data { left }
        };
        let end = start + len;
        Step {
            consumed: end,
            data: start..end,
            done: false,
        }
    }

    /// The state after one byte that is not data.
    fn next(&mut self, byte: u8) -> Result<State, Reject> {
        match (self.state, byte) {
            (State::Size { size, digits }, b'\r') if digits > 0 => Ok(State::SizeLf { size }),
            (State::Size { size, digits }, b';') if digits > 0 => Ok(State::ExtensionName { size }),
            (State::Size { size, digits }, _) => {
                let digit = hex_digit(byte)
                    .filter(|_| digits < SIZE_DIGITS)
                    .ok_or(Reject::ChunkSize)?;
                Ok(State::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                })
            }
            (state @ (State::ExtensionName { size } | State::Extension { size }), _) => {
                self.count_overhead()?;
                extension(state, size, byte)
            }
            (State::SizeLf { size }, b'\n') => self.begin_chunk(size),
            (State::SizeLf { .. }, _) => Err(Reject::ChunkSize),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::DataCr | State::DataLf, _) => Err(Reject::ChunkEnd),
            (State::EndLf, b'\n') => Ok(State::Done),
            (state, _) => {
                self.count_trailer()?;
                trailer(state, byte)
            }
        }
    }

    /// A size is complete: data follows, or the trailer.
    fn begin_chunk(&mut self, size: u64) -> Result<State, Reject> {
        if size == 0 {
            return Ok(State::TrailerLine);
        }
        self.room = self.room.checked_sub(size).ok_or(Reject::BodyTooLarge)?;
        self.overhead = self
            .overhead
            .saturating_sub(size.saturating_add(FREE_OVERHEAD));
        Ok(State::Data { left: size })
    }

    fn count_overhead(&mut self) -> Result<(), Reject> {
        self.overhead += 1;
        if self.overhead > OVERHEAD_LIMIT {
            return Err(Reject::ChunkOverhead);
        }
        Ok(())
    }

    fn count_trailer(&mut self) -> Result<(), Reject> {
        self.trailer += 1;
        if self.trailer > TRAILER_LIMIT {
            return Err(Reject::TrailerTooLarge);
        }
        Ok(())
    }
}

/// One byte of `*( BWS ";" BWS name [ "=" value ] )`, of which it is only checked that a name is there and that
/// nothing can be taken for a line's end.
fn extension(state: State, size: u64, byte: u8) -> Result<State, Reject> {
    match (state, byte) {
        (State::ExtensionName { .. }, b' ' | b'\t') => Ok(state),
        (State::ExtensionName { .. }, _) if bytes::is_token_byte(byte) => {
            Ok(State::Extension { size })
        }
        (State::ExtensionName { .. }, _) => Err(Reject::ChunkExtension),
        (_, b'\r') => Ok(State::SizeLf { size }),
        _ if bytes::is_control(byte) => Err(Reject::ChunkExtension),
        _ => Ok(State::Extension { size }),
    }
}

/// One byte of the trailer: lines of `name: value`, then an empty one.
fn trailer(state: State, byte: u8) -> Result<State, Reject> {
    match (state, byte) {
        (State::TrailerLine, b'\r') => Ok(State::EndLf),
        (State::TrailerLine | State::TrailerName, _) if bytes::is_token_byte(byte) => {
            Ok(State::TrailerName)
        }
        (State::TrailerName, b':') => Ok(State::TrailerValue),
        (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
        (State::TrailerValue, _) if !bytes::is_control(byte) => Ok(State::TrailerValue),
        (State::TrailerLf, b'\n') => Ok(State::TrailerLine),
        _ => Err(Reject::Trailer),
    }
}
