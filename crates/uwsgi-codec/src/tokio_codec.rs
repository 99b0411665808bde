use std::{fmt, io};

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{Error, HEADER_LEN, Header, Limits, Packet, Status, Vars, decode};

/// A packet that shares its block with the buffer it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketBuf {
    /// The header as sent. The encoder ignores its `datasize` and writes the block's.
    pub header: Header,
    /// The bytes behind the header.
    pub block: Bytes,
}

impl PacketBuf {
    /// Checks the block as variables.
    ///
    /// # Errors
    /// As [`Vars::parse`].
    pub fn vars(&self, limits: &Limits) -> Result<Vars<'_>, Error> {
        Vars::parse(&self.block, limits)
    }
}

/// Packets one after another over a byte stream, for `tokio_util::codec::Framed`.
///
/// A request's body is not framed by packets: on a stream that carries bodies use [`decode`] itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct PacketCodec {
    limits: Limits,
}

impl PacketCodec {
    /// A codec that takes blocks of at most `limits.block` bytes; `limits.vars` plays no part.
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl Decoder for PacketCodec {
    type Item = PacketBuf;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<PacketBuf>, CodecError> {
        match decode(src, &self.limits)? {
            Status::Complete(Packet { header, block }) => {
                let len = HEADER_LEN + block.len();
                let block = src.split_to(len).freeze().split_off(HEADER_LEN);
                Ok(Some(PacketBuf { header, block }))
            }
            Status::Partial { missing } => {
                src.reserve(missing);
                Ok(None)
            }
        }
    }
}

impl Encoder<PacketBuf> for PacketCodec {
    type Error = CodecError;

    /// # Errors
    /// [`Error::BlockTooLarge`] for a block that no header can announce; the codec's limits bind the peer only.
    fn encode(&mut self, packet: PacketBuf, dst: &mut BytesMut) -> Result<(), CodecError> {
        let PacketBuf { header, block } = packet;
        let datasize = u16::try_from(block.len()).map_err(|_| Error::BlockTooLarge)?;
        dst.reserve(HEADER_LEN + block.len());
        dst.put_slice(&Header { datasize, ..header }.to_bytes());
        dst.put_slice(&block);
        Ok(())
    }
}

/// Why a stream of packets ended early.
#[derive(Debug)]
pub enum CodecError {
    /// The stream failed, or ended inside a packet.
    Io(io::Error),
    /// The peer (decoding) or the caller (encoding) broke the protocol.
    Packet(Error),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Packet(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CodecError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            Self::Packet(error) => error.source(),
        }
    }
}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for CodecError {
    fn from(error: Error) -> Self {
        Self::Packet(error)
    }
}
