use std::io;
use std::mem::MaybeUninit;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use uwgate_server::exchange::Request;

/// A read of unknown length grows its buffer in steps of this size.
const STEP: usize = 1024 * 1024;

/// A read of up to so many bytes has memory for all of them from the beginning: the kernel provides it as they come.
const AT_ONCE: usize = 16 * STEP;

/// `wsgi.input`: the request's body (PEP 3333, "Input and Error Streams").
///
/// At the end of the body every read gives `b""`. After the request it is closed: reads raise ValueError.
#[pyclass(name = "_Input", module = "uwsgi")]
pub(crate) struct Input {
    request: Option<Box<Request>>,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { request: None }
    }

    pub(crate) fn open(&mut self, request: Box<Request>) {
        self.request = Some(request);
    }

    pub(crate) fn close(&mut self) -> Option<Box<Request>> {
        self.request.take()
    }

    /// The request, during it.
    pub(crate) fn current(&mut self) -> Option<&mut Request> {
        self.request.as_deref_mut()
    }

    fn request(&mut self) -> PyResult<&mut Request> {
        let closed = || PyValueError::new_err("I/O operation on wsgi.input after its request");
        self.request.as_deref_mut().ok_or_else(closed)
    }
}

#[pymethods]
impl Input {
    /// The next `size` bytes, or all that are left.
    #[pyo3(signature = (size = None))]
    fn read<'py>(&mut self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let request = self.request()?;
        if request.is_done() {
            return Ok(PyBytes::new(py, b""));
        }
        let wanted = size.and_then(|size| usize::try_from(size).ok());
        match request.left().and_then(|left| usize::try_from(left).ok()) {
            Some(left) if wanted.unwrap_or(left).min(left) <= AT_ONCE => {
                read_at_once(py, request, wanted.unwrap_or(left).min(left))
            }
            _ => read_in_steps(py, request, wanted),
        }
    }

    /// The next line with its newline, or as much of it as `size` allows.
    #[pyo3(signature = (size = None))]
    fn readline<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<isize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let limit = size.and_then(|size| usize::try_from(size).ok());
        let line = read_line(self.request()?, limit)?;
        Ok(PyBytes::new(py, &line))
    }

    /// Lines until the end, or until they have `hint` bytes together.
    #[pyo3(signature = (hint = None))]
    fn readlines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Option<isize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let enough = hint
            .and_then(|hint| usize::try_from(hint).ok())
            .filter(|&hint| hint > 0);
        let request = self.request()?;
        let lines = PyList::empty(py);
        let mut total = 0;
        loop {
            let line = read_line(request, None)?;
            if line.is_empty() {
                return Ok(lines);
            }
            total += line.len();
            lines.append(PyBytes::new(py, &line))?;
            if enough.is_some_and(|enough| total >= enough) {
                return Ok(lines);
            }
        }
    }

    /// Goes to another place in the body; only with `post-buffering`, which has all of it.
    #[pyo3(signature = (offset, whence = 0))]
    fn seek(&mut self, offset: i64, whence: u8) -> PyResult<u64> {
        let request = self.request()?;
        let (Some(position), Some(len)) = (request.position(), request.spooled_len()) else {
            return Err(not_seekable());
        };
        let base = match whence {
            0 => Some(0),
            1 => Some(position),
            2 => Some(len),
            _ => None,
        };
        let target = base.and_then(|base| base.checked_add_signed(offset));
        let target = target.ok_or_else(|| PyValueError::new_err("no such place in the body"))?;
        request.seek(target);
        Ok(target)
    }

    /// The place in the body; only with `post-buffering`.
    fn tell(&mut self) -> PyResult<u64> {
        self.request()?.position().ok_or_else(not_seekable)
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = read_line(self.request()?, None)?;
        Ok((!line.is_empty()).then(|| PyBytes::new(py, &line)))
    }
}

fn not_seekable() -> PyErr {
    PyOSError::new_err("wsgi.input is seekable only with post-buffering")
}

/// Reads `len` bytes to where they stay. Nothing is zeroed first: that would cost half as much as to receive them.
fn read_at_once<'py>(
    py: Python<'py>,
    request: &mut Request,
    len: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let size = ffi::Py_ssize_t::try_from(len)?;
    // SAFETY: with no bytes to copy it makes an object of this size, whose bytes are not initialised, or raises.
    let bytes = unsafe {
        let new = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
        Bound::from_owned_ptr_or_err(py, new)?.cast_into_unchecked::<PyBytes>()
    };
    // SAFETY: it holds `len` bytes, and nobody else has it: bytes are not to be found through the garbage collector.
    let target = unsafe {
        let first = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<MaybeUninit<u8>>();
        std::slice::from_raw_parts_mut(first, len)
    };
    let read = request
        .read(target)
        .map_err(|error| failed("read", len, &error))?;
    if read == len {
        return Ok(bytes);
    }
    // SAFETY: so many bytes are initialised, as `Request::read` says; nobody sees the others.
    let read = unsafe { std::slice::from_raw_parts(target.as_ptr().cast::<u8>(), read) };
    Ok(PyBytes::new(py, read))
}

/// For chunked bodies, whose length is not known, and for large ones: a length is only a claim until the bytes are
/// there, so memory is taken as they come.
fn read_in_steps<'py>(
    py: Python<'py>,
    request: &mut Request,
    wanted: Option<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut bytes = Vec::new();
    let wanted = wanted.unwrap_or(usize::MAX);
    while bytes.len() < wanted {
        let before = bytes.len();
        let step = STEP.max(before).min(wanted - before);
        let step = match request.left().and_then(|left| usize::try_from(left).ok()) {
            Some(left) => step.min(left),
            None => step,
        };
        bytes.reserve(step);
        let target = bytes
            .spare_capacity_mut()
            .get_mut(..step)
            .unwrap_or_default();
        let len = request
            .read(target)
            .map_err(|error| failed("read", wanted, &error))?;
        // SAFETY: that many bytes of the spare capacity are initialised, as `Request::read` says.
        unsafe { bytes.set_len(before + len) };
        if len < step || step == 0 {
            break;
        }
    }
    Ok(PyBytes::new(py, &bytes))
}

/// A line keeps its newline; only the last one may lack it.
fn read_line(request: &mut Request, limit: Option<usize>) -> PyResult<Vec<u8>> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut line = Vec::new();
    while line.len() < limit {
        let bytes = request
            .fill()
            .map_err(|error| failed("readline", limit, &error))?;
        if bytes.is_empty() {
            break;
        }
        let bytes = bytes.get(..limit - line.len()).unwrap_or(bytes);
        let end = bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|at| at + 1);
        let taken = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        line.extend_from_slice(taken);
        let len = taken.len();
        request.consume(len);
        if end.is_some() {
            break;
        }
    }
    Ok(line)
}

/// uWSGI's words for a body that did not come.
fn failed(method: &str, wanted: usize, error: &io::Error) -> PyErr {
    let wanted = match wanted {
        usize::MAX => String::new(),
        wanted => wanted.to_string(),
    };
    PyOSError::new_err(match error.kind() {
        io::ErrorKind::TimedOut => format!("timeout during {method}({wanted}) on wsgi.input"),
        _ => format!("error during {method}({wanted}) on wsgi.input: {error}"),
    })
}
