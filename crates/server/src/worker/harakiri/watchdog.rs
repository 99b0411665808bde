//! The thread that looks at the clock.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use uwgate_sys::channel::Channel;
use uwgate_sys::clock::coarse_now;

use super::Harakiri;
use super::judge::Judge;
use super::stacks::Stacks;
use crate::host::Host;
use crate::worker::Engine;

/// What the watchdog needs of its worker.
pub(in crate::worker) struct Watchdog<H> {
    pub(in crate::worker) engine: Arc<Engine<H>>,
    /// The way to the master; `None` without one.
    pub(in crate::worker) master: Option<Channel>,
    /// The listening sockets, as long as the worker accepts.
    pub(in crate::worker) queues: Vec<Weak<OwnedFd>>,
}

/// Starts the watchdog, once.
pub(in crate::worker) fn start<H: Host>(watchdog: Watchdog<H>) {
    let harakiri = Arc::clone(&watchdog.engine.harakiri);
    // It is asked for by a thread that may ask Python, and it may be too late for that when it is needed.
    let stacks = Stacks::prepare(&watchdog.engine.host);
    let judge = Judge::new(harakiri.rules, harakiri.flights.len());
    let started = std::thread::Builder::new()
        .name("harakiri".into())
        .spawn(move || watchdog.watch(&stacks, judge));
    match started {
        Ok(thread) => {
            let _ = harakiri.watchdog.set(thread.thread().clone());
            harakiri.watching.store(true, Ordering::Relaxed);
        }
        Err(error) => tracing::error!("no harakiri: its thread cannot be started: {error}"),
    }
}

/// When there is nothing to wait for, and nobody can set a clock without waking us.
const LONG: Duration = Duration::from_secs(3600);

/// The coarse clock may be so much behind.
const TICK: Duration = Duration::from_millis(5);

impl<H: Host> Watchdog<H> {
    fn watch(&self, stacks: &Stacks, mut judge: Judge) {
        loop {
            let now = coarse_now();
            let mut next = judge.idle_until(now).unwrap_or(now + LONG);
            for (core, flight) in self.harakiri().flights.iter().enumerate() {
                let Some(sight) = flight.look() else {
                    continue;
                };
                let (verdict, again) = judge.judge(core, sight, now, || self.matters());
                next = again.map_or(next, |again| next.min(again));
                if let Some(verdict) = verdict {
                    self.execute(verdict, core, flight, sight, stacks);
                }
            }
            let wait = next.since(coarse_now());
            if !wait.is_zero() {
                std::thread::park_timeout(wait + TICK);
            }
        }
    }

    pub(super) fn harakiri(&self) -> &Harakiri {
        &self.engine.harakiri
    }

    pub(super) fn worker(&self) -> u32 {
        self.engine.row().worker
    }

    /// Whether enough connections wait for a worker (`harakiri-queue-threshold`).
    fn matters(&self) -> bool {
        let least = self.harakiri().queue;
        least == 0 || self.waiting() >= least
    }

    /// Connections in the fullest listen queue.
    pub(super) fn waiting(&self) -> u32 {
        let waiting = |queue: &Weak<OwnedFd>| {
            let queue = queue.upgrade()?.as_fd().try_clone_to_owned().ok()?;
            let listener = uwgate_sys::listener::adopt(queue).ok()?;
            Some(listener.queue().ok()??.waiting)
        };
        self.queues.iter().filter_map(waiting).max().unwrap_or(0)
    }
}
