//! Functions about this process, its log and its instance.

use std::sync::Arc;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use uwgate_sys::clock;
use uwgate_sys::process::{self, Pid, Signal};

use super::Instance;

/// See the module's page, docs/python-api.md.
#[pyclass(name = "Process", module = "uwsgi", frozen)]
pub(super) struct Process(pub(super) Arc<Instance>);

#[pymethods]
impl Process {
    /// The worker's number, from 1; 0 while the application is loaded before the fork.
    fn worker_id(&self) -> u32 {
        self.0.worker()
    }

    /// There are no mules.
    fn mule_id(&self) -> u32 {
        0
    }

    /// None, as there are no spoolers.
    fn i_am_the_spooler(&self) {}

    /// None, as there are no farms.
    #[pyo3(signature = (_name = None))]
    fn in_farm(&self, _name: Option<&str>) {}

    /// The master's process id; 0 without one.
    fn masterpid(&self) -> i32 {
        self.0.master.map_or(0, Pid::as_raw)
    }

    /// Resident memory and address space of this process in bytes.
    fn mem(&self) -> PyResult<(u64, u64)> {
        let memory = process::memory(process::this())?;
        Ok((memory.rss, memory.vsz))
    }

    /// Asks for a reload of the instance.
    fn reload(&self) -> PyResult<bool> {
        process::kill(self.0.in_charge(), Signal::HUP)?;
        Ok(true)
    }

    /// Asks the instance to stop: running requests are finished, this one too.
    fn stop(&self) -> PyResult<bool> {
        process::kill(self.0.in_charge(), Signal::TERM)?;
        Ok(true)
    }

    /// Writes a line to the log.
    fn log(&self, message: &str) -> bool {
        uwgate_server::log::write_as_server(message);
        true
    }

    /// Bytes of the log file; 0 when the log is not a file.
    fn logsize(&self) -> u64 {
        let standard_error = std::io::stderr();
        let stat = rustix::fs::fstat(&standard_error);
        let file = stat
            .ok()
            .filter(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
        file.and_then(|stat| u64::try_from(stat.st_size).ok())
            .unwrap_or(0)
    }

    /// Microseconds since 1970.
    fn micros(&self) -> u64 {
        clock::realtime_micros()
    }

    /// Names the process in `ps` and `top`.
    fn setprocname(&self, name: &str) -> PyResult<()> {
        Ok(process::set_title(name)?)
    }

    /// Says whether this worker takes requests. The statistics show it; it changes nothing else.
    #[pyo3(signature = (accepting = true))]
    fn accepting(&self, accepting: bool) {
        if let Some(row) = self.0.row() {
            self.0.scoreboard.set_declining(row, !accepting);
        }
    }

    /// True once this process is a worker.
    fn ready(&self) -> Option<bool> {
        self.0.row().map(|_| true)
    }

    /// -1: nobody is told through a descriptor.
    fn ready_fd(&self) -> i32 {
        -1
    }

    /// Connections that wait to be accepted on a listening socket.
    #[pyo3(signature = (socket = 0))]
    fn listen_queue(&self, socket: i64) -> PyResult<u32> {
        let unknown = || PyValueError::new_err(format!("unable to find socket {socket}"));
        let index = usize::try_from(socket).map_err(|_| unknown())?;
        let fd = *self.0.sockets.get(index).ok_or_else(unknown)?;
        // SAFETY: a number for the length of the call only. When the worker leaves, its sockets are closed and the
        // number may be nobody's or somebody else's; then the kernel says so, or how long their queue is.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        let queue = uwgate_sys::listener::queue(fd)
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(queue.map_or(0, |queue| queue.waiting))
    }
}
