//! Bounds on one request.

use super::{Row, bytes, number, parsed};
use crate::entry::Entry;
use crate::options::Options;
use crate::value::{self, Problem};

/// A uwsgi packet's length has 16 bits.
const LARGEST_BLOCK: u32 = 65535;

pub(super) const ROWS: &[Row] = &[
    Row {
        syntax: super::Syntax::Number("bytes"),
        ..parsed("buffer-size", "BYTES", read_buffer_size)
    }
    .short('b')
    .default("4096")
    .help("Largest request head in bytes, at most 65535. A larger one is answered with 431."),
    number("max-vars", "variables", |o| &mut o.limits.max_vars)
        .short('v')
        .default("64")
        .help("Size of the table of request variables; a request may have twice as many variables."),
    bytes("limit-post", |o| &mut o.limits.limit_post)
        .default("0")
        .help("Largest request body in bytes, answered with 413 beyond; 0 is no limit."),
    bytes("post-buffering", |o| &mut o.limits.post_buffering)
        .default("0")
        .help("Read the whole body before the app is called, beyond so many bytes into a temporary file; 0 is off."),
];

fn read_buffer_size(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let read = value::number(entry.value.as_deref(), "bytes")?;
    let size = u32::try_from(read.value).unwrap_or(u32::MAX);
    options.limits.buffer_size = size.min(LARGEST_BLOCK);
    Ok(match size {
        0 => Some(Problem::new("no request fits into 0 bytes")),
        1..=LARGEST_BLOCK => read.remark,
        _ => Some(
            Problem::new(format!(
                "counts as {LARGEST_BLOCK}, the largest there can be"
            ))
            .help(format!("write {LARGEST_BLOCK}")),
        ),
    })
}
