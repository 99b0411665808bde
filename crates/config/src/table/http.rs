//! HTTP as `http-socket` speaks it.

use super::{Argument, Row, number, parsed};
use crate::entry::Entry;
use crate::options::{Http, Options};
use crate::origin::Located;
use crate::trust;
use crate::value::{self, Problem};

pub(super) const ROWS: &[Row] = &[
    Row {
        syntax: super::Syntax::Number("seconds"),
        ..parsed("http-keepalive", "SECONDS", read_keepalive)
    }
    .argument(Argument::Optional)
    .default("60")
    .help("How long an idle HTTP connection is kept open; 1 is the default time, 0 closes after each response."),
    number("http-headers-timeout", "seconds", |o| &mut o.http.http_headers_timeout)
        .default("30")
        .help("How long a client may take to send a request head, answered with 408 beyond."),
    number("http-max-headers", "header fields", |o| &mut o.http.http_max_headers)
        .ours()
        .default("100")
        .help("Most header fields in one request, answered with 431 beyond."),
    parsed("http-trust-forwarded", "PEER,...", read_trust)
        .repeatable()
        .ours()
        .help("Proxies (an address, a network, or `unix`) whose X-Forwarded-* fields are believed. Without it nobody is: \
               every client could send them."),
];

fn read_keepalive(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let read = value::number(entry.value.as_deref(), "seconds")?;
    options.http.http_keepalive = match u32::try_from(read.value).unwrap_or(u32::MAX) {
        1 => Http::default().http_keepalive,
        seconds => seconds,
    };
    Ok(read.remark)
}

fn read_trust(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    for peer in trust::parse_list(entry.text())? {
        let trusted = &mut options.http.http_trust_forwarded;
        trusted.push(Located::new(peer, entry.origin.clone()));
    }
    Ok(None)
}
