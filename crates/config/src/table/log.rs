//! Where log lines go.

use super::{Row, parsed, path};
use crate::entry::Entry;
use crate::options::Options;
use crate::value::{Problem, flag};

pub(super) const ROWS: &[Row] = &[
    Row {
        syntax: super::Syntax::Flag,
        argument: super::Argument::No,
        ..parsed("disable-logging", "BOOL", read_disable_logging)
    }
    .short('L')
    .default("false")
    .help("No line for each request."),
    path("logto", "FILE", |o| &mut o.log.logto)
        .help("Append all log lines to a file, opened before privileges are dropped."),
    path("logto2", "FILE", |o| &mut o.log.logto2)
        .help("Append all log lines to a file, opened after privileges are dropped."),
];

fn read_disable_logging(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let read = flag(entry.value.as_deref());
    options.log.disable_logging = read.value;
    Ok(read.remark)
}
