//! The socket of a vassal that is started when somebody connects to it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use uwgate_server::listen::resolve;
use uwgate_sys::listener::{self, Address, Bind, Listener};
use uwgate_sys::readiness::readable;

use crate::happenings::Happening;
use crate::spec::{Name, VassalSpec};

/// A socket of the emperor's, open for as long as the vassal is wanted.
#[derive(Debug)]
pub(crate) struct Door {
    spec: Arc<VassalSpec>,
    listener: Arc<Listener>,
    waiting: Option<JoinHandle<()>>,
    /// It is another's as well, who goes on with it.
    is_left: bool,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop_waiting();
        if !self.is_left {
            let _ = self.listener.unlink_if_ours();
        }
    }
}

impl Door {
    /// Binds what the vassal is to have: `host:port`, `@name`, or the path of a unix socket, seen from its directory.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn bind(spec: &Arc<VassalSpec>, how: &Bind) -> io::Result<Self> {
        Ok(Self {
            spec: Arc::clone(spec),
            listener: Arc::new(listener::bind(&address(spec)?, how)?),
            waiting: None,
            is_left: false,
        })
    }

    /// The socket of a former self, or what a vassal says is the one that it was lent.
    ///
    /// # Errors
    /// When it is not that of the vassal.
    pub(crate) fn adopt(spec: &Arc<VassalSpec>, fd: OwnedFd) -> io::Result<Self> {
        let listener = listener::adopt(fd)?;
        let expected = address(spec)?;
        if listener.address != expected {
            let other = &listener.address;
            return Err(io::Error::other(format!(
                "it is at {other}, not at {expected}"
            )));
        }
        Ok(Self {
            spec: Arc::clone(spec),
            listener: Arc::new(listener),
            waiting: None,
            is_left: false,
        })
    }

    /// Closes this handle of it; its file stays for whoever goes on with it.
    pub(crate) fn leave_open(mut self) {
        self.is_left = true;
    }

    /// Whether this is the socket that the vassal is to have now.
    pub(crate) fn is_of(&self, spec: &VassalSpec) -> bool {
        let VassalSpec {
            on_demand,
            directory,
            owner,
            ..
        } = &*self.spec;
        *on_demand == spec.on_demand && *directory == spec.directory && *owner == spec.owner
    }

    /// The vassal as it was when the socket was bound.
    pub(crate) fn spec(&self) -> &Arc<VassalSpec> {
        &self.spec
    }

    /// Whether who wants to connect finds it.
    pub(crate) fn is_in_place(&self) -> bool {
        self.listener.is_in_place()
    }

    /// Whether who wants to connect finds nothing at all.
    pub(crate) fn is_missing(&self) -> bool {
        let path = self.listener.address.path();
        path.is_some_and(|path| std::fs::symlink_metadata(path).is_err())
    }

    /// Where its file is, if it has one.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let parent = self.listener.address.path()?.parent()?;
        Some(match parent.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => parent.to_owned(),
        })
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Tells when somebody has connected, also if that was before. Must be called in a runtime.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn wait(
        &mut self,
        name: Name,
        sender: UnboundedSender<Happening>,
    ) -> io::Result<()> {
        self.stop_waiting();
        // A descriptor is watched once at a time, and what watched it until now may not have let it go yet.
        let visitors = readable(Arc::clone(&self.listener)).or_else(|_| {
            let another = self.listener.try_clone()?;
            readable(Arc::new(another))
        })?;
        self.waiting = Some(tokio::spawn(async move {
            if visitors.readable().await.is_ok() {
                let _ = sender.send(Happening::Visitor(name));
            }
        }));
        Ok(())
    }

    /// Waits no more; the socket stays open.
    pub(crate) fn stop_waiting(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.abort();
        }
    }

    /// For the vassal: its standard input.
    pub(crate) fn lend(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.fd)
    }
}

fn address(spec: &VassalSpec) -> io::Result<Address> {
    let asked = spec.on_demand.as_deref().unwrap_or_default();
    let asked = asked.parse().map_err(io::Error::other)?;
    Ok(match resolve(&asked)? {
        Address::Unix(path) => Address::Unix(spec.directory.join(path)),
        other => other,
    })
}
