//! Where threads are, told by signal handlers that need no lock of the interpreter.

use std::os::fd::{AsRawFd, BorrowedFd};

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Has `faulthandler` write stacks to `file`: on signal `you` that of the thread that gets it, on `all` those of all
/// threads.
pub(crate) fn write_on(py: Python<'_>, you: i32, all: i32, file: BorrowedFd<'_>) -> PyResult<()> {
    let register = py.import("faulthandler")?.getattr("register")?;
    for (signal, all_threads) in [(you, false), (all, true)] {
        let options = PyDict::new(py);
        options.set_item("file", file.as_raw_fd())?;
        options.set_item("all_threads", all_threads)?;
        register.call((signal,), Some(&options))?;
    }
    Ok(())
}
