//! HTTP/1.1 for a server that thinks in uwsgi var blocks: sans-IO, strict, one pass.
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

mod body;
mod bytes;
mod cgi;
mod chunked;
mod date;
mod diagnose;
mod fields;
mod host;
mod name;
mod path;
mod reject;
mod request;
mod response;
mod target;

pub use body::{BodyFramer, End, Piece};
pub use chunked::{ChunkedDecoder, Step};
pub use date::{IMF_FIXDATE_LEN, imf_fixdate};
pub use reject::Reject;
pub use request::{Framing, Head, Limits, MAX_HEADERS, Method, Parsed, Peer, Version, parse};
pub use response::{BodyMode, HeadWriter, HeaderError, PendingHead, Plan, Protocol, ResponseRules};
