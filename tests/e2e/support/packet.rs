//! uwsgi packets, written here a second time on purpose: the server's own encoder must not be its judge.

use super::client::Request;

/// A request as nginx would send it, or whatever else a test makes of it.
#[derive(Clone, Debug)]
pub struct Packet {
    pub modifier1: u8,
    pub modifier2: u8,
    pub vars: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Packet {
    /// A packet without variables.
    pub fn new(modifier1: u8) -> Self {
        Self {
            modifier1,
            modifier2: 0,
            vars: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The variables of nginx's `uwsgi_params`, in its order, for a GET.
    pub fn get(target: &str) -> Self {
        Self::from_request(&Request::get(target))
    }

    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::from_request(&Request::post(target, body))
    }

    /// What nginx makes of a request (simple paths only: nothing is decoded).
    pub fn from_request(request: &Request) -> Self {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let header = |wanted: &str| {
            let found = request
                .headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map_or("", |(_, value)| value.as_str())
        };
        let mut packet = Self::new(0)
            .var("QUERY_STRING", query)
            .var("REQUEST_METHOD", &request.method)
            .var("CONTENT_TYPE", header("Content-Type"))
            .var("CONTENT_LENGTH", header("Content-Length"))
            .var("REQUEST_URI", &request.target)
            .var("PATH_INFO", path)
            .var("DOCUMENT_ROOT", "/usr/share/nginx/html")
            .var("SERVER_PROTOCOL", "HTTP/1.1")
            .var("REQUEST_SCHEME", "http")
            .var("REMOTE_ADDR", "192.0.2.7")
            .var("REMOTE_PORT", "40779")
            .var("SERVER_PORT", "80")
            .var("SERVER_NAME", "test.example");
        for (name, value) in &request.headers {
            let key = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
            packet = packet.var(&key, value);
        }
        packet.body = request.body.clone();
        packet
    }

    pub fn var(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.vars
            .push((key.as_bytes().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Leaves out a variable.
    pub fn without(mut self, key: &str) -> Self {
        self.vars.retain(|(name, _)| name != key.as_bytes());
        self
    }

    /// Replaces a variable.
    pub fn with(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(key).var(key, value)
    }

    /// Header and variables, without the body.
    pub fn head(&self) -> Vec<u8> {
        let mut block = Vec::new();
        for (key, value) in &self.vars {
            string(&mut block, key);
            string(&mut block, value);
        }
        let mut packet = vec![self.modifier1];
        packet.extend(length(&block));
        packet.push(self.modifier2);
        packet.extend(block);
        packet
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend(&self.body);
        bytes
    }
}

fn string(block: &mut Vec<u8>, bytes: &[u8]) {
    block.extend(length(bytes));
    block.extend(bytes);
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len())
        .expect("a test's strings and blocks fit in 16 bits")
        .to_le_bytes()
}
