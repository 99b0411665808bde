use std::fmt;

use crate::{Method, Version};

/// Whom a response goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// An HTTP/1.1 client.
    Http11,
    /// An HTTP/1.0 client.
    Http10,
    /// A front server that speaks uwsgi, for a client of HTTP/1.1 or later.
    UwsgiHttp11,
    /// The same for HTTP/1.0, or a client whose version is not known.
    UwsgiHttp10,
}

impl Protocol {
    /// For an HTTP client.
    pub const fn http(version: Version) -> Self {
        match version {
            Version::Http10 => Self::Http10,
            Version::Http11 => Self::Http11,
        }
    }

    /// For a uwsgi request with this SERVER_PROTOCOL, or none.
    ///
    /// uWSGI repeats whatever it was given; front servers read no more from it than that HTTP follows.
    pub fn uwsgi(server_protocol: Option<&[u8]>) -> Self {
        match server_protocol {
            None | Some(b"" | b"HTTP/1.0") => Self::UwsgiHttp10,
            Some(_) => Self::UwsgiHttp11,
        }
    }

    /// The response goes to an HTTP client, so framing it is our work.
    pub(crate) const fn is_http(self) -> bool {
        matches!(self, Self::Http11 | Self::Http10)
    }

    pub(crate) const fn version(self) -> &'static [u8] {
        match self {
            Self::Http11 | Self::UwsgiHttp11 => b"HTTP/1.1 ",
            Self::Http10 | Self::UwsgiHttp10 => b"HTTP/1.0 ",
        }
    }
}

/// What a response's framing depends on, besides its own headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseRules {
    /// Whom it goes to.
    pub protocol: Protocol,
    /// The request's method.
    pub method: Method,
    /// The client and the server both want the connection to persist. Of no effect for uwsgi.
    pub keep_alive: bool,
}

/// How a response's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMode {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// The end of the connection.
    Close,
    /// No body is sent, whatever the application gives: HEAD, 204, 304.
    None,
}

/// What was decided with the end of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The status code.
    pub status: u16,
    /// How the body is to be sent; see [`BodyFramer`](crate::BodyFramer).
    pub body: BodyMode,
    /// Whether the connection persists after a body that came to its proper end.
    pub keep_alive: bool,
}

/// What an application has put wrongly into a response head. The head is left as it was before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// Not three digits, a blank and a reason phrase, or not between 200 and 999.
    Status,
    /// A control character in the status.
    StatusControl,
    /// A name that is not a token.
    Name,
    /// A control character, such as CR or LF, in a value.
    Value,
    /// A header that is between the server and its peer, and not the application's to set.
    HopByHop,
    /// A Content-Length that is not a number of bytes.
    ContentLength,
    /// A second Content-Length that differs from the first.
    ContentLengthDiffers,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "status must be three digits (200 to 999), a space and a reason",
            Self::StatusControl => "status must not contain control characters",
            Self::Name => "header name must be a token: letters, digits, hyphens",
            Self::Value => "header value must not contain control characters",
            Self::HopByHop => "hop-by-hop header is not allowed; the server sets it",
            Self::ContentLength => "Content-Length must be a decimal number",
            Self::ContentLengthDiffers => "Content-Length is given twice and differs",
        })
    }
}

impl std::error::Error for HeaderError {}
