//! The listening sockets of a worker, open or shut: a paused worker leaves new connections in the kernel's queue.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use tokio::task::JoinHandle;

use super::accept;
use super::engine::{Endpoint, Engine};
use super::room;
use crate::host::Host;
use crate::listen::Listening;

/// All listening sockets of a worker, and who accepts from them.
pub(super) struct Doors<H> {
    engine: Arc<Engine<H>>,
    queues: Vec<(Arc<OwnedFd>, Arc<Endpoint>)>,
    acceptors: Vec<JoinHandle<io::Result<()>>>,
}

impl<H: Host> Doors<H> {
    /// They are shut at first.
    pub(super) fn new(listeners: Vec<Listening>, engine: &Arc<Engine<H>>) -> Self {
        let queues = (0..).zip(listeners).map(|(door, listening)| {
            let endpoint = Arc::new(listening.endpoint(door));
            (Arc::new(listening.into_fd()), endpoint)
        });
        let queues: Vec<_> = queues.collect();
        let sockets: Vec<_> = queues.iter().map(|(queue, _)| queue.as_fd()).collect();
        uwgate_sys::signals::let_go_after_parent(&sockets);
        Self {
            engine: Arc::clone(engine),
            queues,
            acceptors: Vec::new(),
        }
    }

    /// The sockets, for somebody who asks after their queues as long as they are open.
    pub(super) fn queues(&self) -> Vec<Weak<OwnedFd>> {
        let queues = self.queues.iter();
        queues.map(|(queue, _)| Arc::downgrade(queue)).collect()
    }

    /// Takes connections from now on.
    pub(super) fn open(&mut self) {
        if !self.acceptors.is_empty() {
            return;
        }
        let acceptors = self.queues.iter().map(|(queue, endpoint)| {
            let (queue, endpoint) = (Arc::clone(queue), Arc::clone(endpoint));
            let engine = Arc::clone(&self.engine);
            tokio::spawn(accept::accept_connections(queue, endpoint, engine))
        });
        self.acceptors = acceptors.collect();
        if let Some(room) = &self.engine.room {
            let attending = room::attend(room.clone(), self.endpoints(), Arc::clone(&self.engine));
            self.acceptors.push(tokio::spawn(attending));
        }
        self.engine.start_accepting();
    }

    /// Takes no more. Those who are connected are asked to connect anew with their next answer.
    pub(super) async fn shut(&mut self) {
        self.engine.start_draining();
        for acceptor in self.acceptors.drain(..) {
            acceptor.abort();
            // Another thread may be in the middle of it, with a connection that is not counted yet.
            let _ = acceptor.await;
        }
        if let Some(room) = &self.engine.room {
            room::empty(room, &self.endpoints(), &self.engine);
        }
    }

    fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let queues = self.queues.iter();
        queues.map(|(_, endpoint)| Arc::clone(endpoint)).collect()
    }

    /// Takes all who have connected in time to sockets that nobody else will accept from: a bit for each.
    pub(super) fn take_the_rest(&self, doors: u32) {
        for (number, (queue, endpoint)) in (0..).zip(&self.queues) {
            let is_last = doors == u32::MAX || doors.checked_shr(number).unwrap_or(0) & 1 == 1;
            if !is_last {
                continue;
            }
            accept::accept_the_rest(queue, endpoint, &self.engine);
        }
    }
}

impl<H> Drop for Doors<H> {
    fn drop(&mut self) {
        uwgate_sys::signals::let_go_after_parent(&[]);
    }
}
