//! What can tell a worker to go: the master, the master's death, a signal. All arrive through one queue.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uwgate_sys::channel::Channel;

use super::engine::Engine;
use crate::message::{ToWorker, next_message};

/// What the worker's main task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Order(ToWorker),
    /// A draining worker's last connection has closed.
    Emptied,
}

/// The queue.
pub(crate) struct Events {
    sender: UnboundedSender<Event>,
    receiver: UnboundedReceiver<Event>,
}

/// Listens to signals and to the engine.
pub(crate) fn subscribe<H: Send + Sync + 'static>(engine: &Arc<Engine<H>>) -> io::Result<Events> {
    let (sender, receiver) = unbounded_channel();
    let signals = [
        (SignalKind::terminate(), ToWorker::Stop),
        (SignalKind::interrupt(), ToWorker::Stop),
        (SignalKind::hangup(), ToWorker::Drain),
    ];
    for (kind, order) in signals {
        let (mut signal, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                let _ = sender.send(Event::Order(order));
            }
        });
    }
    let (engine, emptied) = (Arc::clone(engine), sender.clone());
    tokio::spawn(async move {
        loop {
            engine.emptied.notified().await;
            let _ = emptied.send(Event::Emptied);
        }
    });
    Ok(Events { sender, receiver })
}

impl Events {
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

    /// The next order.
    pub(crate) async fn order(&mut self) -> ToWorker {
        loop {
            if let Event::Order(order) = self.next().await {
                return order;
            }
        }
    }

    /// The next event; never ends, since the queue holds a sender itself.
    pub(crate) async fn next(&mut self) -> Event {
        match self.receiver.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}
