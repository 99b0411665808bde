//! When a worker has done enough: it has served its number of requests, has lived its time, or takes too much memory.
//!
//! In scope: who is to be replaced, why, and in what order, so that never more than a quarter of the workers (but at
//! least one) is replaced at a time. Out of scope: replacing. The shell calls [`Recycling::look`] with the figures of
//! all workers and does what comes back.

use std::fmt;
use std::time::Duration;

/// What an operator may choose. Zero is never, or no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// No worker younger than this is replaced for its requests or its memory (`min-worker-lifetime`).
    pub min_lifetime: Duration,
    /// The age at which it is replaced in any case (`max-worker-lifetime`).
    pub max_lifetime: Duration,
    /// So much more for each worker after the first (`max-worker-lifetime-delta`).
    pub max_lifetime_delta: Duration,
    /// MiB of resident memory (`reload-on-rss`).
    pub rss: u32,
    /// MiB of address space (`reload-on-as`).
    pub address_space: u32,
    /// MiB of resident memory above which a worker is killed (`evil-reload-on-rss`).
    pub evil_rss: u32,
    /// MiB of address space above which a worker is killed (`evil-reload-on-as`).
    pub evil_address_space: u32,
}

/// One worker that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Its number, from 1.
    pub worker: u32,
    /// Which of its processes, whatever the number means.
    pub life: u64,
    /// The age of the process.
    pub age: Duration,
    /// Bytes of resident memory; 0 when nobody has looked.
    pub rss: u64,
    /// Bytes of address space; 0 when nobody has looked.
    pub vsz: u64,
    /// It serves a request.
    pub busy: bool,
    /// Its successor is on the way.
    pub replacing: bool,
}

/// Why a worker is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has served so many requests.
    Requests(u64),
    /// Its application has raised an exception after which it is to start afresh.
    Exception,
    /// Somebody has sent it a signal.
    Signal,
    /// It has lived so long.
    Lifetime(Duration),
    /// It takes too much memory.
    Memory(Excess),
}

/// A limit that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Bytes.
    pub used: u64,
    /// MiB.
    pub limit: u32,
    /// The option's name.
    pub option: &'static str,
}

/// What is to be done about a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub worker: u32,
    /// Kill it now, in the middle of its request; otherwise it goes when its successor is there.
    pub kill: bool,
    /// Why.
    pub reason: Reason,
}

/// Who waits to be replaced.
#[derive(Debug)]
pub struct Recycling {
    limits: Limits,
    /// In the order in which they were found, or asked: worker, life, reason.
    waiting: Vec<(u32, u64, Reason)>,
}

impl Recycling {
    /// Nobody waits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: Vec::new(),
        }
    }

    /// Other limits from now on.
    pub fn renew(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A worker asks for it itself.
    pub fn ask(&mut self, worker: u32, life: u64, reason: Reason) {
        self.queue(worker, life, reason);
    }

    /// Whether somebody waits.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Decides; `workers` are all that serve.
    pub fn look(&mut self, workers: &[Figures]) -> Vec<Order> {
        let mut orders: Vec<Order> = workers.iter().filter_map(|it| self.evil(it)).collect();
        let condemned = |worker: u32, orders: &[Order]| orders.iter().any(|it| it.worker == worker);
        self.waiting.retain(|(worker, life, _)| {
            let same = |it: &&Figures| it.worker == *worker && it.life == *life && !it.replacing;
            workers.iter().any(|it| same(&it)) && !condemned(*worker, &orders)
        });
        for figures in workers.iter().filter(|it| !it.replacing) {
            if let Some(reason) = self.due(figures)
                && !condemned(figures.worker, &orders)
            {
                self.queue(figures.worker, figures.life, reason);
            }
        }
        let under_way = workers.iter().filter(|it| it.replacing).count() + orders.len();
        let room = (workers.len() / 4).max(1).saturating_sub(under_way);
        let old_enough = |worker: u32, reason: Reason| {
            let young = |it: &Figures| it.worker == worker && it.age < self.limits.min_lifetime;
            !matters(reason) || !workers.iter().any(young)
        };
        let next: Vec<(u32, u64, Reason)> = self
            .waiting
            .iter()
            .copied()
            .filter(|(worker, _, reason)| old_enough(*worker, *reason))
            .take(room)
            .collect();
        self.waiting.retain(|it| !next.contains(it));
        orders.extend(next.into_iter().map(|(worker, _, reason)| Order {
            worker,
            kill: false,
            reason,
        }));
        orders
    }

    fn queue(&mut self, worker: u32, life: u64, reason: Reason) {
        let known = |it: &&mut (u32, u64, Reason)| it.0 == worker && it.1 == life;
        match self.waiting.iter_mut().find(known) {
            // The latest figures are those for the log.
            Some(entry) if matters(entry.2) => entry.2 = reason,
            Some(_) => {}
            None => self.waiting.push((worker, life, reason)),
        }
    }

    /// A worker that takes far too much is not waited for. One that is idle loses nothing by being replaced.
    fn evil(&self, it: &Figures) -> Option<Order> {
        let limits = &self.limits;
        let excess = exceeds(it.rss, limits.evil_rss, "evil-reload-on-rss").or(exceeds(
            it.vsz,
            limits.evil_address_space,
            "evil-reload-on-as",
        ))?;
        let order = Order {
            worker: it.worker,
            kill: it.busy,
            reason: Reason::Memory(excess),
        };
        (it.busy || !it.replacing).then_some(order)
    }

    fn due(&self, it: &Figures) -> Option<Reason> {
        let limits = &self.limits;
        let extra = limits.max_lifetime_delta * it.worker.saturating_sub(1);
        let max = limits.max_lifetime.saturating_add(extra);
        if !limits.max_lifetime.is_zero() && it.age >= max {
            return Some(Reason::Lifetime(it.age));
        }
        exceeds(it.rss, limits.rss, "reload-on-rss")
            .or(exceeds(it.vsz, limits.address_space, "reload-on-as"))
            .map(Reason::Memory)
    }
}

/// Whether a worker must have lived a while before it is replaced for this.
fn matters(reason: Reason) -> bool {
    matches!(reason, Reason::Requests(_) | Reason::Memory(_))
}

fn exceeds(used: u64, limit: u32, option: &'static str) -> Option<Excess> {
    (limit > 0 && used > u64::from(limit) << 20).then_some(Excess {
        used,
        limit,
        option,
    })
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(requests) => write!(f, "it served {requests} requests (max-requests)"),
            Self::Exception => f.write_str("a monitored exception (reload-on-exception)"),
            Self::Signal => f.write_str("somebody has sent it a signal"),
            Self::Lifetime(age) => write!(
                f,
                "it was running for {} seconds (max-worker-lifetime)",
                age.as_secs()
            ),
            Self::Memory(Excess {
                used,
                limit,
                option,
            }) => write!(f, "it uses {} MiB ({option} = {limit})", used >> 20),
        }
    }
}
