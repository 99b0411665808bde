//! The uwsgi protocol: packets and var blocks, zero-copy and sans-IO.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
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
