//! What an instance tells about itself: the stats server with uWSGI's JSON, and `/metrics` for Prometheus.
//!
//! The master fills a [`Snapshot`] when somebody asks, so nothing is polled and every value is fresh; [`json`] and
//! [`prometheus`] are pure functions of it; [`serve`] is the task that has the clients, none of whom the master ever
//! waits for.

mod json;
mod mask;
mod prometheus;
#[cfg(test)]
mod sample;
mod serve;
mod snapshot;

pub(crate) use self::mask::shown;
pub(crate) use self::serve::{Ask, Server, Settings};
pub(crate) use self::snapshot::{
    App, Book, Core, Counters, Daemon, InRequest, Ledger, Snapshot, Socket, Status, Worker,
};
