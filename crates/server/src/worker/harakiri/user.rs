//! Harakiri at the application's own wish.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uwgate_sys::clock::coarse_now;

use super::watchdog::{Watchdog, start};
use crate::exchange::{Request, Response};
use crate::host::Host;
use crate::worker::Engine;

/// What a wish does in the worker that this process is.
type Grant = Arc<dyn Fn(u32, Option<(&mut Request, &mut Response)>) + Send + Sync>;

static GRANT: Mutex<Option<Grant>> = Mutex::new(None);

/// Has the request that the calling thread serves end in at most `seconds` from now (`uwsgi.set_user_harakiri`); 0 takes
/// that back. `halves` are the request's own, for the answer when its time is up. Of no effect outside of a request.
pub fn set_user_harakiri(seconds: u32, halves: Option<(&mut Request, &mut Response)>) {
    // The lock is not held meanwhile: the first wish calls Python, which may let others with wishes run.
    let grant = GRANT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(grant) = grant {
        grant(seconds, halves);
    }
}

/// Watches this process's requests, from now on with `harakiri`, else from the first wish on.
pub(in crate::worker) fn attend<H: Host>(watchdog: Watchdog<H>) {
    let engine = Arc::clone(&watchdog.engine);
    let unstarted = match engine.harakiri.rules.limit {
        Some(_) => {
            start(watchdog);
            None
        }
        None => Some(watchdog),
    };
    let unstarted = Mutex::new(unstarted);
    let grant: Grant = Arc::new(move |seconds, halves| {
        let unstarted = unstarted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(watchdog) = unstarted {
            start(watchdog);
        }
        engine.wish(seconds, halves);
    });
    *GRANT.lock().unwrap_or_else(PoisonError::into_inner) = Some(grant);
}

/// No wishes any more.
pub(in crate::worker) fn dismiss() {
    GRANT.lock().unwrap_or_else(PoisonError::into_inner).take();
}

impl<H> Engine<H> {
    fn wish(&self, seconds: u32, halves: Option<(&mut Request, &mut Response)>) {
        let core = crate::worker::core();
        let harakiri = &self.harakiri;
        let Some(flight) = harakiri.flights.get(core) else {
            return;
        };
        if let Some((request, response)) = halves
            && request.ticket.is_none()
        {
            harakiri.board(core, request, response, response.rules());
        }
        if !flight.is_of(uwgate_sys::thread::current()) {
            return;
        }
        let at = match seconds {
            0 => 0,
            _ => (coarse_now() + Duration::from_secs(seconds.into())).0,
        };
        flight.wish.store(at, Ordering::Relaxed);
        self.note_wish(at);
        if let Some(thread) = harakiri.watchdog.get() {
            thread.unpark();
        }
    }
}
