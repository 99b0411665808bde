//! A raw HTTP client: it sends what it is told, byte for byte, and reads strictly.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use super::address::{Address, Connection};
use super::response::{Framing, Response};
use super::wait::PATIENCE;

/// One connection, over which several requests may go.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    /// What was read from the socket and not yet used.
    buffer: Vec<u8>,
    deadline: Instant,
}

impl Client {
    /// # Panics
    /// When nobody listens there.
    pub fn connect(address: &Address) -> Self {
        let connection = address
            .connect()
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self {
            connection,
            buffer: Vec::new(),
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// Sends bytes. A server may refuse and close before it has read all of them: no error.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.allow_time();
        if let Err(error) = self.connection.write_all(bytes.as_ref()) {
            let refused = matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            );
            assert!(refused, "cannot write: {error}");
        }
        self
    }

    /// Says that no more will be written.
    pub fn finish(&mut self) -> &mut Self {
        // Fails when the server has closed already, which the next read will see.
        let _ = self.connection.shutdown(Shutdown::Write);
        self
    }

    /// Sends a request and reads its response.
    pub fn send(&mut self, request: &Request) -> Response {
        self.write(request.bytes()).response(&request.method)
    }

    /// Reads one response to a request by `method`; interim ones (100) count.
    ///
    /// # Panics
    /// When the connection ends before the response does, or nothing comes in time.
    pub fn response(&mut self, method: &str) -> Response {
        let mut response = self.head();
        response.body = match response.framing(method) {
            Framing::None => Vec::new(),
            Framing::Length(length) => self.take(length),
            Framing::Chunked => self.chunks(),
            Framing::Close => self.rest(),
        };
        response
    }

    /// Reads a response head and leaves the body unread.
    pub fn head(&mut self) -> Response {
        let head = self.take_through(b"\r\n\r\n");
        Response::parse_head(&head)
    }

    /// Reads exactly `count` bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(
                self.fill(),
                "the connection ended {} bytes early after {:?}",
                count - self.buffer.len(),
                self.leftover()
            );
        }
        self.buffer.drain(..count).collect()
    }

    /// Reads until the server closes. A reset counts as the end.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the server has closed and nothing is left to read.
    pub fn at_end(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    /// Reads a chunk of a chunked body, without its framing; `None` is the end of the body.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.take_through(b"\r\n");
        let size = std::str::from_utf8(&line).expect("a chunk size is ASCII");
        let size = usize::from_str_radix(size.trim(), 16)
            .unwrap_or_else(|_| panic!("not a chunk size: {size:?}"));
        let chunk = self.take(size);
        assert_eq!(self.take(2), b"\r\n", "a chunk ends with CRLF");
        (size > 0).then_some(chunk)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk() {
            body.extend(chunk);
        }
        body
    }

    fn take_through(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let found = self.buffer.windows(end.len()).position(|part| part == end);
            if let Some(at) = found {
                return self.take(at + end.len());
            }
            assert!(
                self.fill(),
                "the connection ended without {:?} after {:?}",
                String::from_utf8_lossy(end),
                self.leftover()
            );
        }
    }

    /// Reads once, perhaps nothing; false at the end of the stream.
    fn fill(&mut self) -> bool {
        self.allow_time();
        let mut chunk = [0; 65_536];
        match self.connection.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend(&chunk[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("cannot read: {error}; so far: {:?}", self.leftover()),
        }
    }

    fn allow_time(&self) {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.connection
            .set_timeout(left)
            .expect("a timeout can be set on an open socket");
    }

    fn leftover(&self) -> String {
        let shown = &self.buffer[..self.buffer.len().min(2_000)];
        String::from_utf8_lossy(shown).into_owned()
    }
}

/// A well-formed HTTP/1.1 request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![("Host".to_owned(), "test.example".to_owned())],
            body: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with a Content-Length.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let mut request = Self::new("POST", target).header("Content-Length", body.len());
        request.body = body;
        request
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}
