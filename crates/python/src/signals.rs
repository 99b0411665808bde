//! Signals between the server and the application.
//!
//! The server takes some for itself; processes that the application forks get them back. For all others the
//! application may have handlers: Python runs them on the process's first thread, when that next executes Python. Here
//! it may be idle for long, or with several threads never execute any; so Python's own alarm bell, its wake-up
//! descriptor, calls it.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use uwgate_sys::process::Signal;

use crate::errors;

/// Whoever sends these to a whole process group (a terminal, a service manager) means the master, which decides what
/// becomes of us. Workers listen for themselves.
const TAKEN: [Signal; 8] = [
    Signal::INT,
    Signal::HUP,
    Signal::TERM,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::TSTP,
    Signal::ALARM,
];

/// Python's `signal` without its enumerations: those would cost a small application a fifth of its start, in each
/// worker, and may be replaced by others (gevent's).
const SIGNAL: &str = "_signal";

/// Python's bell in this process; -1 for none.
static BELL: AtomicI32 = AtomicI32::new(-1);

/// Gives the server's signals back to what the application forks (`multiprocessing` ends its children with SIGTERM).
pub(crate) struct Children {
    /// The child that is being forked is a worker.
    is_worker: Arc<AtomicBool>,
}

impl Children {
    /// Takes the server's signals, and looks after children from now on.
    pub(crate) fn look_after(py: Python<'_>) -> PyResult<Self> {
        for signal in TAKEN {
            uwgate_sys::signals::shrug_off(signal);
        }
        let is_worker = Arc::new(AtomicBool::new(false));
        let keep = Arc::clone(&is_worker);
        let name = c_str!("give_signals_back");
        let give_back = PyCFunction::new_closure(py, Some(name), None, move |args, _| match keep
            .load(Ordering::Relaxed)
        {
            true => Ok(()),
            false => give_back(args.py()),
        })?;
        let hooks = PyDict::new(py);
        hooks.set_item("after_in_child", give_back)?;
        py.import("os")?
            .call_method("register_at_fork", (), Some(&hooks))?;
        Ok(Self { is_worker })
    }

    /// Says whether what is forked from now on is a worker.
    pub(crate) fn are_workers(&self, yes: bool) {
        self.is_worker.store(yes, Ordering::Relaxed);
    }
}

/// What Python believes to be in force becomes so: its defaults, or handlers that the application has set.
fn give_back(py: Python<'_>) -> PyResult<()> {
    let module = py.import(SIGNAL)?;
    for signal in TAKEN {
        let number = signal.as_raw();
        let handler = module.call_method1("getsignal", (number,))?;
        if !handler.is_none() {
            module.call_method1("signal", (number, handler))?;
        }
    }
    // A child's signals must not ring here.
    let bell = BELL.swap(-1, Ordering::Relaxed);
    let former: i32 = module.call_method1("set_wakeup_fd", (-1,))?.extract()?;
    if former != -1 && former != bell {
        module.call_method1("set_wakeup_fd", (former,))?;
    }
    Ok(())
}

/// The descriptor that becomes readable when a signal has come that has a handler in Python; `None` when the
/// application has such a bell of its own. To be called on the first thread.
pub(crate) fn bell(py: Python<'_>) -> PyResult<Option<OwnedFd>> {
    let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
    let (ringing, bell) = rustix::pipe::pipe_with(flags).map_err(std::io::Error::from)?;
    let signal = py.import(SIGNAL)?;
    let quietly = PyDict::new(py);
    quietly.set_item("warn_on_full_buffer", false)?;
    let set = |fd: i32| signal.call_method("set_wakeup_fd", (fd,), Some(&quietly));
    let former: i32 = set(bell.as_raw_fd())?.extract()?;
    if former != -1 {
        set(former)?;
        return Ok(None);
    }
    BELL.store(bell.as_raw_fd(), Ordering::Relaxed);
    // Python writes to it for the rest of the process's life.
    std::mem::forget(bell);
    Ok(Some(ringing))
}

/// Runs the handlers of signals that have come. To be called on the first thread.
pub(crate) fn run_handlers(py: Python<'_>, ringing: BorrowedFd<'_>) {
    while matches!(rustix::io::read(ringing, &mut [0_u8; 64]), Ok(1..)) {}
    if let Err(error) = py.check_signals() {
        errors::log_exception(py, &error);
    }
}
