//! Time limits of connections without a timer each: a table of deadlines and one sweep a second.
//!
//! Time is counted in sweeps, not in seconds of the clock: while Python holds the only thread no sweep happens, so a
//! client whose bytes lie unread in the kernel is never blamed for our own slowness.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::exchange::Socket;

/// A connection's line in the table; its owner moves the deadline, the sweep reads it.
#[derive(Debug)]
pub(crate) struct Watch {
    socket: Socket,
    /// The number of its listening socket.
    door: u16,
    /// Where in the table it stands.
    line: usize,
    /// The sweep at which time is up.
    deadline: AtomicU32,
    /// What would be lost if a stopping worker closed it: a [`Stake`].
    stake: AtomicU8,
    /// Set by the sweep before it wakes the owner with an end of file.
    expired: AtomicBool,
}

impl Watch {
    /// Whether it was the sweep that ended the connection.
    pub(crate) fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
        // The owner's next read sees what the kernel still holds, then the end of file.
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Read);
    }
}

/// What a connection would lose by being closed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stake {
    /// The last answer is out, and nothing will come after it.
    Over,
    /// No byte of a request is there.
    Nothing,
    /// A part of a head.
    Head,
    /// A request.
    Request,
}

/// The table of one worker.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    sweeps: AtomicU32,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    lines: Vec<Option<Arc<Watch>>>,
    free: Vec<usize>,
}

impl Watches {
    /// Adds a connection; [`Watches::remove`] takes it out again.
    pub(crate) fn add(&self, socket: &Socket, door: u16) -> Arc<Watch> {
        let mut table = self.table();
        let line = table.free.pop().unwrap_or_else(|| {
            table.lines.push(None);
            table.lines.len() - 1
        });
        let watch = Arc::new(Watch {
            socket: Arc::clone(socket),
            door,
            line,
            deadline: AtomicU32::new(u32::MAX),
            stake: AtomicU8::new(Stake::Request as u8),
            expired: AtomicBool::new(false),
        });
        if let Some(free) = table.lines.get_mut(line) {
            *free = Some(Arc::clone(&watch));
        }
        watch
    }

    /// Takes a closed connection out.
    pub(crate) fn remove(&self, watch: &Watch) {
        let mut table = self.table();
        if let Some(line) = table.lines.get_mut(watch.line) {
            *line = None;
            table.free.push(watch.line);
        }
    }

    /// The deadline that lies `seconds` from now.
    pub(crate) fn deadline_in(&self, seconds: u32) -> u32 {
        // One more, as the current second is partly over.
        self.now().saturating_add(seconds).saturating_add(1)
    }

    /// Gives a connection until `deadline`. A worker that stops may close it earlier.
    pub(crate) fn allow(&self, watch: &Watch, deadline: u32, stake: Stake) {
        watch.deadline.store(deadline, Ordering::Relaxed);
        watch.stake.store(stake as u8, Ordering::Relaxed);
    }

    /// Takes the limit off while the application has the connection.
    pub(crate) fn no_limit(&self, watch: &Watch) {
        self.allow(watch, u32::MAX, Stake::Request);
    }

    /// Ends the connections whose time is up.
    pub(crate) fn sweep(&self) {
        let now = self.sweeps.fetch_add(1, Ordering::Relaxed) + 1;
        for watch in self.table().lines.iter().flatten() {
            if watch.deadline.load(Ordering::Relaxed) <= now && !watch.expired() {
                watch.expire();
            }
        }
    }

    /// Ends the connections that have no more than `most` at stake. One whose request has just arrived is still
    /// served.
    pub(crate) fn expire_up_to(&self, most: Stake) {
        for watch in self.table().lines.iter().flatten() {
            if watch.stake.load(Ordering::Relaxed) <= most as u8 && !watch.expired() {
                watch.expire();
            }
        }
    }

    /// The connections that wait for a first or next request, of which no byte was read, each with the number of its
    /// listening socket.
    pub(super) fn resting(&self) -> Vec<(Socket, u16)> {
        let table = self.table();
        let watches = table.lines.iter().flatten();
        let resting = watches.filter(|it| it.stake.load(Ordering::Relaxed) == Stake::Nothing as u8);
        resting
            .map(|watch| (Socket::clone(&watch.socket), watch.door))
            .collect()
    }

    /// Sweeps so far.
    pub(crate) fn now(&self) -> u32 {
        self.sweeps.load(Ordering::Relaxed)
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sweeps once a second, for ever, and does what else is due as often.
pub(crate) async fn sweep_every_second(watches: Arc<Watches>, mut as_well: impl FnMut()) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        watches.sweep();
        as_well();
    }
}
