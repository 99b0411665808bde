//! The one queue through which everything reaches the emperor.

use std::io;

use tokio::signal::unix::SignalKind;
use tokio::sync::oneshot;
use uwgate_ctl::protocol::Request;
use uwgate_server::homage::Homage;
use uwgate_server::queue::Queue;
use uwgate_sys::process::Pid;

use crate::commands::Command;
use crate::control::Client;
use crate::reconcile::{Manner, Wish};
use crate::snapshot::Snapshot;
use crate::source::SourceId;
use crate::spec::{Name, VassalSpec};

/// What can happen.
pub(crate) enum Happening {
    /// A child process may have ended.
    Child,
    /// A process of a vassal that is not a child has ended.
    Ended(Pid),
    /// A process calls as a vassal that has lost its emperor.
    Homage { pid: Pid, homage: Box<Homage> },
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
    /// A datagram says what a vassal is to do.
    Command(Command),
}

/// The queue.
pub(crate) type Happenings = Queue<Happening>;

/// A queue that listens to signals from now on. `graceful`: every end is. `keeps`: SIGTERM leaves vassals behind.
pub(crate) fn subscribe(graceful: bool, keeps: bool) -> io::Result<Happenings> {
    let happenings = Happenings::default();
    let quick = if graceful {
        Manner::Graceful
    } else {
        Manner::Quick
    };
    let end = |manner| move || Some(Happening::Wish(Wish::EndAll(manner)));
    let wish = |wish: fn() -> Wish| move || Some(Happening::Wish(wish()));
    happenings.on_signal(SignalKind::child(), || Some(Happening::Child))?;
    let term = match keeps {
        true => Wish::Leave,
        false => Wish::EndAll(Manner::Graceful),
    };
    happenings.on_signal(SignalKind::terminate(), move || {
        Some(Happening::Wish(term.clone()))
    })?;
    happenings.on_signal(SignalKind::interrupt(), end(quick))?;
    happenings.on_signal(SignalKind::quit(), end(quick))?;
    happenings.on_signal(SignalKind::hangup(), wish(|| Wish::ReloadAll))?;
    happenings.on_signal(SignalKind::user_defined1(), || Some(Happening::Show))?;
    happenings.on_signal(SignalKind::user_defined2(), || Some(Happening::ReopenLogs))?;
    happenings.on_signal(SignalKind::window_change(), || Some(Happening::Look))?;
    happenings.on_signal(SignalKind::from_raw(SIGURG), wish(|| Wish::Forgive))?;
    happenings.on_signal(SignalKind::alarm(), || None)?;
    Ok(happenings)
}

/// The runtime has no name for it; its number is the same on every Linux.
const SIGURG: i32 = 23;
