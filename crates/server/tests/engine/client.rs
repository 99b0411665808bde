//! A client that says exactly what a test wants it to say.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use uwsgi_codec::BlockWriter;

use crate::app::DEADLINE;

/// A connection and what has arrived on it.
pub(crate) struct Client {
    stream: Stream,
    received: Vec<u8>,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("text")
    }
}

impl Client {
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a listening worker");
        stream.set_nodelay(true).expect("TCP");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        Self::new(Stream::Tcp(stream))
    }

    pub(crate) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a listening worker");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        Self::new(Stream::Unix(stream))
    }

    fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("a server that reads");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// A GET request without a body.
    pub(crate) fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }

    /// A POST request with this Content-Length, its body still to be sent.
    pub(crate) fn post(&mut self, path: &str, length: usize) {
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"
        ));
    }

    /// Says that it will send no more.
    pub(crate) fn finish_sending(&self) {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
        .expect("an open connection");
    }

    /// The next answer, which must be complete.
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// The next answer to a request with this method; one to HEAD has no body whatever it says.
    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        let end = self
            .receive_until(|received| find(received, b"\r\n\r\n"))
            .expect("a head");
        let head = String::from_utf8(self.take(end)).expect("a head of text");
        self.take(4);
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        if method != "HEAD" && !matches!(status, 100..200 | 204 | 304) {
            answer.body = self.body(&answer);
        }
        answer
    }

    fn body(&mut self, answer: &Answer) -> Vec<u8> {
        if let Some(length) = answer.header("Content-Length") {
            return self.exactly(length.parse().expect("a length"));
        }
        if answer.header("Transfer-Encoding") == Some("chunked") {
            return self.chunks();
        }
        self.rest().expect("a body up to the end of the connection")
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = self
                .receive_until(|received| find(received, b"\r\n"))
                .expect("a chunk");
            let size = String::from_utf8(self.take(end)).expect("a size");
            let size = usize::from_str_radix(&size, 16).expect("a size");
            self.take(2);
            body.extend(self.exactly(size));
            assert_eq!(self.exactly(2), b"\r\n");
            if size == 0 {
                return body;
            }
        }
    }

    /// So many bytes.
    pub(crate) fn exactly(&mut self, len: usize) -> Vec<u8> {
        self.receive_until(|received| (received.len() >= len).then_some(()))
            .expect("bytes up to the announced length");
        self.take(len)
    }

    /// All that comes until the server closes; an error when the connection is reset or stays open.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.receive()? > 0 {}
        Ok(std::mem::take(&mut self.received))
    }

    /// Asserts that nothing more comes but the end, and no reset.
    pub(crate) fn expect_end(&mut self) {
        let rest = self.rest().expect("a clean end");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.received.drain(..len).collect()
    }

    fn receive_until<T>(&mut self, ready: impl Fn(&[u8]) -> Option<T>) -> io::Result<T> {
        loop {
            if let Some(found) = ready(&self.received) {
                return Ok(found);
            }
            if self.receive()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; 256 * 1024];
        let len = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer)?,
            Stream::Unix(stream) => stream.read(&mut buffer)?,
        };
        self.received
            .extend_from_slice(buffer.get(..len).unwrap_or_default());
        Ok(len)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A uwsgi packet as a front server sends it, `more` variables included.
pub(crate) fn packet(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = Vec::new();
    let mut block = BlockWriter::packet(&mut packet, uwsgi_codec::modifier::WSGI, 0);
    let usual = [
        ("REQUEST_METHOD", "GET"),
        ("PATH_INFO", path),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
    ];
    for (key, value) in usual.iter().chain(more) {
        block
            .push(key.as_bytes(), value.as_bytes())
            .expect("a small variable");
    }
    block.finish().expect("a small block");
    packet
}
