//! A request as CGI variables, named as uWSGI's `http-socket` names them.

use httparse::Header;
use uwsgi_codec::{BlockWriter, Error};

use crate::fields::Fields;
use crate::name::{Known, Name, SeenNames};
use crate::request::Request;
use crate::{Peer, Reject, bytes, path};

/// Writes the var block. Returns the number of variables, and what the headers mean to the server.
pub(crate) fn write<'a>(
    request: &Request<'_, 'a>,
    peer: &Peer<'_>,
    block: &mut Vec<u8>,
) -> Result<(u16, Fields<'a>), Reject> {
    let path = path::resolve(request.target.path)?;
    for values in [Values::Single, Values::Joined] {
        block.clear();
        let mut block = BlockWriter::block(block);
        write_line(&mut block, request, &path).map_err(no_room)?;
        write_peer(&mut block, peer).map_err(no_room)?;
        if let Some(fields) = write_headers(&mut block, request, values)? {
            let vars = block.finish().map_err(no_room)?;
            return Ok((u16::try_from(vars.len()).unwrap_or(u16::MAX), fields));
        }
    }
    Err(Reject::HeadTooLarge)
}

/// What a block cannot hold is too large for any backend.
fn no_room(_: Error) -> Reject {
    Reject::HeadTooLarge
}

/// Whether names are expected to occur once each, or the values of repeated ones are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Single,
    Joined,
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

/// Writes a variable for each header and takes note of what it means. `None`: a name occurs again, and values were not
/// to be joined.
fn write_headers<'a>(
    block: &mut BlockWriter<'_>,
    request: &Request<'_, 'a>,
    values: Values,
) -> Result<Option<Fields<'a>>, Reject> {
    let Request {
        head,
        headers,
        target,
        ..
    } = request;
    let mut fields = Fields::default();
    let mut seen = SeenNames::default();
    for (index, header) in headers.iter().enumerate() {
        if !begins_after_crlf(head, header.name) {
            return Err(Reject::BareLf);
        }
        let name = Name::new(head, header.name);
        if name.has_underscore() {
            continue;
        }
        let known = name.known();
        if let Some(known) = known {
            fields.note(known, header.value)?;
        }
        // HTTP_PROXY is what HTTP libraries take for the proxy to use (httpoxy).
        if known == Some(Known::Proxy) {
            continue;
        }
        if seen.may_hold(&name) && has_name(headers.get(..index), &name) {
            match values {
                Values::Single => return Ok(None),
                Values::Joined => continue,
            }
        }
        let value = match known {
            Some(Known::Host) => target.authority.unwrap_or(header.value),
            _ => header.value,
        };
        let repeats = match values {
            Values::Single => &[],
            Values::Joined => headers.get(index + 1..).unwrap_or_default(),
        };
        write_header(block, &name, known, value, repeats).map_err(no_room)?;
    }
    if let Some(authority) = target.authority.filter(|_| fields.host.is_none()) {
        block.push(b"HTTP_HOST", authority).map_err(no_room)?;
    }
    Ok(Some(fields))
}

/// One variable: the value, and those of `repeats` that have the same name joined to it.
#[inline]
fn write_header(
    block: &mut BlockWriter<'_>,
    name: &Name<'_>,
    known: Option<Known>,
    value: &[u8],
    repeats: &[Header<'_>],
) -> Result<(), Error> {
    let mut key = block.begin_key();
    if !matches!(known, Some(Known::ContentType | Known::ContentLength)) {
        key.extend(b"HTTP_");
    }
    name.extend(&mut key);
    let mut joined = key.value()?;
    joined.extend(value);
    for repeat in repeats.iter().filter(|it| name.is_of(it)) {
        joined.extend(match known {
            Some(Known::Cookie) => b"; ",
            _ => b", ",
        });
        joined.extend(repeat.value);
    }
    joined.finish()
}

fn has_name(headers: Option<&[Header<'_>]>, name: &Name<'_>) -> bool {
    headers.unwrap_or_default().iter().any(|it| name.is_of(it))
}

/// httparse takes a lone LF for a line's end. Its slices tell where the lines begin, so that no second scan for
/// line ends is needed: the line before this header ended in CR LF if that is what precedes its name.
fn begins_after_crlf(head: &[u8], name: &str) -> bool {
    bytes::offset_in(head, name.as_bytes())
        .and_then(|start| head.get(start.checked_sub(2)?))
        .is_some_and(|&byte| byte == b'\r')
}
