//! Requests one behind the other on one connection: each one's end is the next one's beginning.

use uwgate_http::{ChunkedDecoder, Framing, Limits, Parsed, Reject, parse};

use crate::{PEER, check, var};

/// A connection's reading side, as a server would have it.
#[derive(Default)]
struct Connection {
    buffer: Vec<u8>,
    requests: Vec<(String, Vec<u8>)>,
    body: Option<Body>,
}

enum Body {
    Length(u64),
    Chunked(ChunkedDecoder),
}

impl Connection {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        self.buffer.extend_from_slice(bytes);
        while self.advance()? {}
        Ok(())
    }

    /// Whether there was enough for a step.
    fn advance(&mut self) -> Result<bool, Reject> {
        let Some(body) = &mut self.body else {
            return self.head();
        };
        let data = &mut self.requests.last_mut().unwrap().1;
        match body {
            Body::Length(0) => self.body = None,
            Body::Length(left) => {
                let take = self.buffer.len().min(usize::try_from(*left).unwrap());
                data.extend(self.buffer.drain(..take));
                *left -= take as u64;
                return Ok(take > 0);
            }
            Body::Chunked(decoder) => {
                let step = decoder.decode(&self.buffer)?;
                data.extend_from_slice(&self.buffer[step.data]);
                self.buffer.drain(..step.consumed);
                if step.done {
                    self.body = None;
                }
                return Ok(step.done || step.consumed > 0);
            }
        }
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, Reject> {
        let mut block = Vec::new();
        let Parsed::Complete(head) = parse(&self.buffer, &Limits::default(), &PEER, &mut block)?
        else {
            return Ok(false);
        };
        self.buffer.drain(..head.len);
        let vars = check::vars(&block, head.vars);
        self.requests
            .push((var(&vars, "PATH_INFO").unwrap().to_owned(), Vec::new()));
        self.body = match head.framing {
            Framing::None => None,
            Framing::Length(length) => Some(Body::Length(length)),
            Framing::Chunked => Some(Body::Chunked(ChunkedDecoder::new())),
        };
        Ok(true)
    }
}

const STREAM: &str = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\
    POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\nGET /evil HTTP/1.1\r\nA: b\r\n\r\n\
    \r\nPOST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n15;x=y\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n0\r\nX: GET / HTTP/1.1\r\n\r\n\
    POST /4 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n\
    GET /5 HTTP/1.0\r\n\r\n";

#[test]
fn however_the_bytes_arrive() {
    let expected = [
        ("/1", ""),
        ("/2", "GET /evil HTTP/1.1\r\nA: b\r\n"),
        ("/3", "abc0\r\n\r\nGET / HTTP/1.1\r\n"),
        ("/4", ""),
        ("/5", ""),
    ]
    .map(|(path, body)| (path.to_owned(), body.as_bytes().to_vec()));
    for step in 1..STREAM.len() {
        let mut connection = Connection::default();
        for piece in STREAM.as_bytes().chunks(step) {
            connection.receive(piece).unwrap();
        }
        assert_eq!(connection.requests, expected, "in pieces of {step}");
        assert!(connection.buffer.is_empty() && connection.body.is_none());
    }
}

/// After a refusal nothing that follows is looked at.
#[test]
fn a_broken_chunk_ends_the_connection() {
    let mut connection = Connection::default();
    let bytes = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nINVALID!!!\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(connection.receive(bytes.as_bytes()), Err(Reject::ChunkSize));
    assert_eq!(connection.requests.len(), 1);
}
