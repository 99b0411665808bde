use std::net::IpAddr;
use std::time::Duration;

use uwgate_config::{Located, Options, Peer};

use crate::exchange::Trust;

/// What the engine needs from the options, in the units it uses.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) threads: usize,
    /// Other workers accept from the same sockets.
    pub(crate) has_siblings: bool,
    /// How long one read or write waits for a peer while the application waits for it (`socket-timeout`).
    pub(crate) socket_timeout: Duration,
    /// Seconds for a whole head.
    pub(crate) head_seconds: u32,
    /// Seconds an HTTP connection may rest between two requests.
    pub(crate) keep_alive_seconds: u32,
    /// So many bytes of a body are awaited before the application is called: a slow sender of a small body costs no
    /// thread, and a large one can still be streamed.
    pub(crate) body_first: usize,
    pub(crate) limit_post: Option<u64>,
    /// The whole body is awaited, and beyond so many bytes put into a file.
    pub(crate) post_buffering: Option<u64>,
    pub(crate) uwsgi_limits: uwsgi_codec::Limits,
    pub(crate) http_limits: uwgate_http::Limits,
    trust_forwarded: Vec<Peer>,
    trust_uwsgi: Vec<Peer>,
}

/// A body is awaited up to this many bytes before the application is called.
const BODY_FIRST: usize = 64 * 1024;

impl Settings {
    pub(crate) fn new(options: &Options) -> Self {
        let limits = &options.limits;
        let http = &options.http;
        Self {
            has_siblings: options.workers.processes > 1,
            threads: options.workers.threads.max(1) as usize,
            socket_timeout: Duration::from_secs(options.sockets.socket_timeout.max(1).into()),
            head_seconds: http.http_headers_timeout.max(1),
            keep_alive_seconds: http.http_keepalive,
            body_first: BODY_FIRST,
            limit_post: Some(limits.limit_post).filter(|&limit| limit > 0),
            post_buffering: Some(limits.post_buffering).filter(|&bytes| bytes > 0),
            uwsgi_limits: uwsgi_codec::Limits {
                block: limits.buffer_size as usize,
                vars: limits.max_vars as usize * 2,
            },
            http_limits: uwgate_http::Limits {
                head: HTTP_HEAD.max(limits.buffer_size as usize),
                headers: http.http_max_headers as usize,
                ..uwgate_http::Limits::default()
            },
            trust_forwarded: values(&http.http_trust_forwarded),
            trust_uwsgi: values(&options.python.uwsgi_trust),
        }
    }

    /// What the peer at `address` (`None`: on a unix socket) is believed.
    pub(crate) fn trust(&self, address: Option<IpAddr>) -> Trust {
        let among = |peers: &[Peer]| peers.iter().any(|peer| peer.matches(address));
        Trust {
            forwarded: among(&self.trust_forwarded),
            uwsgi: among(&self.trust_uwsgi),
        }
    }
}

/// An HTTP head may always have so many bytes: cookies pass uWSGI's 4,096 easily, and unlike a front server a browser
/// cannot be configured.
const HTTP_HEAD: usize = 32 * 1024;

fn values(peers: &[Located<Peer>]) -> Vec<Peer> {
    peers.iter().map(|peer| peer.value).collect()
}
