use std::fmt;

/// Why a request is refused: always the client's fault (or that of the front server that speaks for it).
///
/// [`status`](Self::status) says what the peer sees, `Display` what the log says. After any of them the connection
/// is to be closed: where the next request would begin is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// The first line is not `METHOD SP TARGET SP HTTP/1.x` (RFC 9112 section 3).
    RequestLine,
    /// The request target has none of the forms of RFC 9112 section 3.2, or bytes that no URI has.
    Target,
    /// The path has a `%` without two hexadecimal digits, or `%00`.
    PathEscape,
    /// A CONNECT request; there is no tunnel to be had here.
    Connect,
    /// HTTP/0.9, HTTP/2 without TLS, or some other version than 1.0 and 1.1.
    Version,
    /// A CR that no LF follows (RFC 9112 section 2.2).
    BareCr,
    /// A line that ends in LF without CR.
    BareLf,
    /// A header continued on the next line (RFC 9112 section 5.2).
    ObsFold,
    /// Blanks between a header's name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon,
    /// A header line without colon, or a name that is not a token.
    HeaderName,
    /// NUL or another control byte in a header's value.
    HeaderValue,
    /// HTTP/1.1 without Host (RFC 9112 section 3.2; uWSGI lets it pass).
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// A Host that is not `host[:port]`.
    HostInvalid,
    /// A Content-Length that is not a number of bytes below 2^63.
    ContentLength,
    /// More than one Content-Length, as headers or as a list, even if they agree.
    ContentLengthRepeated,
    /// Content-Length and Transfer-Encoding together (RFC 9112 section 6.1).
    BothFramings,
    /// A Transfer-Encoding that is malformed, repeats `chunked` or does not end with it.
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// Transfer-Encoding in an HTTP/1.0 request (RFC 9112 section 6.1).
    TransferEncodingHttp10,
    /// An Expect other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// The head has more bytes than [`Limits::head`](crate::Limits::head), or its var block more than 65,535.
    HeadTooLarge,
    /// The head has more headers than [`Limits::headers`](crate::Limits::headers).
    TooManyHeaders,
    /// The target has more bytes than [`Limits::uri`](crate::Limits::uri).
    UriTooLong,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body has more bytes than the server takes (`limit-post`).
    BodyTooLarge,
    /// A chunk size that is not 1 to 16 hexadecimal digits, or a body of 2^63 bytes and more.
    ChunkSize,
    /// A malformed chunk extension.
    ChunkExtension,
    /// A chunk's data, or the last chunk's line, does not end with CR LF where it should.
    ChunkEnd,
    /// Far more bytes of chunk sizes and extensions than of data.
    ChunkOverhead,
    /// A malformed line in the trailer of a chunked body.
    Trailer,
    /// A trailer of too many bytes.
    TrailerTooLarge,
    /// A uwsgi packet whose block is larger than `buffer-size`.
    UwsgiBlockTooLarge,
    /// A uwsgi packet whose block has more variables than the limit.
    UwsgiTooManyVars,
    /// A uwsgi packet whose block cannot be read.
    UwsgiBlock,
    /// A uwsgi packet without any variable.
    UwsgiEmpty,
    /// A uwsgi packet whose modifier asks for something that is not served here.
    UwsgiModifier,
}

impl Reject {
    /// The status code of the answer.
    pub const fn status(self) -> u16 {
        self.facts().0
    }

    /// The reason phrase that belongs to [`status`](Self::status) (RFC 9110 section 15, RFC 6585).
    pub const fn reason(self) -> &'static str {
        match self.status() {
            408 => "Request Timeout",
            413 => "Content Too Large",
            414 => "URI Too Long",
            417 => "Expectation Failed",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            505 => "HTTP Version Not Supported",
            _ => "Bad Request",
        }
    }

    /// What the client did wrong, as a sentence without its subject's name and full stop.
    pub const fn sentence(self) -> &'static str {
        self.facts().1
    }

    /// A complete response that says so and closes the connection. It serves an HTTP client as well as a front
    /// server that speaks uwsgi.
    pub fn response(self) -> Vec<u8> {
        let (status, reason, sentence) = (self.status(), self.reason(), self.sentence());
        let length = sentence.len() + 1;
        format!(
            "HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
             Content-Length: {length}\r\n\r\n{sentence}\n"
        )
        .into_bytes()
    }

    /// The one map from refusal to what the peer sees.
    const fn facts(self) -> (u16, &'static str) {
        match self {
            Self::RequestLine => (400, "the request line is not METHOD TARGET HTTP/1.1"),
            Self::Target => (400, "the request target is not a path or an http URI"),
            Self::PathEscape => (400, "the path has an invalid percent escape"),
            Self::Connect => (501, "CONNECT is not served here"),
            Self::Version => (505, "the protocol is neither HTTP/1.0 nor HTTP/1.1"),
            Self::BareCr => (400, "the head has a CR without LF"),
            Self::BareLf => (400, "the head has a line that ends without CR"),
            Self::ObsFold => (400, "a header is folded over two lines"),
            Self::SpaceBeforeColon => (400, "a header has a blank before its colon"),
            Self::HeaderName => (400, "a header's name is malformed"),
            Self::HeaderValue => (400, "a header's value has a control character"),
            Self::HostMissing => (400, "an HTTP/1.1 request needs a Host header"),
            Self::HostRepeated => (400, "there is more than one Host header"),
            Self::HostInvalid => (400, "the Host header is not a host and port"),
            Self::ContentLength => (400, "the Content-Length is not a number of bytes"),
            Self::ContentLengthRepeated => (400, "there is more than one Content-Length"),
            Self::BothFramings => (
                400,
                "Content-Length and Transfer-Encoding exclude each other",
            ),
            Self::TransferEncoding => (400, "the Transfer-Encoding is malformed"),
            Self::TransferCoding => (501, "the only transfer coding served here is chunked"),
            Self::TransferEncodingHttp10 => (400, "HTTP/1.0 has no Transfer-Encoding"),
            Self::Expectation => (417, "the only expectation met here is 100-continue"),
            Self::HeadTooLarge => (431, "the request head is too large"),
            Self::TooManyHeaders => (431, "the request has too many headers"),
            Self::UriTooLong => (414, "the request target is too long"),
            Self::HeadTimeout => (408, "the request head did not arrive in time"),
            Self::BodyTimeout => (408, "the request body did not arrive in time"),
            Self::BodyTooLarge => (413, "the request body is too large"),
            Self::ChunkSize => (400, "a chunk size is malformed or too large"),
            Self::ChunkExtension => (400, "a chunk extension is malformed"),
            Self::ChunkEnd => (400, "a chunk does not end where its size says"),
            Self::ChunkOverhead => (400, "the chunks are mostly extensions"),
            Self::Trailer => (400, "the trailer of the chunked body is malformed"),
            Self::TrailerTooLarge => (431, "the trailer of the chunked body is too large"),
            Self::UwsgiBlockTooLarge => (431, "the uwsgi request block is larger than buffer-size"),
            Self::UwsgiTooManyVars => (431, "the uwsgi request has too many variables"),
            Self::UwsgiBlock => (400, "the uwsgi request block is malformed"),
            Self::UwsgiEmpty => (400, "the uwsgi request has no variables"),
            Self::UwsgiModifier => (501, "the uwsgi modifier is not served here"),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sentence(), self.status())
    }
}

impl std::error::Error for Reject {}
