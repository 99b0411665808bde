use uwgate_http::{Head, Parsed, Peer as HttpPeer, Protocol, Reject, ResponseRules, Translation};

use super::{Peer, Pending, Taken, body};
use crate::exchange::{Block, Request};
use crate::worker::{Endpoint, Settings};

/// Takes an HTTP head off the bytes received and turns it into the request's var block.
pub(crate) fn take(
    request: &mut Request,
    settings: &Settings,
    endpoint: &Endpoint,
    peer: &Peer,
) -> Result<Taken, Reject> {
    let peer = HttpPeer {
        server_name: endpoint.server_name.as_bytes(),
        server_port: endpoint.server_port.as_bytes(),
        remote_addr: peer.addr.as_bytes(),
        remote_port: peer.port.as_bytes(),
        https: false,
    };
    let waiting = request.received.get(request.start..).unwrap_or_default();
    let translate = |translation: &mut Translation| {
        translation.translate(waiting, &settings.http_limits, &peer)
    };
    let parsed = match &mut request.block {
        Block::Translated(translation) => translate(translation),
        block @ Block::Received(_) => {
            let mut translation = Translation::default();
            let parsed = translate(&mut translation);
            *block = Block::Translated(translation);
            parsed
        }
    };
    match parsed? {
        Parsed::Partial => Ok(Taken::Partial),
        Parsed::Complete(head) => Ok(Taken::Request(begin(request, &head, settings.limit_post))),
    }
}

fn begin(request: &mut Request, head: &Head, limit_post: Option<u64>) -> Pending {
    request.start += head.len;
    request.var_count = usize::from(head.vars);
    request.body = body(head.framing, limit_post);
    Pending {
        rules: ResponseRules {
            protocol: Protocol::http(head.version),
            method: head.method,
            keep_alive: head.keep_alive,
        },
        expects_continue: head.expect_continue,
    }
}
