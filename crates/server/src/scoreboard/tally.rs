//! What each application has done, where there are several: with a single one the cores have counted it already.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many applications are told apart, as in uWSGI (`max-apps`); those beyond are not counted.
pub(crate) const APPS: usize = 64;

uwgate_sys::shared_struct! {
    /// One application in one worker. All threads of a worker and of its successor write it.
    pub struct Tally {
        /// Requests that it has answered.
        pub requests: AtomicU64,
        /// Of those, the ones in which it raised.
        pub exceptions: AtomicU64,
        /// How long it took to load, in seconds: of any application, also of a single one.
        pub startup: AtomicU64,
    }
}

impl Tally {
    pub(crate) fn count(&self, raised: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if raised {
            self.exceptions.fetch_add(1, Ordering::Relaxed);
        }
    }
}
