//! The one queue through which everything reaches the emperor.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use uwgate_ctl::protocol::Request;
use uwgate_sys::clock::{Millis, coarse_now};

use crate::control::Client;
use crate::reconcile::{Manner, Wish};
use crate::snapshot::Snapshot;
use crate::source::SourceId;
use crate::spec::{Name, VassalSpec};

/// What can happen.
pub(crate) enum Happening {
    /// A child process may have ended.
    Child,
    /// A source says which vassals there are to be.
    Wanted {
        source: SourceId,
        set: Vec<VassalSpec>,
    },
    /// A vassal has said a byte.
    Said { name: Name, life: u64, byte: u8 },
    /// A vassal will say nothing more.
    Mute { name: Name, life: u64 },
    /// Somebody has connected to the socket of a vassal that is not there.
    Visitor(Name),
    /// Something has changed in a directory with sockets of vassals.
    Doors,
    /// The operator wants something of the vassals.
    Wish(Wish),
    /// All sources are to look now.
    Look,
    /// The list of vassals is to go to the log.
    Show,
    /// Log files are to be opened anew.
    ReopenLogs,
    /// A stats client is there.
    Stats(oneshot::Sender<Snapshot>),
    /// A client of the control socket wants something.
    Control(Request, Client),
}

/// The queue.
pub(crate) struct Happenings {
    sender: UnboundedSender<Happening>,
    receiver: UnboundedReceiver<Happening>,
}

impl Happenings {
    /// Listens to signals from now on. `graceful`: every end is.
    pub(crate) fn subscribe(graceful: bool) -> io::Result<Self> {
        let (sender, receiver) = unbounded_channel();
        let happenings = Self { sender, receiver };
        happenings.on(SignalKind::child(), || Some(Happening::Child))?;
        let quick = if graceful {
            Manner::Graceful
        } else {
            Manner::Quick
        };
        let end = |manner| move || Some(Happening::Wish(Wish::EndAll(manner)));
        happenings.on(SignalKind::terminate(), end(Manner::Graceful))?;
        happenings.on(SignalKind::interrupt(), end(quick))?;
        happenings.on(SignalKind::quit(), end(quick))?;
        happenings.on(SignalKind::hangup(), || {
            Some(Happening::Wish(Wish::ReloadAll))
        })?;
        happenings.on(SignalKind::user_defined1(), || Some(Happening::Show))?;
        happenings.on(SignalKind::user_defined2(), || Some(Happening::ReopenLogs))?;
        happenings.on(SignalKind::window_change(), || Some(Happening::Look))?;
        happenings.on(SignalKind::from_raw(SIGURG), || {
            Some(Happening::Wish(Wish::Forgive))
        })?;
        happenings.on(SignalKind::alarm(), || None)?;
        Ok(happenings)
    }

    fn on(
        &self,
        kind: SignalKind,
        happening: impl Fn() -> Option<Happening> + Send + 'static,
    ) -> io::Result<()> {
        let (mut signal, sender) = (signal(kind)?, self.sender.clone());
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                happening().map(|it| sender.send(it));
            }
        });
        Ok(())
    }

    pub(crate) fn sender(&self) -> UnboundedSender<Happening> {
        self.sender.clone()
    }

    /// The next happening; `None` when `deadline` passes first.
    pub(crate) async fn next(&mut self, deadline: Option<Millis>) -> Option<Happening> {
        let Some(deadline) = deadline else {
            return self.receiver.recv().await;
        };
        // The coarse clock may lag by a tick.
        let wait = deadline.since(coarse_now()) + Duration::from_millis(10);
        tokio::time::timeout(wait, self.receiver.recv())
            .await
            .ok()
            .flatten()
    }

    /// One that has happened already.
    pub(crate) fn try_next(&mut self) -> Option<Happening> {
        self.receiver.try_recv().ok()
    }
}

/// The runtime has no name for it; its number is the same on every Linux.
const SIGURG: i32 = 23;
