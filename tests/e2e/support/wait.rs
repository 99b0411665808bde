//! Deadlines in place of sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test calls it broken. Generous: it is only ever waited out
/// by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer, for as long as [`PATIENCE`].
///
/// # Panics
/// When there is none in time, with `what` in the message.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for: {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// [`until`] for a condition.
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}

/// Says that something is over, also when the test fails before: threads that go on until then must not go on for
/// ever.
pub struct Over<'f>(pub &'f std::sync::atomic::AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}
