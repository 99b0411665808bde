//! What exactly is wrong with a head that httparse refuses. Not a second parser: it only names the fault.

use crate::{Reject, bytes};

/// Names the fault; `input` begins with the request line.
pub(crate) fn explain(input: &[u8], error: httparse::Error) -> Reject {
    use httparse::Error;
    match error {
        Error::TooManyHeaders => Reject::TooManyHeaders,
        Error::Version | Error::Token | Error::Status => request_line(first_line(input)),
        Error::NewLine => new_line(first_line(input)),
        Error::HeaderName | Error::HeaderValue => header_lines(input, error),
    }
}

/// The bytes before the first LF, or all of them.
fn first_line(input: &[u8]) -> &[u8] {
    lines(input).next().unwrap_or_default()
}

fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|&byte| byte == b'\n')
}

/// The line without the CR it should end in.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn request_line(line: &[u8]) -> Reject {
    let line = without_cr(line);
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if !method.is_some_and(bytes::is_token) {
        return Reject::RequestLine;
    }
    if line.contains(&b'\r') {
        return Reject::BareCr;
    }
    let Some(target) = target.filter(|target| !target.is_empty()) else {
        return Reject::RequestLine;
    };
    if target.iter().any(u8::is_ascii_control) || std::str::from_utf8(target).is_err() {
        return Reject::Target;
    }
    match version {
        // HTTP/0.9: only `GET /path`.
        None => Reject::Version,
        Some(version) if words.next().is_none() && is_version(version) => Reject::Version,
        Some(_) => Reject::RequestLine,
    }
}

fn is_version(word: &[u8]) -> bool {
    let Some(number) = word.strip_prefix(b"HTTP/") else {
        return false;
    };
    match number {
        [major] => major.is_ascii_digit(),
        [major, b'.', minor] => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

/// Something else than CR LF behind the request line, or a CR alone in place of the empty line.
fn new_line(request_line: &[u8]) -> Reject {
    let line = without_cr(request_line);
    let is_complete = line.ends_with(b"HTTP/1.1") || line.ends_with(b"HTTP/1.0");
    if is_complete || line.contains(&b'\r') {
        Reject::BareCr
    } else {
        Reject::RequestLine
    }
}

fn header_lines(input: &[u8], error: httparse::Error) -> Reject {
    let fallback = if error == httparse::Error::HeaderName {
        Reject::HeaderName
    } else {
        Reject::HeaderValue
    };
    lines(input)
        .skip(1)
        .take_while(|line| !without_cr(line).is_empty())
        .find_map(header_line)
        .unwrap_or(fallback)
}

fn header_line(line: &[u8]) -> Option<Reject> {
    let line = without_cr(line);
    if line.contains(&b'\r') {
        return Some(Reject::BareCr);
    }
    if let [b' ' | b'\t', ..] = line {
        return Some(Reject::ObsFold);
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Some(Reject::HeaderName);
    };
    let (name, value) = line.split_at(colon);
    if bytes::is_token(name) {
        return value
            .iter()
            .any(|&byte| bytes::is_control(byte))
            .then_some(Reject::HeaderValue);
    }
    let is_token_with_blanks = name.ends_with(b" ") || name.ends_with(b"\t");
    Some(
        if is_token_with_blanks && bytes::is_token(bytes::trim_blanks(name)) {
            Reject::SpaceBeforeColon
        } else {
            Reject::HeaderName
        },
    )
}
