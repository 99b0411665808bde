//! HTTP/1.0 and 1.1 for a server that thinks in uwsgi var blocks. Bytes in, bytes out: nothing here reads a socket,
//! a clock or a file.
//!
//! A request's head becomes the same block of CGI variables that a front server would have sent by the uwsgi protocol,
//! so that everything behind reads one form only. Where its body ends is decided here and nowhere else. It is decided
//! strictly: whatever two servers could read in two ways is refused ([`Reject`]), because a request that ends in two
//! places is two requests to somebody (request smuggling).
//!
//! # In scope
//! - [`parse`]: a head to a var block, the body's [`Framing`], whether the connection persists;
//! - [`Translation`]: the same for a connection's heads one after the other, of which many are the same;
//! - [`ChunkedDecoder`]: a chunked request body taken apart where it lies in the buffer;
//! - [`HeadWriter`]: status and headers of an application, checked, straight into the buffer that is sent; with its
//!   end it is decided how the body is framed;
//! - [`BodyFramer`]: the body framed so, never more of it than was promised;
//! - [`imf_fixdate`]: a Date.
//!
//! # Out of scope
//! - sockets, time-outs, buffers: the caller has them, and says [`Reject::HeadTimeout`] himself;
//! - TLS, HTTP/2, WebSocket, CONNECT;
//! - what is believed of `X-Forwarded-*`: to this crate they are headers like any other.
//!
//! # Calling order
//! For each request on a connection: read until [`parse`] no longer says [`Parsed::Partial`]; drop [`Head::len`] bytes
//! of the buffer; if [`Head::expect_continue`], send `HTTP/1.1 100 Continue` before the body is awaited; take as many
//! bytes as [`Framing::Length`] says, or let a [`ChunkedDecoder`] take them, and what follows is the next request.
//! For its response: [`HeadWriter::start`], [`header`](HeadWriter::header) for each header,
//! [`finish`](HeadWriter::finish) when it is known whether the body is a single item; then a [`BodyFramer`] made of
//! [`Plan::body`]. Close the connection unless [`Plan::keep_alive`], the request's body was taken to its end, and
//! [`End::missing`] is zero. After a [`Reject`], send its [`response`](Reject::response) and close.
//!
//! ```
//! use uwgate_http::{
//!     BodyFramer, Framing, HeadWriter, Limits, Parsed, Peer, Protocol, ResponseRules, parse,
//! };
//!
//! let peer = Peer {
//!     server_name: b"localhost",
//!     server_port: b"8000",
//!     remote_addr: b"127.0.0.1",
//!     remote_port: b"50498",
//!     https: false,
//! };
//! let received = b"GET /a%20b?q HTTP/1.1\r\nHost: localhost\r\n\r\n";
//! let mut block = Vec::new();
//! let Parsed::Complete(head) = parse(received, &Limits::default(), &peer, &mut block)? else {
//!     panic!("there is more to read");
//! };
//! assert_eq!((head.len, head.framing), (received.len(), Framing::None));
//!
//! let vars = uwsgi_codec::Vars::parse(&block, &uwsgi_codec::Limits::default())?;
//! assert_eq!(vars.get(b"PATH_INFO"), Some(&b"/a b"[..]));
//! assert_eq!(vars.get(b"HTTP_HOST"), Some(&b"localhost"[..]));
//!
//! let rules = ResponseRules {
//!     protocol: Protocol::http(head.version),
//!     method: head.method,
//!     keep_alive: head.keep_alive,
//! };
//! let mut out = Vec::new();
//! let mut writer = HeadWriter::start(&mut out, rules, b"200 OK")?;
//! writer.header(b"Content-Type", b"text/plain")?;
//! let plan = writer.finish(Some(5), None);
//! let mut body = BodyFramer::new(plan.body);
//! let piece = body.frame(5);
//! out.extend_from_slice(piece.prefix());
//! out.extend_from_slice(&b"hello"[..piece.take]);
//! out.extend_from_slice(piece.suffix);
//! out.extend_from_slice(body.finish().bytes);
//! assert_eq!(
//!     out,
//!     b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Deliberate differences from uWSGI's `http-socket`
//! | input | uWSGI 2.0 | here |
//! |---|---|---|
//! | HTTP/1.1 without Host; two Hosts; a malformed one | accepted | 400 |
//! | an absolute URI | the whole of it in PATH_INFO | its path; its authority is HTTP_HOST |
//! | `/%2e%2e/x` | PATH_INFO `/../x` | `/x` |
//! | `/..` | PATH_INFO empty | `/` |
//! | an escape that is none (`%zz`), `%00` | a NUL in PATH_INFO | 400 |
//! | `#` in the target | ends the path, not the query | 400 |
//! | a repeated Cookie | joined by `, ` | joined by `; `, as nginx does |
//! | a repeated Content-Length, a sign, a leading zero | the first digits count | 400 |
//! | Transfer-Encoding | ignored | `chunked` is decoded, others 501, with Content-Length 400 |
//! | a header with `_` in its name, `Proxy` | a variable | dropped |
//! | obs-fold, blanks before a colon, a lone CR or LF | accepted, or waited for | 400 |
//! | a head that is too large | the connection is closed | 431 or 414 |
//! | REMOTE_PORT | absent | present |
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
mod head_writer;
mod header_memory;
mod host;
mod name;
mod path;
mod reason;
mod reject;
mod request;
mod response;
mod target;
mod translation;

pub use body::{BodyFramer, End, Piece};
pub use chunked::{ChunkedDecoder, Step};
pub use date::{IMF_FIXDATE_LEN, imf_fixdate};
pub use head_writer::{HeadWriter, PendingHead};
pub use header_memory::HeaderMemory;
pub use reason::reason;
pub use reject::Reject;
pub use request::{Framing, Head, Limits, MAX_HEADERS, Method, Parsed, Peer, Version, parse};
pub use response::{BodyMode, HeaderError, Plan, Protocol, ResponseRules};
pub use translation::Translation;
