//! Functions about the request that the calling thread serves. Outside of a request they do nothing.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{PollFd, PollFlags, Timespec};
use uwgate_server::exchange::{Request, Response};

use super::{Instance, text_or_bytes};
use crate::input::Input;
use crate::responder::Responder;

thread_local! {
    /// What this thread serves with, request after request.
    static SERVING: RefCell<Option<(Py<Input>, Py<Responder>)>> = const { RefCell::new(None) };
}

/// How many references to what a thread serves with are kept here, besides the server's own.
pub(crate) const HOLDERS: isize = 1;

/// Says what this thread serves with from now on, so that a request itself needs to say nothing.
pub(crate) fn serve_with(py: Python<'_>, input: &Py<Input>, responder: &Py<Responder>) {
    SERVING.set(Some((input.clone_ref(py), responder.clone_ref(py))));
}

/// Does something with this thread's request, if it has one and no other thread is reading from it.
fn with_request<T>(py: Python<'_>, act: impl FnOnce(&mut Request) -> T) -> Option<T> {
    SERVING.with_borrow(|serving| {
        let (input, _) = serving.as_ref()?;
        let mut input = input.bind(py).try_borrow_mut().ok()?;
        input.current().map(act)
    })
}

/// Does something with both halves of this thread's request, if it has one and nobody is using them.
fn with_halves<T>(
    py: Python<'_>,
    act: impl FnOnce(Option<(&mut Request, &mut Response)>) -> T,
) -> T {
    let serving = SERVING.with_borrow(|serving| {
        let (input, responder) = serving.as_ref()?;
        Some((input.clone_ref(py), responder.clone_ref(py)))
    });
    let borrowed = serving.as_ref().and_then(|(input, responder)| {
        let input = input.bind(py).try_borrow_mut().ok()?;
        Some((input, responder.bind(py).try_borrow_mut().ok()?))
    });
    let Some((mut input, mut responder)) = borrowed else {
        return act(None);
    };
    act(input.current().zip(responder.response().ok()))
}

/// See the module's page, docs/python-api.md.
#[pyclass(name = "Current", module = "uwsgi", frozen)]
pub(super) struct Current(pub(super) Arc<Instance>);

#[pymethods]
impl Current {
    /// The request's CONTENT_LENGTH.
    fn cl(&self, py: Python<'_>) -> u64 {
        let length = with_request(py, |request| {
            let text = request.vars().get(b"CONTENT_LENGTH")?;
            std::str::from_utf8(text).ok()?.trim().parse().ok()
        });
        length.flatten().unwrap_or(0)
    }

    /// The descriptor of the connection; -1 outside of a request.
    fn connection_fd(&self, py: Python<'_>) -> i32 {
        with_request(py, |request| request.socket().as_raw_fd()).unwrap_or(-1)
    }

    /// Whether the other side of a descriptor is still there.
    fn is_connected(&self, fd: i32) -> bool {
        if fd < 0 {
            return false;
        }
        // SAFETY: a number for the length of the call only, which asks the kernel about it.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
        let at_once = Timespec::default();
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        match rustix::event::poll(&mut polled, Some(&at_once)) {
            Ok(_) => !polled.iter().any(|fd| fd.revents().intersects(gone)),
            Err(_) => false,
        }
    }

    /// Ends the answer for the client; the application goes on.
    fn disconnect(&self, py: Python<'_>) -> PyResult<()> {
        let responder = SERVING.with_borrow(|serving| {
            serving
                .as_ref()
                .map(|(_, responder)| responder.clone_ref(py))
        });
        let Some(responder) = responder else {
            return Ok(());
        };
        let mut responder = responder.bind(py).try_borrow_mut()?;
        let Ok(response) = responder.response() else {
            return Ok(());
        };
        response
            .disconnect()
            .map_err(|error| PyOSError::new_err(format!("write error: {error}")))
    }

    /// Sets a variable for the request's line in the log.
    fn set_logvar(&self, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, name, value) = (name.py(), text_or_bytes(name)?, text_or_bytes(value)?);
        with_request(py, |request| request.notes_mut().set_logvar(&name, &value));
        Ok(())
    }

    /// A variable that was set for the request's line in the log.
    fn get_logvar<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (py, name) = (name.py(), text_or_bytes(name)?);
        let value = with_request(py, |request| {
            let value = request.notes()?.logvar(&name)?;
            Some(PyBytes::new(py, value))
        });
        Ok(value.flatten())
    }

    /// Logs this request even with `disable-logging`.
    fn log_this_request(&self, py: Python<'_>) {
        with_request(py, |request| request.notes_mut().log_anyway = true);
    }

    /// Adds a variable to the request, for those who look at it after the application.
    fn add_var(&self, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (py, name, value) = (name.py(), text_or_bytes(name)?, text_or_bytes(value)?);
        with_request(py, |request| request.notes_mut().add_var(&name, &value));
        Ok(true)
    }

    /// Lets the request take so many seconds from now on; 0 takes that back.
    fn set_user_harakiri(&self, py: Python<'_>, seconds: i64) {
        if self.0.master.is_none() {
            tracing::warn!("!!! unable to set user harakiri without the master process !!!");
            return;
        }
        let seconds = u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
        with_halves(py, |halves| {
            uwgate_server::worker::set_user_harakiri(seconds, halves);
        });
    }
}
