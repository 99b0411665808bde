//! Workers that have done enough are replaced, and the log says why.

use std::time::Duration;

use uwgate_config::Options;
use uwgate_config::options::Recycling as RecyclingOptions;
use uwgate_supervisor::recycling::{Limits, Order, Reason};

use super::generation::{Change, Key, Manner};
use super::{Launcher, Master};
use crate::message::Retirement;

/// What the master looks at; what a worker notices itself (`max-requests`, exceptions) it tells.
pub(super) fn limits(options: &Options) -> Limits {
    let RecyclingOptions {
        max_requests: _,
        max_requests_delta: _,
        min_worker_lifetime,
        max_worker_lifetime,
        max_worker_lifetime_delta,
        reload_on_rss,
        reload_on_as,
        evil_reload_on_rss,
        evil_reload_on_as,
        reload_on_exception: _,
        reload_on_exception_type: _,
        reload_on_exception_value: _,
        reload_on_exception_repr: _,
        limit_as: _,
        limit_nproc: _,
        forkbomb_delay: _,
    } = options.recycling;
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Limits {
        min_lifetime: seconds(min_worker_lifetime),
        max_lifetime: seconds(max_worker_lifetime),
        max_lifetime_delta: seconds(max_worker_lifetime_delta),
        rss: reload_on_rss,
        address_space: reload_on_as,
        evil_rss: evil_reload_on_rss,
        evil_address_space: evil_reload_on_as,
    }
}

/// Whether these options need a look every second.
pub(super) fn needs_tick(options: &Options) -> bool {
    let recycling = &options.recycling;
    recycling.max_requests > 0 || recycling.max_worker_lifetime > 0 || needs_memory(options)
}

/// Whether these options need the memory of the workers.
pub(super) fn needs_memory(options: &Options) -> bool {
    let limits = limits(options);
    [
        limits.rss,
        limits.address_space,
        limits.evil_rss,
        limits.evil_address_space,
    ]
    .iter()
    .any(|limit| *limit > 0)
}

impl<L: Launcher> Master<'_, L> {
    /// A worker wants to be replaced.
    pub(super) fn retire(&mut self, key: Key, life: u64, why: Retirement, requests: u32) {
        let Some(generation) = self.serving().filter(|it| it.number() == key.generation) else {
            return;
        };
        let reason = match why {
            Retirement::Exception => Reason::Exception,
            Retirement::Signal => Reason::Signal,
            Retirement::MaxRequests => Reason::Requests(requests.into()),
        };
        if let Some(life) = generation.life_of(key, life) {
            self.recycling.ask(key.worker, life, reason);
            self.recycle();
        }
    }

    /// Lets those who wait go, as far as others are back.
    pub(super) fn recycle_waiting(&mut self) {
        if self.recycling.is_waiting() {
            self.recycle();
        }
    }

    /// One look at all workers.
    pub(super) fn recycle(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let Some(generation) = self.serving() else {
            return;
        };
        let (number, figures) = (generation.number(), generation.careers());
        for order in self.recycling.look(&figures) {
            self.with(number, |generation, hands| {
                let Order {
                    worker,
                    kill,
                    reason,
                } = order;
                if let Reason::Lifetime(age) = reason {
                    // uWSGI's words.
                    let age = age.as_secs();
                    tracing::info!(
                        "worker {worker} lifetime reached, it was running for {age} second(s)"
                    );
                }
                if kill {
                    return generation.abort_worker(worker, &reason, hands);
                }
                generation.replace(worker, Manner::Graceful, &reason, hands);
                generation.note_farewell(worker);
                Change::Nothing
            });
        }
    }
}
