//! A checked request as CGI variables, named as uWSGI's `http-socket` names them.

use httparse::Header;
use uwsgi_codec::{BlockWriter, Error};

use crate::fields::Known;
use crate::request::Request;
use crate::{Peer, Reject, path};

/// Writes the var block and returns the number of variables.
pub(crate) fn write(
    request: &Request<'_, '_>,
    peer: &Peer<'_>,
    block: &mut Vec<u8>,
) -> Result<u16, Reject> {
    let path = path::resolve(request.target.path)?;
    let mut block = BlockWriter::block(block);
    let written = write_line(&mut block, request, &path)
        .and_then(|()| write_peer(&mut block, peer))
        .and_then(|()| write_headers(&mut block, request))
        .and_then(|()| block.finish());
    let vars = written.map_err(|_| Reject::HeadTooLarge)?;
    u16::try_from(vars.len()).map_err(|_| Reject::HeadTooLarge)
}

fn write_line(
    block: &mut BlockWriter<'_>,
    request: &Request<'_, '_>,
    path: &[u8],
) -> Result<(), Error> {
    block.push(b"REQUEST_METHOD", request.method)?;
    block.push(b"REQUEST_URI", request.uri)?;
    block.push(b"PATH_INFO", path)?;
    block.push(b"QUERY_STRING", request.target.query)?;
    block.push(b"SERVER_PROTOCOL", request.version.as_bytes())?;
    block.push(b"SCRIPT_NAME", b"")
}

fn write_peer(block: &mut BlockWriter<'_>, peer: &Peer<'_>) -> Result<(), Error> {
    let Peer {
        server_name,
        server_port,
        remote_addr,
        remote_port,
        https,
    } = *peer;
    block.push(b"SERVER_NAME", server_name)?;
    block.push(b"SERVER_PORT", server_port)?;
    block.push(b"REMOTE_ADDR", remote_addr)?;
    if !remote_port.is_empty() {
        block.push(b"REMOTE_PORT", remote_port)?;
    }
    if https {
        block.push(b"HTTPS", b"on")?;
    }
    Ok(())
}

fn write_headers(block: &mut BlockWriter<'_>, request: &Request<'_, '_>) -> Result<(), Error> {
    let Request {
        headers,
        fields,
        target,
        ..
    } = request;
    for (index, header) in headers.iter().enumerate() {
        let known = Known::of(header.name);
        if is_dropped(known, header.name) {
            continue;
        }
        let (before, repeats) = if fields.has_repeated {
            around(headers, index)
        } else {
            (&[][..], &[][..])
        };
        if before.iter().any(|it| is_same_name(it, header.name)) {
            continue;
        }
        let value = match known {
            Some(Known::Host) => target.authority.unwrap_or(header.value),
            _ => header.value,
        };
        write_header(block, known, header.name, value, repeats)?;
    }
    match target.authority {
        Some(authority) if fields.host.is_none() => block.push(b"HTTP_HOST", authority),
        _ => Ok(()),
    }
}

/// `Proxy` would become HTTP_PROXY, which HTTP libraries take for the proxy to use (httpoxy). A name with an
/// underscore would become the key of another one with a hyphen, which a front server may have checked.
fn is_dropped(known: Option<Known>, name: &str) -> bool {
    known == Some(Known::Proxy) || name.as_bytes().contains(&b'_')
}

/// One variable: the value, and those of `repeats` that have the same name joined to it.
fn write_header(
    block: &mut BlockWriter<'_>,
    known: Option<Known>,
    name: &str,
    value: &[u8],
    repeats: &[Header<'_>],
) -> Result<(), Error> {
    let mut key = block.begin_key();
    if !matches!(known, Some(Known::ContentType | Known::ContentLength)) {
        key.extend(b"HTTP_");
    }
    key.extend_mapped(name.as_bytes(), key_byte);
    let mut joined = key.value()?;
    joined.extend(value);
    for repeat in repeats.iter().filter(|it| is_same_name(it, name)) {
        joined.extend(if known == Some(Known::Cookie) {
            b"; "
        } else {
            b", "
        });
        joined.extend(repeat.value);
    }
    joined.finish()
}

/// The headers before and behind the one at `index`.
fn around<'h, 'a>(headers: &'h [Header<'a>], index: usize) -> (&'h [Header<'a>], &'h [Header<'a>]) {
    let before = headers.get(..index).unwrap_or_default();
    let behind = headers.get(index + 1..).unwrap_or_default();
    (before, behind)
}

fn is_same_name(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// A byte of a header's name as it stands in a variable's key.
const fn key_byte(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        _ => byte.to_ascii_uppercase(),
    }
}
