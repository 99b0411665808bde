//! With several threads: who watches the sockets while this thread is in the application?
//!
//! tokio's workers take turns at epoll. One that wakes up with a single task runs it without waking anybody else,
//! which is right for tasks that do not block. Ours do: until the application returned, nobody would look for new
//! connections. So a thread that has slept since it last did so wakes another one first.

use std::cell::Cell;

thread_local! {
    /// This thread has slept, perhaps as the one that watched the sockets.
    static WOKEN: Cell<bool> = const { Cell::new(true) };
}

/// Called by the runtime when the current thread stops sleeping.
pub(super) fn woken() {
    WOKEN.set(true);
}

/// Sees to it that another thread watches the sockets. To be called before the application is, inside a runtime with
/// several threads.
///
/// A first task goes to the slot that only this thread serves. The second one pushes it out to where others may take
/// it, together with whatever stood there, and for that the runtime wakes a sleeper.
pub(super) fn let_another_watch() {
    if WOKEN.replace(false) {
        tokio::spawn(async {});
        tokio::spawn(async {});
    }
}
