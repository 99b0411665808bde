//! The socket of a vassal that is started when somebody connects to it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use uwgate_sys::listener::{self, Address, Bind, Listener};

use crate::happenings::Happening;
use crate::spec::Name;

/// A socket of the emperor's, open for as long as the vassal is wanted.
pub(crate) struct Door {
    asked: String,
    listener: Listener,
    waiting: Option<JoinHandle<()>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
        let _ = self.listener.unlink_if_ours();
    }
}

impl Door {
    /// Binds: `host:port`, `@name`, or the path of a unix socket.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn bind(asked: &str, how: &Bind) -> io::Result<Self> {
        let address = match asked.strip_prefix('@') {
            Some(name) => Address::Abstract(name.into()),
            None => match asked.parse() {
                Ok(tcp) => Address::Tcp(tcp),
                Err(_) => Address::Unix(asked.into()),
            },
        };
        Ok(Self {
            asked: asked.to_owned(),
            listener: listener::bind(&address, how)?,
            waiting: None,
        })
    }

    /// Whether this is the socket of that address.
    pub(crate) fn is(&self, asked: &str) -> bool {
        self.asked == asked
    }

    /// Tells when somebody has connected. Must be called in a runtime.
    pub(crate) fn wait(
        &mut self,
        name: Name,
        sender: UnboundedSender<Happening>,
    ) -> io::Result<()> {
        let fd = self.listener.try_clone()?.fd;
        let visitors = uwgate_sys::readiness::readable(Arc::new(fd))?;
        self.close();
        self.waiting = Some(tokio::spawn(async move {
            if visitors.readable().await.is_ok() {
                let _ = sender.send(Happening::Visitor(name));
            }
        }));
        Ok(())
    }

    /// Waits no more; the socket stays open.
    pub(crate) fn close(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.abort();
        }
    }

    /// For the vassal: its standard input.
    pub(crate) fn lend(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.fd)
    }
}
