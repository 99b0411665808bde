//! One destination of lines.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use uwgate_sys::clock::TimeForm;

use crate::log::file::LogFile;
use crate::log::times;

/// How long a full pipe is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a pipe takes for sure when it says that it takes something.
const PIPE_BUF: usize = 4096;

/// A destination with the lines it has not been given yet.
#[derive(Debug)]
pub(super) struct Sink {
    outlet: Outlet,
    /// Whole lines; for files and streams only.
    waiting: Vec<u8>,
    lines: u64,
    /// Lines it did not take since the last one it did.
    lost: u64,
    /// What there is to say about it.
    notes: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Outlet {
    File { file: File, of: LogFile, size: u64 },
    Stream(OwnedFd),
    Datagrams { socket: Socket, shape: Shape },
}

#[derive(Debug)]
pub(super) enum Socket {
    Udp(UdpSocket),
    Unix {
        socket: UnixDatagram,
        to: std::os::unix::net::SocketAddr,
    },
}

/// What a datagram looks like.
#[derive(Debug)]
pub(super) enum Shape {
    /// The text behind a prefix, with its newline.
    Plain { prefix: Vec<u8> },
    /// A message of syslog.
    Syslog {
        /// `<30>`
        priority: Vec<u8>,
        time: TimeForm,
        /// `host tag: `
        tag: Vec<u8>,
        /// Most bytes of a message.
        longest: usize,
        /// Whether what is beyond is sent as further messages.
        splits: bool,
    },
}

impl Sink {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            waiting: Vec::new(),
            lines: 0,
            lost: 0,
            notes: Vec::new(),
        }
    }

    /// What there is to say about it since the last time.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Takes one line. A datagram leaves at once, everything else at the next [`Sink::flush`].
    pub(super) fn take(&mut self, line: &[u8], micros: u64) {
        match &self.outlet {
            Outlet::Datagrams { socket, shape } => {
                if shape.send(socket, line, micros).is_err() {
                    self.lost += 1;
                } else if self.lost > 0 {
                    let apology = apology(std::mem::take(&mut self.lost));
                    let _ = shape.send(socket, apology.as_bytes(), micros);
                }
            }
            Outlet::File { .. } | Outlet::Stream(_) => {
                self.waiting.extend_from_slice(line);
                if line.last() != Some(&b'\n') {
                    self.waiting.push(b'\n');
                }
                self.lines += 1;
            }
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut text = std::mem::take(&mut self.waiting);
        if self.lost > 0 {
            let apology = apology(self.lost) + "\n";
            text.splice(0..0, apology.into_bytes());
        }
        let lines = std::mem::take(&mut self.lines);
        let patience = if self.lost > 0 {
            Duration::ZERO
        } else {
            PATIENCE
        };
        match self.pour(&text, patience) {
            Ok(()) => self.lost = 0,
            Err(left) => self.lost += lines_in(&text, left).min(lines),
        }
        text.clear();
        self.waiting = text;
        self.rotate_if_full();
    }

    /// Says how much is left of a text that was not taken.
    fn pour(&mut self, text: &[u8], patience: Duration) -> Result<(), usize> {
        match &mut self.outlet {
            Outlet::File { file, size, .. } => {
                use io::Write as _;

                *size += text.len() as u64;
                file.write_all(text).map_err(|_| text.len())
            }
            Outlet::Stream(fd) => pour_stream(fd.as_fd(), text, patience),
            Outlet::Datagrams { .. } => Ok(()),
        }
    }

    fn rotate_if_full(&mut self) {
        if let Outlet::File { of, size, .. } = &self.outlet
            && of.has_maxsize()
            && *size > 0
            && of.is_full()
        {
            self.rotate();
        }
    }

    /// Opens a file anew.
    pub(super) fn reopen(&mut self) {
        self.flush();
        if let Outlet::File { file, of, size } = &mut self.outlet {
            match of.open() {
                Ok(new) => {
                    *file = new;
                    *size = of.size();
                }
                Err(error) => self.notes.push(format!(
                    "cannot reopen {}: {error}; the old file goes on",
                    of.path().display()
                )),
            }
        }
    }

    /// Moves a file away and begins a new one.
    pub(super) fn rotate(&mut self) {
        if let Outlet::File { of, size, .. } = &mut self.outlet {
            let now = uwgate_sys::clock::coarse_realtime().as_secs();
            match of.move_away(now) {
                Ok(backup) => self.notes.push(format!(
                    "logsize: {size}, triggering rotation to {}...",
                    backup.display()
                )),
                Err(error) => {
                    // Lest it is tried again with every line.
                    *size = 0;
                    return self
                        .notes
                        .push(format!("cannot rotate {}: {error}", of.path().display()));
                }
            }
        }
        self.reopen();
    }
}

fn apology(lost: u64) -> String {
    format!("{lost} log line(s) were lost here: nobody took them in time")
}

/// Lines that begin in the last `left` bytes.
fn lines_in(text: &[u8], left: usize) -> u64 {
    let rest = text.get(text.len().saturating_sub(left)..).unwrap_or(text);
    rest.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Writes to what may be full, whether it blocks or not.
fn pour_stream(fd: BorrowedFd<'_>, text: &[u8], patience: Duration) -> Result<(), usize> {
    let mut rest = text;
    while !rest.is_empty() {
        match uwgate_sys::socket::wait_writable(fd, Some(patience)) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(rest.len()),
        }
        let piece = rest.get(..PIPE_BUF).unwrap_or(rest);
        match rustix::io::write(fd, piece) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return Err(rest.len()),
        }
    }
    Ok(())
}

impl Shape {
    fn send(&self, socket: &Socket, line: &[u8], micros: u64) -> io::Result<()> {
        match self {
            Self::Plain { prefix } => {
                let mut datagram = prefix.clone();
                datagram.extend_from_slice(line);
                if datagram.last() != Some(&b'\n') {
                    datagram.push(b'\n');
                }
                socket.send(&datagram)
            }
            Self::Syslog {
                priority,
                time,
                tag,
                longest,
                splits,
            } => {
                let mut head = priority.clone();
                times::append(&mut head, time, micros / 1_000_000);
                head.push(b' ');
                head.extend_from_slice(tag);
                let room = longest.saturating_sub(head.len()).max(1);
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let pieces = if *splits { usize::MAX } else { 1 };
                // An empty line is a message too.
                let mut rest = Some(line);
                for _ in 0..pieces {
                    let Some(text) = rest else { break };
                    let (piece, after) = text.split_at(room.min(text.len()));
                    socket.send(&[&head[..], piece].concat())?;
                    rest = (!after.is_empty()).then_some(after);
                }
                Ok(())
            }
        }
    }
}

impl Socket {
    /// A socket that sends to `host:port`.
    pub(super) fn udp(address: &str) -> io::Result<Self> {
        let to = resolve(address)?;
        let from: SocketAddr = match to.is_ipv4() {
            true => ([0, 0, 0, 0], 0).into(),
            false => ([0u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(from)?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        Ok(Self::Udp(socket))
    }

    /// A socket that sends to a path, or to `@name`. Its owner need not be there yet.
    pub(super) fn unix(address: &str) -> io::Result<Self> {
        use std::os::unix::net::SocketAddr;

        let to = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self::Unix { socket, to })
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let sent = match self {
            // The answer to an earlier one ("nobody listens") is no failure of this one.
            Self::Udp(socket) => match socket.send(datagram) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    socket.send(datagram)
                }
                other => other,
            },
            Self::Unix { socket, to } => socket.send_to_addr(datagram, to),
        };
        sent.map(|_| ())
    }
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let mut found = format!("{host}:{port}").to_socket_addrs()?;
    found
        .next()
        .ok_or_else(|| io::Error::other("the name has no address"))
}
