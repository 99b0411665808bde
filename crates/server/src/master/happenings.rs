//! The one queue through which everything reaches the master.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use tokio::signal::unix::SignalKind;
use uwgate_config::Located;
use uwgate_config::options::SignalAction;
use uwgate_sys::channel::Channel;
use uwgate_sys::signals::Signal;

use super::generation::Key;
use super::wish::Wish;
use crate::message::{FromWorker, FromZygote, Message, next_message};
use crate::queue::Queue;

/// What can happen.
pub(super) enum Happening {
    /// A child process may have ended.
    Child,
    Wish(Wish),
    /// A stats client is there.
    Stats(tokio::sync::oneshot::Sender<crate::stats::Snapshot>),
    /// Somebody has connected while no worker runs.
    Visitor,
    /// The emperor has said a byte, or is gone.
    Emperor(Option<u8>),
    /// There is one again, behind this channel. What it has not seen of what was printed begins at the number.
    EmperorFound {
        channel: Channel,
        printed: Option<(OwnedFd, u64)>,
    },
    Zygote {
        number: u64,
        heard: Heard<FromZygote>,
    },
    Worker {
        key: Key,
        /// Which of the slot's processes spoke: an end of file may be heard after its successor was started.
        life: u64,
        heard: Heard<FromWorker>,
    },
}

/// What came through a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard<M> {
    Message(M),
    /// The process behind it is gone.
    Gone,
}

/// The queue.
pub(super) type Happenings = Queue<Happening>;

impl Happenings {
    /// Listens to signals from now on.
    /// `signals` says what some of them mean instead of the usual.
    pub(super) fn subscribe(signals: &[Located<(i32, SignalAction)>]) -> io::Result<Self> {
        let happenings = Self::default();
        happenings.on_signal(SignalKind::child(), || Some(Happening::Child))?;
        let own = signals.iter().map(|it| (it.value.0, it.value.1));
        let own: HashMap<i32, Wish> = own
            .map(|(signal, action)| (signal, action.into()))
            .collect();
        for (signal, wish) in &own {
            let (kind, wish) = (SignalKind::from_raw(*signal), *wish);
            happenings.on_signal(kind, move || Some(Happening::Wish(wish)))?;
        }
        let usual = wishes();
        let usual = usual
            .into_iter()
            .filter(|(kind, _)| !own.contains_key(&kind.as_raw_value()));
        for (kind, wish) in usual {
            happenings.on_signal(kind, move || wish.map(Happening::Wish))?;
        }
        Ok(happenings)
    }

    /// Passes on what a zygote says.
    pub(super) fn follow_zygote(&self, number: u64, channel: Channel) -> io::Result<()> {
        self.follow(channel, move |heard| Happening::Zygote { number, heard })
    }

    /// Passes on what a worker says.
    pub(super) fn follow_worker(&self, key: Key, life: u64, channel: Channel) -> io::Result<()> {
        self.follow(channel, move |heard| Happening::Worker { key, life, heard })
    }

    fn follow<M: Message + Send + 'static>(
        &self,
        channel: Channel,
        happening: impl Fn(Heard<M>) -> Happening + Send + 'static,
    ) -> io::Result<()> {
        channel.set_nonblocking(true)?;
        let channel = uwgate_sys::readiness::readable(channel)?;
        let sender = self.sender();
        tokio::spawn(async move {
            while let Some(message) = next_message(&channel).await {
                let _ = sender.send(happening(Heard::Message(message)));
            }
            let _ = sender.send(happening(Heard::Gone));
        });
        Ok(())
    }
}

/// The signals that are not to take effect while nobody listens to them.
pub(super) const AWAITED: [Signal; 8] = [
    Signal::HUP,
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::TSTP,
    Signal::ALARM,
];

/// What each signal asks for. One without a wish is caught so that it does not end the master; the others that are not
/// here (SIGWINCH, SIGURG) never would.
fn wishes() -> [(SignalKind, Option<Wish>); 8] {
    // The runtime has no name for it.
    let stop_typed_at_terminal = Signal::TSTP.as_raw();
    [
        (SignalKind::hangup(), Some(Wish::Reload)),
        (SignalKind::terminate(), Some(Wish::Stop)),
        (SignalKind::interrupt(), Some(Wish::Kill)),
        (SignalKind::quit(), Some(Wish::Kill)),
        (SignalKind::user_defined1(), Some(Wish::LogStats)),
        (SignalKind::user_defined2(), Some(Wish::LogActivity)),
        (
            SignalKind::from_raw(stop_typed_at_terminal),
            Some(Wish::TogglePause),
        ),
        (SignalKind::alarm(), None),
    ]
}
