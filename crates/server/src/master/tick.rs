//! What the master looks at once a second, if an option asks for it: otherwise it sleeps until something happens.

use std::time::Duration;

use uwgate_config::Options;
use uwgate_sys::clock::{Millis, coarse_now};

use super::{Launcher, Master};
use crate::log::Logs;

const SECOND: Duration = Duration::from_secs(1);

/// When the next look is due.
#[derive(Debug)]
pub(super) struct Tick {
    at: Option<Millis>,
}

impl Tick {
    pub(super) fn new(options: &Options) -> Self {
        let at = is_wanted(options).then(|| coarse_now() + SECOND);
        Self { at }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.at
    }

    /// Whether it is time. The next look is a second from now, however late this one is.
    pub(super) fn is_due(&mut self, now: Millis) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.at = Some(now + SECOND);
        }
        due
    }
}

/// Whether an option needs somebody to look every second.
fn is_wanted(options: &Options) -> bool {
    let has_queues = !options.sockets.sockets.is_empty();
    has_queues
        // Its sockets may be the emperor's, which asks how it is going.
        || super::lord::is_there()
        || super::cheaper::needs_tick(options)
        || super::recycling::needs_tick(options)
        || super::memory::is_wanted(options)
        || Logs::wants_looks(options)
}

impl<L: Launcher> Master<'_, L> {
    pub(super) fn every_second(&mut self, now: Millis) {
        self.logs.look_at_size();
        let waiting = super::queues::look(&self.listeners);
        self.measure_memory();
        self.recycle();
        self.look_at_workforce(now, waiting);
        self.show_loyalty();
    }
}
