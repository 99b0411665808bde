//! The uwsgi protocol: packets and var blocks, zero-copy and sans-IO.
//!
//! A web server hands a request to an application server as one packet of CGI variables, the request's body behind it:
//!
//! ```text
//!  0           1           3           4                                   4 + datasize
//! ┌───────────┬───────────┬───────────┬───────────────────────────────────┬──────────────
//! │ modifier1 │ datasize  │ modifier2 │ block: a variable after the other │ body, CONTENT_LENGTH bytes
//! │ u8        │ u16 LE    │ u8        │                                   │ (not part of the packet)
//! └───────────┴───────────┴───────────┴───────────────────────────────────┴──────────────
//!                                      ┌─────────┬─────┬─────────┬───────┐
//!                         one variable │ keylen  │ key │ vallen  │ value │
//!                                      │ u16 LE  │     │ u16 LE  │       │
//!                                      └─────────┴─────┴─────────┴───────┘
//! ```
//!
//! # In scope
//! - where a packet ends, and whether it is larger than allowed ([`decode`]);
//! - whether a block is well-formed, and its variables ([`Vars`]);
//! - writing packets and blocks ([`BlockWriter`]), and the [`ping`];
//! - packets over a `tokio_util::codec::Framed` (`PacketCodec`, with the feature `tokio-util`).
//!
//! # Out of scope
//! - reading, writing, time-outs: bytes come in and go out as slices;
//! - what the variables mean, which of them are required or trusted, and the body;
//! - the answer to a request, which is plain HTTP;
//! - packets whose block is not made of variables (the cache's, the arrays of RPC): [`decode`] delimits them, no more.
//!
//! # Order of calls
//! 1. Read into a buffer; [`decode`] it. [`Status::Partial`] says how much to read at least before the next try. A stream
//!    that ends before its first byte is a peer that changed its mind (Apache does this), not an error.
//! 2. Look at [`Header::modifier1`] and choose; the names are in [`modifier`]. On [`Error::TooLarge`],
//!    [`Header::looks_like_http`] tells a misled HTTP client from a large request.
//! 3. [`Vars::parse`] checks the block once. From then on walking it cannot fail, and the block can be sent on as it is.
//! 4. The body begins [`Packet::len`] bytes into the buffer.
//!
//! ```
//! use uwsgi_codec::{BlockWriter, Limits, Status, Vars, decode, modifier};
//!
//! let mut buffer = Vec::new();
//! let mut request = BlockWriter::packet(&mut buffer, modifier::WSGI, 0);
//! request.push(b"REQUEST_METHOD", b"POST")?;
//! request.push(b"CONTENT_LENGTH", b"4")?;
//! request.push_parts(&[b"HTTP_", b"HOST"], &[b"example.org"])?;
//! request.finish()?;
//! buffer.extend_from_slice(b"body");
//!
//! let limits = Limits::default();
//! assert_eq!(decode(&buffer[..10], &limits)?, Status::Partial { missing: buffer.len() - 4 - 10 });
//!
//! let Status::Complete(packet) = decode(&buffer, &limits)? else { unreachable!("all of it was written") };
//! let vars = Vars::parse(packet.block, &limits)?;
//! assert_eq!(vars.len(), 3);
//! assert_eq!(vars.get(b"HTTP_HOST"), Some(&b"example.org"[..]));
//! for (key, value) in vars {
//!     println!("{} = {}", key.escape_ascii(), value.escape_ascii());
//! }
//! assert_eq!(&buffer[packet.len()..], b"body");
//! # Ok::<(), uwsgi_codec::Error>(())
//! ```
//!
//! No bytes make this crate panic, and none of its code is unsafe; a block has one reading only, so written again it is
//! the same bytes.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod error;
pub mod modifier;
mod packet;
pub mod ping;
#[cfg(feature = "tokio-util")]
mod tokio_codec;
mod vars;
mod writer;

pub use error::Error;
pub use packet::{HEADER_LEN, Header, Limits, MAX_BLOCK, Packet, Status, decode};
#[cfg(feature = "tokio-util")]
pub use tokio_codec::{CodecError, PacketBuf, PacketCodec};
pub use vars::{Iter, Vars};
pub use writer::{BlockWriter, KeyWriter, ValueWriter};
