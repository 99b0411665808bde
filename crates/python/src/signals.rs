//! Signal handlers of the application.
//!
//! Python runs them on the process's first thread, when that next executes Python. Here it may be idle for long, or
//! with several threads never execute any; so Python's own alarm bell, its wake-up descriptor, calls it.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors;

/// The descriptor that becomes readable when a signal has come that has a handler in Python; `None` when the
/// application has such a bell of its own. To be called on the first thread.
pub(crate) fn bell(py: Python<'_>) -> PyResult<Option<OwnedFd>> {
    let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
    let (ringing, bell) = rustix::pipe::pipe_with(flags).map_err(std::io::Error::from)?;
    let signal = py.import("signal")?;
    let quietly = PyDict::new(py);
    quietly.set_item("warn_on_full_buffer", false)?;
    let set = |fd: i32| signal.call_method("set_wakeup_fd", (fd,), Some(&quietly));
    let former: i32 = set(bell.as_raw_fd())?.extract()?;
    if former != -1 {
        set(former)?;
        return Ok(None);
    }
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
