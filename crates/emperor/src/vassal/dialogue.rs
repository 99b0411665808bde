//! uWSGI's dialogue of single bytes, and how it sends a configuration.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use uwgate_sys::socket;

use crate::happenings::Happening;
use crate::spec::{MAX_BYTES, Name};

/// Both ends, the vassal's second.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = Socket::pair()?;
    ours.set_nonblocking(true)?;
    Ok((ours.into(), theirs.into()))
}

/// The emperor's end. Nobody listens any more once it is dropped.
pub(super) struct Dialogue {
    socket: Arc<UnixStream>,
    task: JoinHandle<()>,
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Dialogue {
    /// Passes on what the vassal says. Must be called in a runtime.
    pub(super) fn follow(
        ours: OwnedFd,
        name: Name,
        life: u64,
        sender: UnboundedSender<Happening>,
    ) -> io::Result<Self> {
        let socket = Arc::new(UnixStream::from_std(ours.into())?);
        let reader = Arc::clone(&socket);
        let task = tokio::spawn(async move {
            while let Some(bytes) = hear(&reader).await {
                for byte in bytes {
                    let name = name.clone();
                    let _ = sender.send(Happening::Said { name, life, byte });
                }
            }
            let _ = sender.send(Happening::Mute { name, life });
        });
        Ok(Self { socket, task })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// # Errors
    /// When it is gone, or has read nothing for so long that its socket is full.
    pub(super) fn say(&self, byte: u8) -> io::Result<()> {
        // Not through the runtime, which does not know at once that there is room.
        match socket::send(self.socket.as_fd(), &[byte])? {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// What comes next; `None` at the end.
async fn hear(socket: &UnixStream) -> Option<Vec<u8>> {
    loop {
        socket.readable().await.ok()?;
        let mut bytes = [0; 64];
        match socket.try_read(&mut bytes) {
            Ok(0) => return None,
            Ok(len) => return Some(bytes.get(..len)?.to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// uWSGI's number for such a packet.
const EMPEROR: u8 = 115;

/// A uwsgi packet with the whole text as its body.
///
/// # Errors
/// When nobody reads: the socket holds at least one such packet.
pub(super) fn send_config(to: &OwnedFd, text: &[u8]) -> io::Result<()> {
    let length = u16::try_from(text.len()).map_err(|_| {
        io::Error::other(format!(
            "its configuration is longer than {MAX_BYTES} bytes"
        ))
    })?;
    let [low, high] = length.to_le_bytes();
    let mut packet = vec![EMPEROR, low, high, 0];
    packet.extend_from_slice(text);
    match socket::send(to.as_fd(), &packet)? {
        Some(sent) if sent == packet.len() => Ok(()),
        _ => Err(io::Error::other("it does not read its configuration")),
    }
}
