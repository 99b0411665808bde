//! The one queue through which everything reaches the master.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uwgate_sys::channel::Channel;
use uwgate_sys::clock::{Millis, coarse_now};

use super::generation::Key;
use crate::message::{FromWorker, FromZygote, Message, next_message};

/// What can happen.
pub(super) enum Happening {
    Sign(Sign),
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

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Child,
    Reload,
    Stop,
    StopNow,
}

/// What came through a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard<M> {
    Message(M),
    /// The process behind it is gone.
    Gone,
}

/// The queue.
pub(super) struct Happenings {
    sender: UnboundedSender<Happening>,
    receiver: UnboundedReceiver<Happening>,
}

impl Happenings {
    /// Listens to signals from now on.
    pub(super) fn subscribe() -> io::Result<Self> {
        let (sender, receiver) = unbounded_channel();
        let signs = [
            (SignalKind::child(), Some(Sign::Child)),
            (SignalKind::hangup(), Some(Sign::Reload)),
            (SignalKind::terminate(), Some(Sign::Stop)),
            (SignalKind::interrupt(), Some(Sign::StopNow)),
            (SignalKind::quit(), Some(Sign::StopNow)),
            // They would end an unprepared process.
            (SignalKind::user_defined1(), None),
            (SignalKind::user_defined2(), None),
            (SignalKind::alarm(), None),
        ];
        for (kind, sign) in signs {
            let (mut signal, sender) = (signal(kind)?, sender.clone());
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    if let Some(sign) = sign {
                        let _ = sender.send(Happening::Sign(sign));
                    }
                }
            });
        }
        Ok(Self { sender, receiver })
    }

    /// The next happening; `None` when `deadline` passes first.
    pub(super) async fn next(&mut self, deadline: Option<Millis>) -> Option<Happening> {
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
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(message) = next_message(&channel).await {
                let _ = sender.send(happening(Heard::Message(message)));
            }
            let _ = sender.send(happening(Heard::Gone));
        });
        Ok(())
    }
}
