//! A closed loop of clients on one thread: each asks again as soon as it has its answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use super::scenarios::{Scenario, Way};
use super::servers::Server;

/// What is sent to whom, over how many connections.
pub struct Load {
    address: String,
    way: Way,
    connections: usize,
    request: Vec<u8>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The time each answered request took, in microseconds.
    pub took: Vec<u32>,
    /// Connections that ended without a whole answer, and answers that are not a success.
    pub failed: usize,
}

const BROWSER: &str = "\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Referer: http://localhost/some/other/page?with=a&query=string\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; lang=en\r\n\
Cache-Control: no-cache\r\n\
DNT: 1\r\n\
X-Forwarded-For: 192.0.2.7\r\n\
X-Forwarded-Proto: https\r\n\
X-Request-ID: 6f1f9f3e-6f57-4a3a-8a44-0d8ad1d0a4aa\r\n\
Upgrade-Insecure-Requests: 1\r\n";

impl Load {
    pub fn new(scenario: &Scenario, server: &Server, address: &str) -> Self {
        // It would be closed without a word.
        let way = match scenario.way {
            Way::Keep if !server.keeps() => Way::Close,
            way => way,
        };
        Self {
            address: address.to_owned(),
            way,
            connections: scenario.connections,
            request: match way {
                Way::Uwsgi => packet(),
                way => head(scenario, way),
            },
        }
    }

    /// One request, for which a server that is just starting may not be ready.
    pub fn once(&self) -> io::Result<()> {
        let mut client = self.connect()?;
        client.stream.set_nonblocking(false)?;
        client.stream.timeout(Duration::from_secs(5))?;
        client.ask(&self.request)?;
        while !client.read()? {}
        Ok(())
    }

    /// Asks for as long as `warm_up` and then, which is what counts, `length`; between the two calls `begins`.
    pub fn run(
        &self,
        warm_up: Duration,
        length: Duration,
        begins: impl FnOnce(),
    ) -> io::Result<Outcome> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut outcome = Outcome::default();
        let mut clients = Vec::new();
        for number in 0..self.connections {
            let client = self.begin(&poll, number)?;
            clients.push(client);
        }
        let begin = Instant::now() + warm_up;
        let end = begin + length;
        let mut begins = Some(begins);
        let mut events = Vec::with_capacity(self.connections);
        while Instant::now() < end {
            if Instant::now() >= begin
                && let Some(begins) = begins.take()
            {
                outcome = Outcome::default();
                begins();
            }
            let patience = rustix::event::Timespec::try_from(Duration::from_millis(50));
            let patience = patience.map_err(io::Error::other)?;
            events.clear();
            epoll::wait(
                &poll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&patience),
            )?;
            for event in &events {
                let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                let Some(client) = clients.get_mut(number) else {
                    continue;
                };
                let answered = match client.go_on(&self.request) {
                    Ok(answered) => answered,
                    Err(_) => {
                        outcome.failed += 1;
                        *client = self.begin(&poll, number)?;
                        continue;
                    }
                };
                if !answered {
                    continue;
                }
                let took = client.asked.elapsed().as_micros();
                outcome.took.push(u32::try_from(took).unwrap_or(u32::MAX));
                if client.ends {
                    *client = self.begin(&poll, number)?;
                } else {
                    client.ask(&self.request)?;
                }
            }
        }
        Ok(outcome)
    }

    fn begin(&self, poll: &impl AsFd, number: usize) -> io::Result<Client> {
        let mut client = self.connect()?;
        client.stream.set_nonblocking(true)?;
        client.ask(&self.request)?;
        let flags = match client.unsent {
            0 => epoll::EventFlags::IN,
            _ => epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET,
        };
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(poll, client.stream.fd(), data, flags)?;
        Ok(client)
    }

    fn connect(&self) -> io::Result<Client> {
        let asked = Instant::now();
        let stream = match self.way {
            Way::Uwsgi => Stream::Unix(UnixStream::connect(&self.address)?),
            Way::Keep | Way::Close => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        Ok(Client {
            stream,
            asked,
            is_new: true,
            unsent: 0,
            buffer: vec![0; 64 * 1024],
            head: Vec::new(),
            missing: None,
            ends: self.way != Way::Keep,
        })
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(on),
            Self::Unix(stream) => stream.set_nonblocking(on),
        }
    }

    fn timeout(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Self::Unix(stream) => stream.set_read_timeout(Some(patience)),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }
}

/// One connection and its request.
struct Client {
    stream: Stream,
    asked: Instant,
    /// Its first request counts from the connecting on.
    is_new: bool,
    unsent: usize,
    buffer: Vec<u8>,
    /// The answer's head as far as it has come.
    head: Vec<u8>,
    /// Bytes of the answer's body still to come, once the head is there.
    missing: Option<usize>,
    /// The connection is not used again.
    ends: bool,
}

impl Client {
    fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        if !std::mem::take(&mut self.is_new) {
            self.asked = Instant::now();
        }
        self.head.clear();
        self.missing = None;
        self.unsent = request.len();
        self.send(request)
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        while self.unsent > 0 {
            let rest = request.get(request.len() - self.unsent..);
            match self.stream.write(rest.unwrap_or_default()) {
                Ok(sent) => self.unsent -= sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the answer is complete.
    fn go_on(&mut self, request: &[u8]) -> io::Result<bool> {
        self.send(request)?;
        loop {
            match self.read() {
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                other => return other,
            }
        }
    }

    fn read(&mut self) -> io::Result<bool> {
        let count = self.stream.read(&mut self.buffer)?;
        if count == 0 {
            let complete = self.missing == Some(usize::MAX);
            return complete
                .then_some(true)
                .ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof));
        }
        let body = match self.missing {
            Some(usize::MAX) => return Ok(false),
            Some(missing) => return Ok(self.has_come(missing, count)),
            None => {
                self.head.extend(&self.buffer[..count]);
                let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
                    return Ok(false);
                };
                self.head.len() - end - 4
            }
        };
        let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
        if head.split(' ').nth(1) != Some("200") {
            return Err(io::Error::other("not a success"));
        }
        let value = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value.trim())
                .next()
        };
        self.ends |= value("connection") == Some("close");
        let length = value("content-length").and_then(|length| length.parse().ok());
        // A packet's answer, and one that says nothing of its length, end with the connection.
        Ok(self.has_come(length.unwrap_or(usize::MAX), body))
    }

    fn has_come(&mut self, missing: usize, count: usize) -> bool {
        let left = match missing {
            usize::MAX => usize::MAX,
            missing => missing.saturating_sub(count),
        };
        self.missing = Some(left);
        left == 0
    }
}

fn head(scenario: &Scenario, way: Way) -> Vec<u8> {
    let method = if scenario.body > 0 { "POST" } else { "GET" };
    let mut head = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n");
    if scenario.browser {
        head += BROWSER;
    }
    if way == Way::Close {
        head += "Connection: close\r\n";
    }
    if scenario.body > 0 {
        head += &format!("Content-Length: {}\r\n", scenario.body);
    }
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.resize(bytes.len() + scenario.body, b'b');
    bytes
}

/// What nginx sends for a small GET.
fn packet() -> Vec<u8> {
    let variables = [
        ("QUERY_STRING", ""),
        ("REQUEST_METHOD", "GET"),
        ("CONTENT_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("REQUEST_URI", "/"),
        ("PATH_INFO", "/"),
        ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_SCHEME", "http"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", "40000"),
        ("SERVER_PORT", "80"),
        ("SERVER_NAME", "localhost"),
        ("HTTP_HOST", "localhost"),
    ];
    let mut block = Vec::new();
    for text in variables.iter().flat_map(|(name, value)| [name, value]) {
        let length = u16::try_from(text.len()).expect("short");
        block.extend(length.to_le_bytes());
        block.extend(text.as_bytes());
    }
    let length = u16::try_from(block.len()).expect("short");
    let [low, high] = length.to_le_bytes();
    [&[0, low, high, 0], &block[..]].concat()
}
