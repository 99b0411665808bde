use std::os::fd::{BorrowedFd, OwnedFd};

use crate::exchange::{Request, Response};

/// What runs the application: Python in production, an echo in tests.
///
/// The engine calls [`Host::serve`] inline, on the thread that owns the connection's task, so a host may block; the
/// engine plans for that (one request per thread at a time, nothing else on that thread meanwhile).
pub trait Host: Send + Sync + 'static {
    /// Called on each thread that will call [`Host::serve`], before the first call.
    fn thread_started(&self) {}

    /// Called on the same threads before they end.
    fn thread_stopping(&self) {}

    /// A descriptor that becomes readable when the host has something to do on the process's first thread, apart from
    /// requests (Python runs its signal handlers there); asked for once, on that thread.
    fn attention(&self) -> Option<OwnedFd> {
        None
    }

    /// Called on the first thread when [`Host::attention`] is readable; reads it empty.
    fn attend(&self, _attention: BorrowedFd<'_>) {}

    /// Serves one request from its variables to the last byte of the answer.
    ///
    /// Errors of the application are answered here (a 500, or a cut answer when the head is gone); there is nothing
    /// the engine could do about them.
    fn serve(&self, request: Box<Request>, response: Box<Response>) -> Served;

    /// Installs signal handlers that write stacks to `file` as text, wherever they interrupt a thread and without waiting
    /// for anything: on signal `you` that of the thread itself, on `all` those of all threads. False when this host
    /// cannot.
    fn write_stacks_on(&self, you: i32, all: i32, file: BorrowedFd<'_>) -> bool {
        let _ = (you, all, file);
        false
    }

    /// Asks what the thread with this handle (`pthread_self`) is doing to end as if it were no longer wanted (Python's
    /// SystemExit). May wait for ever.
    fn interrupt(&self, thread: u64) {
        let _ = thread;
    }

    /// Runs `wait`, which will block in the kernel, without holding what other threads of the host need
    /// (Python's GIL). Called only from inside [`Host::serve`], on its thread.
    fn detached(wait: &mut dyn FnMut())
    where
        Self: Sized,
    {
        wait();
    }
}

/// What comes back from [`Host::serve`].
///
/// A half is `None` when the application still uses it (another of its threads is inside a read or a write); the
/// connection cannot be used for anything further then.
pub struct Served {
    /// The reading half.
    pub request: Option<Box<Request>>,
    /// The writing half.
    pub response: Option<Box<Response>>,
    /// Which of the loaded applications answered, for the log; `None` when there was none to ask.
    pub app: Option<u16>,
    /// Whether the application raised.
    pub raised: bool,
    /// It raised something after which the process is to be replaced.
    pub start_afresh: bool,
}
