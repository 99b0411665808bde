//! HTTP through the crate's public face, on raw bytes.

mod bodies;
mod check;
mod chunked;
mod corpus;
mod pipeline;
mod properties;
mod refusals;
mod requests;
mod responses;
mod smuggling;

use uwgate_http::{Head, Limits, Parsed, Peer, Reject, parse};

const PEER: Peer<'_> = Peer {
    server_name: b"vm",
    server_port: b"8000",
    remote_addr: b"127.0.0.1",
    remote_port: b"40779",
    https: false,
};

/// What becomes of the bytes, by the default limits.
fn outcome(bytes: &[u8]) -> Result<Parsed, Reject> {
    parse(bytes, &Limits::default(), &PEER, &mut Vec::new())
}

/// The head of a request that is complete and in order, and its variables.
fn accepted(bytes: impl AsRef<[u8]>) -> (Head, Vec<(String, String)>) {
    accepted_from(&PEER, bytes.as_ref())
}

fn accepted_from(peer: &Peer<'_>, bytes: &[u8]) -> (Head, Vec<(String, String)>) {
    let mut block = Vec::new();
    match parse(bytes, &Limits::default(), peer, &mut block) {
        Ok(Parsed::Complete(head)) => (head, check::vars(&block, head.vars)),
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// The value of a variable.
fn var<'v>(vars: &'v [(String, String)], key: &str) -> Option<&'v str> {
    vars.iter()
        .find(|(it, _)| it == key)
        .map(|(_, value)| value.as_str())
}
