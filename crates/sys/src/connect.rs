//! Blocking client connections with a deadline.

use std::io::{self, Read, Write};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::listener::Address;

/// A blocking stream over TCP or a unix socket.
#[derive(Debug)]
pub struct Stream(Socket);

/// Connects within `patience`, which is also the limit of each write.
///
/// `WouldBlock`: the queue of a unix socket is full. `TimedOut`, `ConnectionRefused`, `NotFound` as the kernel says.
pub fn connect(address: &Address, patience: Duration) -> io::Result<Stream> {
    let name = address.to_sockaddr()?;
    let socket = Socket::new(name.domain(), Type::STREAM, None)?;
    if name.domain() == Domain::UNIX {
        // The kernel would wait for room in the queue for so long; there is nothing else to wait for.
        socket.set_write_timeout(Some(patience))?;
        socket.connect(&name)?;
    } else {
        socket.connect_timeout(&name, patience)?;
        socket.set_write_timeout(Some(patience))?;
    }
    Ok(Stream(socket))
}

impl Stream {
    /// How long one read may wait; beyond that it fails with `WouldBlock`. `None` waits for ever.
    pub fn set_read_timeout(&self, patience: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(patience)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
