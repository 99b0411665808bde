//! The one queue through which everything reaches a process that looks after others.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uwgate_sys::clock::{Millis, coarse_now};

/// What happens, in the order in which it does.
#[derive(Debug)]
pub struct Queue<H> {
    sender: UnboundedSender<H>,
    receiver: UnboundedReceiver<H>,
}

impl<H> Default for Queue<H> {
    fn default() -> Self {
        let (sender, receiver) = unbounded_channel();
        Self { sender, receiver }
    }
}

impl<H: Send + 'static> Queue<H> {
    /// Puts in what a signal means, whenever it comes; `None`: it is caught, and means nothing. Must be called in a
    /// runtime.
    ///
    /// # Errors
    /// A signal that cannot be caught.
    pub fn on_signal(
        &self,
        kind: SignalKind,
        happening: impl Fn() -> Option<H> + Send + 'static,
    ) -> io::Result<()> {
        let (mut signal, sender) = (signal(kind)?, self.sender());
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                if let Some(happening) = happening() {
                    let _ = sender.send(happening);
                }
            }
        });
        Ok(())
    }

    /// For a source of its own.
    pub fn sender(&self) -> UnboundedSender<H> {
        self.sender.clone()
    }

    /// The next happening; `None` when `deadline` passes first.
    pub async fn next(&mut self, deadline: Option<Millis>) -> Option<H> {
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
    pub fn try_next(&mut self) -> Option<H> {
        self.receiver.try_recv().ok()
    }
}
