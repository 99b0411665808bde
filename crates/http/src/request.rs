use std::mem::MaybeUninit;

use httparse::Header;

use crate::target::Target;
use crate::{Reject, cgi, diagnose};

/// The most headers that [`Limits::headers`] can allow.
pub const MAX_HEADERS: usize = 128;

/// Bytes of the longest method. The longest that is registered has 17.
const METHOD_MAX: usize = 32;

/// How much a client may send before its request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head, from the request line to the empty line.
    pub head: usize,
    /// Headers in it; [`MAX_HEADERS`] at most.
    pub headers: usize,
    /// Bytes of the request target.
    pub uri: usize,
}

impl Default for Limits {
    /// 32 KiB (what nginx takes by default), 100 headers, 8 KiB of target.
    fn default() -> Self {
        Self {
            head: 32 * 1024,
            headers: 100,
            uri: 8 * 1024,
        }
    }
}

/// What the server knows about a connection, as text for the CGI variables.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// SERVER_NAME: the machine's host name in uWSGI.
    pub server_name: &'a [u8],
    /// SERVER_PORT: the port of the listening socket, `80` for a unix socket.
    pub server_port: &'a [u8],
    /// REMOTE_ADDR: the client's address; empty for a unix socket.
    pub remote_addr: &'a [u8],
    /// REMOTE_PORT: the client's port; left out if empty.
    pub remote_port: &'a [u8],
    /// Whether the connection is encrypted: HTTPS is `on`.
    pub https: bool,
}

/// The outcome of looking for a head in a buffer that may not hold all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// Read more and call again with all bytes so far.
    Partial,
    /// The head is complete and its var block written.
    Complete(Head),
}

/// What the server itself needs to know about a request; the rest is in the var block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the buffer that were the head. The body begins behind them.
    pub len: usize,
    /// Variables in the block.
    pub vars: u16,
    /// How the body is delimited.
    pub framing: Framing,
    /// The client's protocol version.
    pub version: Version,
    /// The method, as far as it matters to the response.
    pub method: Method,
    /// Whether the client wants the connection to persist.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
}

/// How a request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes; below 2^63.
    Length(u64),
    /// Chunks; see [`ChunkedDecoder`](crate::ChunkedDecoder).
    Chunked,
}

/// The two versions of HTTP that are served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    pub(crate) const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Http10 => b"HTTP/1.0",
            Self::Http11 => b"HTTP/1.1",
        }
    }
}

/// Request methods, as far as they change how a response is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD: the response has no body.
    Head,
    /// Any other; names are case-sensitive.
    Other,
}

impl Method {
    /// Classifies the value of REQUEST_METHOD.
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            _ => Self::Other,
        }
    }
}

/// Looks for a request head at the start of `buf` and writes it as a var block (without packet header) into `block`,
/// which is cleared first. The keys are those of uWSGI's `http-socket`.
///
/// # Errors
/// Whatever is ambiguous or malformed, as early as it can be told. `block` is of no use then.
pub fn parse(
    buf: &[u8],
    limits: &Limits,
    peer: &Peer<'_>,
    block: &mut Vec<u8>,
) -> Result<Parsed, Reject> {
    block.clear();
    let Some(input) = skip_blank_lines(buf)? else {
        return Ok(Parsed::Partial);
    };
    let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let (slots, _) = slots.split_at_mut(limits.headers.min(MAX_HEADERS));
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(input, slots) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return partial(input, limits),
        Err(error) => return Err(diagnose::explain(input, error)),
    };
    let head = input.get(..len).unwrap_or_default();
    let request = Request::check(head, &request, limits)?;
    let Request {
        version, method, ..
    } = request;
    let (vars, fields) = cgi::write(&request, peer, block)?;
    let framing = fields.framing(version)?;
    if fields.host.is_none() && version == Version::Http11 {
        return Err(Reject::HostMissing);
    }
    Ok(Parsed::Complete(Head {
        len: buf.len() - input.len() + len,
        vars,
        framing,
        version,
        method: Method::of(method),
        keep_alive: fields.keep_alive(version),
        expect_continue: fields.expects_continue(version, framing),
    }))
}

/// Up to two empty lines before the request are left over from the body before it (RFC 9112 section 2.2).
/// `None`: more bytes are needed to tell.
fn skip_blank_lines(buf: &[u8]) -> Result<Option<&[u8]>, Reject> {
    let mut input = buf;
    for _ in 0..2 {
        input = input.strip_prefix(b"\r\n").unwrap_or(input);
    }
    match input {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Err(Reject::RequestLine),
        [b'\r', ..] => Err(Reject::BareCr),
        [b'\n', ..] => Err(Reject::BareLf),
        _ => Ok(Some(input)),
    }
}

/// The head is not complete: is there room for the rest of it?
fn partial(input: &[u8], limits: &Limits) -> Result<Parsed, Reject> {
    /// What surrounds the target in its line, and the line's CR.
    const AROUND_TARGET: usize = METHOD_MAX + "  HTTP/1.1\r".len();

    let longest_line = limits.uri.saturating_add(AROUND_TARGET);
    let start = input.get(..=longest_line).unwrap_or_default();
    if !start.is_empty() && memchr::memchr(b'\n', start).is_none() {
        return Err(Reject::UriTooLong);
    }
    if input.len() >= limits.head {
        return Err(Reject::HeadTooLarge);
    }
    Ok(Parsed::Partial)
}

/// A head whose request line is in order.
pub(crate) struct Request<'h, 'a> {
    pub(crate) head: &'a [u8],
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) target: Target<'a>,
    pub(crate) version: Version,
    pub(crate) headers: &'h [Header<'a>],
}

impl<'h, 'a> Request<'h, 'a> {
    fn check(
        head: &'a [u8],
        request: &'h httparse::Request<'_, 'a>,
        limits: &Limits,
    ) -> Result<Self, Reject> {
        let method = request.method.unwrap_or_default().as_bytes();
        let uri = request.path.unwrap_or_default().as_bytes();
        let version = if request.version == Some(1) {
            Version::Http11
        } else {
            Version::Http10
        };
        let headers = &*request.headers;
        if method.len() > METHOD_MAX {
            return Err(Reject::RequestLine);
        }
        if uri.len() > limits.uri {
            return Err(Reject::UriTooLong);
        }
        if head.len() > limits.head {
            return Err(Reject::HeadTooLarge);
        }
        if !head.ends_with(b"\r\n\r\n") {
            return Err(Reject::BareLf);
        }
        let target = Target::parse(method, uri)?;
        Ok(Self {
            head,
            method,
            uri,
            target,
            version,
            headers,
        })
    }
}
