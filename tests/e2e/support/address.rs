//! Addresses and connections, TCP and unix alike.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The flags of a listening socket in `/proc/net/unix` (the kernel's `__SO_ACCEPTCON`).
const LISTENS: &str = "00010000";

/// Something to connect to.
#[derive(Clone, Debug)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// A TCP port on 127.0.0.1 that nobody listens on.
    ///
    /// It lies below the range from which the kernel takes ports for outgoing connections
    /// (32768 and up), so that no client takes it before the server does; processes that test
    /// at the same time start at different places.
    pub fn free_port() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = process::id().wrapping_mul(97).wrapping_add(step) % 12_000;
            let port = 20_000 + u16::try_from(offset).expect("below 12,000");
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if TcpListener::bind(address).is_ok() {
                return Self::Tcp(address);
            }
        }
    }

    pub fn connect(&self) -> io::Result<Connection> {
        match self {
            // Without the limit a full listen queue would hold us for minutes.
            Self::Tcp(address) => {
                TcpStream::connect_timeout(address, Duration::from_secs(10)).map(Connection::Tcp)
            }
            Self::Unix(path) => UnixStream::connect(path).map(Connection::Unix),
        }
    }

    /// Whether somebody listens on a unix socket, found out without a visit.
    ///
    /// A socket has its file before anybody listens, and until then it turns visitors away.
    pub fn is_listening(&self) -> bool {
        let Self::Unix(path) = self else {
            panic!("{self} is no unix socket");
        };
        let sockets = fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
        let exists = path.exists();
        let path = path.to_string_lossy();
        let listens = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(3) == Some(&LISTENS) && fields.get(7) == Some(&&*path)
        };
        exists && sockets.lines().any(listens)
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        match self {
            Self::Tcp(address) => address.port(),
            Self::Unix(path) => panic!("{} has no port", path.display()),
        }
    }
}

/// As servers' options want it: `127.0.0.1:8000` or `/path`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// How long one read or write may take. Zero is taken for "at once".
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(timeout.max(Duration::from_millis(1)));
        match self {
            Self::Tcp(stream) => stream
                .set_read_timeout(timeout)
                .and_then(|()| stream.set_write_timeout(timeout)),
            Self::Unix(stream) => stream
                .set_read_timeout(timeout)
                .and_then(|()| stream.set_write_timeout(timeout)),
        }
    }

    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
