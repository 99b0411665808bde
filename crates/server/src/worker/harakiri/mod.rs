//! Harakiri: a request that stays in the application for too long is ended, by a thread of its worker that needs
//! nothing of the application or of Python.
//!
//! The clock of a request runs from the application's call to its end, on its own core: neither the time in which a
//! body is read before the call counts, nor that in which the offload thread serves a slow reader after it. When time
//! is up, the watchdog takes the word from the application ([`Flight::take`](crate::exchange::Flight::take)), answers
//! with a 504 or cuts the connection, has the stuck thread say where it is ([`stacks`]), writes all that to the log,
//! and ends the process: at once if nothing else is going on in it, else when the other requests are through.
//!
//! Who is to be ended is decided in [`judge`]. The master counts, replaces the worker, and is there for a worker that
//! cannot even do this (see `master::harakiri`).

mod answer;
mod execution;
mod judge;
mod report;
mod stacks;
mod traceback;
mod user;
mod watchdog;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use uwgate_config::options;
use uwgate_http::ResponseRules;
use uwgate_sys::process;
use uwgate_sys::signals::Signal;

pub(super) use self::answer::send_away;
pub(crate) use self::judge::Rules;
pub use self::user::set_user_harakiri;
pub(super) use self::user::{attend, dismiss};
pub(super) use self::watchdog::Watchdog;
use crate::exchange::{Flight, Phase, Request, Response};
use crate::zygote::End;

/// What core threads and the watchdog share.
#[derive(Debug)]
pub(crate) struct Harakiri {
    rules: Rules,
    /// The number of the signal of the graceful step.
    signal: u32,
    /// The least queue at which it matters that a request takes long.
    queue: u32,
    verbose: bool,
    /// Whether there is a watchdog: from the start with `harakiri`, else from the first user harakiri on.
    watching: AtomicBool,
    /// One for each core.
    flights: Box<[Arc<Flight>]>,
    /// The watchdog's thread, once it runs.
    watchdog: OnceLock<std::thread::Thread>,
    /// Held by the watchdog from the answer it gives to what it writes about it.
    acting: Mutex<()>,
}

impl Harakiri {
    pub(super) fn new(options: &options::Harakiri, threads: usize) -> Self {
        let options::Harakiri {
            harakiri,
            harakiri_verbose,
            harakiri_graceful_timeout,
            harakiri_graceful_signal,
            harakiri_queue_threshold,
        } = options;
        let seconds =
            |number: u32| Some(Duration::from_secs(number.into())).filter(|time| !time.is_zero());
        Self {
            rules: Rules {
                limit: seconds(*harakiri),
                grace: seconds(*harakiri_graceful_timeout),
            },
            signal: *harakiri_graceful_signal,
            queue: *harakiri_queue_threshold,
            verbose: *harakiri_verbose,
            watching: AtomicBool::new(false),
            flights: (0..threads.max(1)).map(|_| Arc::default()).collect(),
            watchdog: OnceLock::new(),
            acting: Mutex::new(()),
        }
    }

    /// Whether requests are watched.
    pub(crate) fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
    }

    /// A request enters the application on a core, or is in it already.
    pub(crate) fn board(
        &self,
        core: usize,
        request: &mut Request,
        response: &mut Response,
        rules: ResponseRules,
    ) {
        if let Some(flight) = self.flights.get(core) {
            let ticket = flight.begin(request, rules);
            request.ticket = Some(ticket.clone());
            response.watch(ticket);
        }
    }

    /// The request of a core has left the application. False: it was given up, and is in the log already.
    pub(crate) fn land(&self, core: usize) -> bool {
        self.flights.get(core).is_none_or(|flight| flight.end())
    }

    /// How many requests are in the application that have been answered by the watchdog: their connections will not
    /// come to an end by themselves.
    pub(super) fn stuck(&self) -> usize {
        let is_taken = |flight: &&Arc<Flight>| flight.number_in(Phase::Taken).is_some();
        self.flights.iter().filter(is_taken).count()
    }

    fn act(&self) -> MutexGuard<'_, ()> {
        self.acting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends this process when the watchdog has said what there is to say.
    pub(super) fn end_process_after_watchdog(&self) {
        let _acting = self.act();
        self.end_process();
    }

    /// Ends this process at once.
    pub(super) fn end_process(&self) {
        let _ = process::kill(process::this(), Signal::KILL);
        // The first process of a container is not killed.
        process::exit_now(End::Failed.code())
    }
}
