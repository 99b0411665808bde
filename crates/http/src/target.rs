//! The request target and its forms (RFC 9112 section 3.2).

use crate::{Reject, host};

/// A request target taken apart. Nothing is decoded yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Begins with `/`, or is the `*` of OPTIONS.
    pub(crate) path: &'a [u8],
    /// What follows the `?`; empty also if there is none.
    pub(crate) query: &'a [u8],
    /// `host[:port]` of an absolute URI. It takes precedence over the Host header (section 3.2.2).
    pub(crate) authority: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(method: &[u8], uri: &'a [u8]) -> Result<Self, Reject> {
        if method == b"CONNECT" {
            return Err(Reject::Connect);
        }
        // A fragment is the client's own affair and never sent; servers disagree on where such a path ends.
        if memchr::memchr(b'#', uri).is_some() {
            return Err(Reject::Target);
        }
        match uri {
            [b'/', ..] => Ok(Self::origin(uri)),
            b"*" if method == b"OPTIONS" => Ok(Self::origin(uri)),
            _ => Self::absolute(uri),
        }
    }

    fn origin(uri: &'a [u8]) -> Self {
        let (path, query) = split_query(uri);
        Self {
            path,
            query,
            authority: None,
        }
    }

    fn absolute(uri: &'a [u8]) -> Result<Self, Reject> {
        let rest = without_scheme(uri).ok_or(Reject::Target)?;
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if !host::is_authority(authority) {
            return Err(Reject::Target);
        }
        let (path, query) = split_query(rest);
        let path = if path.is_empty() { b"/" } else { path };
        Ok(Self {
            path,
            query,
            authority: Some(authority),
        })
    }
}

fn split_query(uri: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'?', uri).unwrap_or(uri.len());
    let (path, query) = uri.split_at(end);
    (path, query.get(1..).unwrap_or_default())
}

/// What follows `http://` or `https://`. Which of the two it is does not matter: the connection says it.
fn without_scheme(uri: &[u8]) -> Option<&[u8]> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = uri.split_at_checked(scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then_some(rest)
    })
}
