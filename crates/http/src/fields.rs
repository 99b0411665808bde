//! What the headers of a request mean to the server itself: framing, connection, expectation.

use crate::name::Known;
use crate::{Framing, Reject, Version, bytes, host};

/// What a walk over all headers has found.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) host: Option<&'a [u8]>,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expect_continue: bool,
}

impl<'a> Fields<'a> {
    /// Takes note of one header.
    pub(crate) fn note(&mut self, known: Known, value: &'a [u8]) -> Result<(), Reject> {
        match known {
            Known::Host => self.note_host(value),
            Known::Expect => self.note_expect(value),
            Known::Connection => {
                self.note_connection(value);
                Ok(())
            }
            Known::ContentLength => self.note_content_length(value),
            Known::TransferEncoding => self.note_transfer_encoding(value),
            Known::ContentType | Known::Cookie | Known::Proxy => Ok(()),
        }
    }

    fn note_host(&mut self, value: &'a [u8]) -> Result<(), Reject> {
        if self.host.replace(value).is_some() {
            return Err(Reject::HostRepeated);
        }
        if !host::is_valid(value) {
            return Err(Reject::HostInvalid);
        }
        Ok(())
    }

    fn note_expect(&mut self, value: &[u8]) -> Result<(), Reject> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Reject::Expectation);
        }
        self.expect_continue = true;
        Ok(())
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in bytes::list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn note_content_length(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.content_length.is_some() || value.contains(&b',') {
            return Err(Reject::ContentLengthRepeated);
        }
        self.content_length = Some(bytes::length(value).ok_or(Reject::ContentLength)?);
        Ok(())
    }

    fn note_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        // Parameters are refused: nobody needs them, and servers disagree on them.
        if self.chunked || !bytes::list(value).all(bytes::is_token) {
            return Err(Reject::TransferEncoding);
        }
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        if is_chunked(value) {
            self.chunked = true;
            return Ok(());
        }
        let mut codings = bytes::list(value);
        let chunked_is_misplaced = codings
            .position(is_chunked)
            .is_some_and(|_| codings.next().is_some());
        Err(if chunked_is_misplaced {
            Reject::TransferEncoding
        } else {
            Reject::TransferCoding
        })
    }

    /// How the body is delimited (RFC 9112 section 6.3, without its leniencies).
    pub(crate) fn framing(&self, version: Version) -> Result<Framing, Reject> {
        match (self.chunked, self.content_length) {
            (false, None) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (true, _) if version == Version::Http10 => Err(Reject::TransferEncodingHttp10),
            (true, Some(_)) => Err(Reject::BothFramings),
            (true, None) => Ok(Framing::Chunked),
        }
    }

    /// Whether the connection may persist (RFC 9112 section 9.3).
    pub(crate) fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }

    /// Whether the client waits for a `100 Continue` before it sends a body (RFC 9110 section 10.1.1).
    pub(crate) fn expects_continue(&self, version: Version, framing: Framing) -> bool {
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        self.expect_continue && has_body && version == Version::Http11
    }
}
