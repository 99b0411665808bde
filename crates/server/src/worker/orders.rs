//! What can tell a worker to go: the master, the master's death, a signal. All arrive through one queue.

use std::io;
use std::sync::Arc;

use rustix::net::RecvFlags;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uwgate_sys::channel::Channel;

use super::engine::Engine;
use crate::message::{Message, SIZE, ToWorker, next_message};

/// What the worker's main task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Order(ToWorker),
    /// A signal came that asks this process to go in this way.
    Asked(ToWorker),
    /// SIGTSTP came to this process.
    TogglePause,
    /// A draining worker's last connection has closed.
    Emptied,
}

/// The queue.
pub(crate) struct Events {
    sender: UnboundedSender<Event>,
    receiver: UnboundedReceiver<Event>,
}

/// What the kernel calls SIGTSTP: the runtime has no name for it.
const TSTP: i32 = uwgate_sys::signals::Signal::TSTP.as_raw();

/// Listens to signals and to the engine.
pub(crate) fn subscribe<H: Send + Sync + 'static>(engine: &Arc<Engine<H>>) -> io::Result<Events> {
    let (sender, receiver) = unbounded_channel();
    let signals = [
        (SignalKind::terminate(), Event::Asked(ToWorker::Stop)),
        (SignalKind::interrupt(), Event::Asked(ToWorker::Stop)),
        (SignalKind::hangup(), Event::Asked(ToWorker::Drain)),
        // From a master that has become another binary, and cannot be asked for a successor.
        (SignalKind::quit(), Event::Order(ToWorker::Drain)),
        (SignalKind::from_raw(TSTP), Event::TogglePause),
    ];
    for (kind, event) in signals {
        let sender = sender.clone();
        on_signal(kind, move || {
            let _ = sender.send(event);
        })?;
    }
    let counters = Arc::clone(engine);
    on_signal(SignalKind::user_defined1(), move || counters.log_counters())?;
    let activity = Arc::clone(engine);
    on_signal(SignalKind::user_defined2(), move || activity.log_activity())?;
    let (engine, emptied) = (Arc::clone(engine), sender.clone());
    tokio::spawn(async move {
        loop {
            engine.emptied.notified().await;
            let _ = emptied.send(Event::Emptied);
        }
    });
    Ok(Events { sender, receiver })
}

fn on_signal(kind: SignalKind, act: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signal = signal(kind)?;
    tokio::spawn(async move {
        while signal.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}

/// Whether the master's first word to a new worker was that the instance is paused: it comes before the worker exists.
pub(crate) fn begins_paused(master: &Channel) -> bool {
    let mut datagram = [0; SIZE];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let word = rustix::net::recv(master, &mut datagram, flags);
    word.is_ok_and(|(len, _)| {
        datagram.get(..len).and_then(ToWorker::decode) == Some(ToWorker::Pause)
    })
}

impl Events {
    /// The other end, for whoever has an order for this worker.
    pub(crate) fn sender(&self) -> &UnboundedSender<Event> {
        &self.sender
    }

    /// Passes on what the master says. Its death means that nobody would replace us: finish and go.
    pub(crate) fn follow(&self, master: Channel) -> io::Result<()> {
        master.set_nonblocking(true)?;
        let channel = uwgate_sys::readiness::readable(master)?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(order) = next_message(&channel).await {
                let _ = sender.send(Event::Order(order));
            }
            let _ = sender.send(Event::Order(ToWorker::Stop));
        });
        Ok(())
    }

    /// The next event; never ends, since the queue holds a sender itself.
    pub(crate) async fn next(&mut self) -> Event {
        match self.receiver.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}
