//! With several threads: who watches the sockets while this thread is in the application?
//!
//! tokio's workers take turns at epoll. One that wakes up with a single task runs it without waking anybody else,
//! which is right for tasks that do not block. Ours do: until the application returned, nobody would look for new
//! connections. So a thread that has slept since it last did so wakes another one first.

use std::cell::Cell;
use std::task::Poll;

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

/// Lets the other tasks have their turn first.
///
/// A task that uses tokio's `yield_now` is kept by its thread until that thread next looks at the sockets, and nobody
/// else may take it: it would wait for the whole of a request that its thread begins meanwhile. One that wakes itself
/// stands where every thread may take it. With one thread there is nobody else, and the sockets come first.
pub(super) async fn step_back(threads: usize) {
    if threads == 1 {
        return tokio::task::yield_now().await;
    }
    let mut stepped = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
