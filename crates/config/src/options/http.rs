//! HTTP as `http-socket` speaks it.

use crate::origin::Located;
use crate::trust::Peer;

/// HTTP as `http-socket` speaks it.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Seconds an idle connection is kept open; 0 closes it after each response.
    pub http_keepalive: u32,
    /// Seconds a client may take to send a request head.
    pub http_headers_timeout: u32,
    /// Most header fields in one request.
    pub http_max_headers: u32,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` fields are believed.
    pub http_trust_forwarded: Vec<Located<Peer>>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            http_keepalive: 60,
            http_headers_timeout: 30,
            http_max_headers: 100,
            http_trust_forwarded: Vec::new(),
        }
    }
}
