//! Followers of a real PostgreSQL.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "tests are read in their source")]
#![allow(
    unreachable_pub,
    reason = "support is shared by all modules of one binary"
)]

mod cache;
mod following;
mod sharing;
mod support;
mod tls;
mod troubles;
