//! When this worker has served enough: after so many requests, or after an exception that it is to start afresh after.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use uwgate_config::options::Recycling;
use uwgate_sys::channel::Channel;
use uwgate_sys::clock::coarse_now;

use super::orders::Event;
use crate::message::{FromWorker, Message, Retirement, ToWorker};

/// As long as nothing comes of it, it is told again after so many milliseconds.
const AGAIN: u64 = 1000;

/// Notices that it is time, and tells.
pub(crate) struct Retiring {
    /// Requests of this process; 0 is no limit.
    max_requests: u64,
    /// What the row of the scoreboard had counted before this process.
    before: u64,
    min_lifetime: Duration,
    born: Instant,
    /// When it was last told, in milliseconds of the monotonic clock.
    told: AtomicU64,
    way: OnceLock<Way>,
}

/// Who is told.
enum Way {
    /// The master has a successor ready before this worker goes.
    Master(Channel),
    /// Nobody follows: this process ends by itself.
    Alone(UnboundedSender<Event>),
}

impl Retiring {
    /// `before`: requests that the worker's row of the scoreboard shows already.
    pub(crate) fn new(options: &Recycling, worker: u32, before: u64) -> Self {
        let delta = u64::from(options.max_requests_delta) * u64::from(worker.saturating_sub(1));
        let max_requests = match options.max_requests {
            0 => 0,
            max => u64::from(max) + delta,
        };
        Self {
            max_requests,
            before,
            min_lifetime: Duration::from_secs(options.min_worker_lifetime.into()),
            born: Instant::now(),
            told: AtomicU64::new(0),
            way: OnceLock::new(),
        }
    }

    /// From now on there is somebody to tell.
    pub(crate) fn tell_to(
        &self,
        master: Option<&Channel>,
        alone: &UnboundedSender<Event>,
    ) -> io::Result<()> {
        let way = match master {
            Some(master) => Way::Master(master.try_clone()?),
            None => Way::Alone(alone.clone()),
        };
        // It is set once.
        let _ = self.way.set(way);
        Ok(())
    }

    /// Whether requests have to be counted.
    pub(crate) fn counts_requests(&self) -> bool {
        self.max_requests > 0
    }

    /// The row of the scoreboard shows so many requests now.
    pub(crate) fn has_served(&self, requests: u64) {
        let requests = requests.saturating_sub(self.before);
        if requests >= self.max_requests {
            self.tell(Retirement::MaxRequests, requests);
        }
    }

    /// The application has raised such an exception.
    pub(crate) fn after_exception(&self) {
        self.tell(Retirement::Exception, 0);
    }

    /// A signal came that asks this worker to go. False: nobody would follow, so it has to be obeyed at once.
    pub(crate) fn after_signal(&self) -> bool {
        let has_master = matches!(self.way.get(), Some(Way::Master(_)));
        if has_master {
            self.tell(Retirement::Signal, 0);
        }
        has_master
    }

    fn tell(&self, why: Retirement, requests: u64) {
        let Some(way) = self.way.get() else {
            return;
        };
        let young = self.born.elapsed() < self.min_lifetime && why == Retirement::MaxRequests;
        if let (Way::Alone(_), true) = (way, young) {
            return;
        }
        let now = coarse_now().0;
        if now.saturating_sub(self.told.load(Ordering::Relaxed)) < AGAIN {
            return;
        }
        self.told.store(now, Ordering::Relaxed);
        match way {
            Way::Master(master) => {
                let requests = u32::try_from(requests).unwrap_or(u32::MAX);
                let word = FromWorker::Retire { why, requests };
                // One that is lost is told again, and a master that is gone is noticed elsewhere.
                let _ = master.send(&word.encode(), &[]);
            }
            Way::Alone(events) => {
                tracing::info!(
                    "...The work of process {} is done. Seeya!",
                    std::process::id()
                );
                let _ = events.send(Event::Order(ToWorker::Stop));
            }
        }
    }
}
