use uwgate_http::{Method, Protocol, Reject, ResponseRules};
use uwsgi_codec::{Error, HEADER_LEN, Header, Status, Vars, modifier, ping};

use super::{Pending, Refusal, Taken};
use crate::exchange::{Block, Body, Request};
use crate::worker::Settings;

/// Takes a packet off the bytes received; the request borrows its block from there.
pub(crate) fn take(request: &mut Request, settings: &Settings) -> Result<Taken, Refusal> {
    let packet = match uwsgi_codec::decode(request.waiting(), &settings.uwsgi_limits) {
        Ok(Status::Complete(packet)) => packet,
        Ok(Status::Partial { .. }) if is_http(request.waiting()) => {
            return Err(refuse(&Error::Truncated { at: 0 }, request.waiting()));
        }
        Ok(Status::Partial { .. }) => return Ok(Taken::Partial),
        Err(error) => return Err(refuse(&error, request.waiting())),
    };
    match packet.header.modifier1 {
        modifier::WSGI | modifier::WSGI_MANAGE_PATH_INFO => {}
        modifier::PING => return Ok(Taken::Reply(ping::RESPONSE.to_vec())),
        other => {
            return Err(Refusal {
                reject: Reject::UwsgiModifier,
                detail: format!(" (modifier1 is {other})"),
            });
        }
    }
    let vars = Vars::parse(packet.block, &settings.uwsgi_limits)
        .map_err(|error| refuse(&error, request.waiting()))?;
    if vars.is_empty() {
        return Err(Reject::UwsgiEmpty.into());
    }
    let facts = Facts::gather(vars)?;
    let block = request.start + HEADER_LEN..request.start + packet.len();
    let (header, count) = (packet.header, vars.len());
    (request.modifier1, request.modifier2) = (header.modifier1, header.modifier2);
    request.start = block.end;
    request.var_count = count;
    request.block = Block::Received(block);
    request.body = match facts.content_length {
        0 => Body::Done,
        length => Body::Length(length),
    };
    Ok(Taken::Request(Pending {
        rules: ResponseRules {
            protocol: facts.protocol,
            method: facts.method,
            keep_alive: false,
        },
        expects_continue: false,
    }))
}

/// The variables that decide how body and answer are framed.
struct Facts {
    content_length: u64,
    protocol: Protocol,
    method: Method,
}

impl Facts {
    fn gather(vars: Vars<'_>) -> Result<Self, Reject> {
        let mut facts = Self {
            content_length: 0,
            protocol: Protocol::uwsgi(None),
            method: Method::Other,
        };
        for (key, value) in vars {
            match key {
                b"CONTENT_LENGTH" => facts.content_length = content_length(value)?,
                b"REQUEST_METHOD" => facts.method = method(value),
                b"SERVER_PROTOCOL" => facts.protocol = Protocol::uwsgi(Some(value)),
                _ => {}
            }
        }
        Ok(facts)
    }
}

/// Front servers send an empty value when there is no body.
fn content_length(value: &[u8]) -> Result<u64, Reject> {
    if value.is_empty() {
        return Ok(0);
    }
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(Reject::ContentLength);
    }
    let digits = str::from_utf8(value).map_err(|_| Reject::ContentLength)?;
    digits.parse().map_err(|_| Reject::ContentLength)
}

fn method(value: &[u8]) -> Method {
    match value {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        _ => Method::Other,
    }
}

fn refuse(error: &Error, received: &[u8]) -> Refusal {
    let reject = match error {
        Error::TooLarge { .. } => Reject::UwsgiBlockTooLarge,
        Error::TooManyVars { .. } => Reject::UwsgiTooManyVars,
        _ => Reject::UwsgiBlock,
    };
    let detail = match is_http(received) {
        true => " (this looks like HTTP: the socket speaks uwsgi; use http-socket for HTTP)".into(),
        false => format!(" ({error})"),
    };
    Refusal { reject, detail }
}

fn is_http(received: &[u8]) -> bool {
    let header = received.first_chunk().copied().map(Header::parse);
    header.is_some_and(Header::looks_like_http)
}
