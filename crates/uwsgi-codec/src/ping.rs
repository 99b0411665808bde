//! The ping: a packet of four bytes, answered by four bytes and perhaps a warning.

use crate::{Header, MAX_BLOCK, modifier};

/// What a health check sends.
pub const REQUEST: [u8; 4] = [modifier::PING, 0, 0, 0];

/// The answer of a server that is well: `64 00 00 01`.
pub const RESPONSE: [u8; 4] = [modifier::PING, 0, 0, 1];

/// Whether a packet asks for an answer. As in uWSGI neither `modifier2` nor a block makes a difference.
pub const fn is_request(header: &Header) -> bool {
    header.modifier1 == modifier::PING
}

/// Appends the answer with a warning as its block; with an empty warning that is [`RESPONSE`].
///
/// A warning is cut at 65,535 bytes.
pub fn write_response(out: &mut Vec<u8>, warning: &[u8]) {
    let text = warning.get(..MAX_BLOCK).unwrap_or(warning);
    let datasize = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let header = Header {
        modifier1: modifier::PING,
        datasize,
        modifier2: 1,
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(text);
}
