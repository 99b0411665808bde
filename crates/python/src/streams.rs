//! `sys.stdout` and `sys.stderr` that keep lines whole: each thread puts its own together, and they leave in one piece
//! through the server's log.
//!
//! What Python puts there flushes at a newline whatever has been gathered, so that two threads which `print` at the
//! same time get each other's halves.

use std::cell::RefCell;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use uwgate_server::log::{Stream, write_printed};

/// What a thread may gather without a newline.
const LONGEST: usize = 1024 * 1024;

/// The binary stream below the text stream, `sys.stdout.buffer`.
#[pyclass(module = "uwsgi", name = "LineStream", frozen)]
pub(crate) struct LineStream {
    stream: Stream,
    /// The stream that Python had there.
    original: Py<PyAny>,
}

#[derive(Default)]
struct Begun {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Begun {
    fn of(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// A thread that ends has said all it wanted.
impl Drop for Begun {
    fn drop(&mut self) {
        write_printed(Stream::Stdout, &self.stdout);
        write_printed(Stream::Stderr, &self.stderr);
    }
}

thread_local! {
    /// What this thread has begun to print.
    static BEGUN: RefCell<Begun> = RefCell::default();
}

impl LineStream {
    /// The number of its descriptor.
    fn number(&self) -> i32 {
        match self.stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        }
    }

    /// What was begun, and the whole lines that `text` adds to it; the rest is begun anew.
    fn gather(&self, text: &[u8]) -> Vec<u8> {
        let gathered = BEGUN.try_with(|begun| {
            let mut begun = begun.borrow_mut();
            let begun = begun.of(self.stream);
            let end = text.iter().rposition(|byte| *byte == b'\n');
            let end = end.map_or(0, |newline| newline + 1);
            let (lines, rest) = text.split_at(end);
            begun.extend_from_slice(lines);
            if end == 0 && begun.len() + rest.len() <= LONGEST {
                begun.extend_from_slice(rest);
                return Vec::new();
            }
            std::mem::replace(begun, rest.to_vec())
        });
        // The thread is at its end.
        gathered.unwrap_or_else(|_| text.to_vec())
    }

    fn has_begun(&self) -> bool {
        BEGUN
            .try_with(|begun| !begun.borrow_mut().of(self.stream).is_empty())
            .unwrap_or(false)
    }

    fn put(&self, py: Python<'_>, text: &[u8]) {
        let stream = self.stream;
        // A full pipe must not stop the other threads.
        py.detach(|| write_printed(stream, text));
    }
}

#[pymethods]
impl LineStream {
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let copied;
        let bytes = match data.cast::<PyBytes>() {
            Ok(bytes) => bytes,
            Err(_) => {
                let view = py.import("builtins")?.call_method1("memoryview", (data,))?;
                copied = view.call_method0("tobytes")?;
                copied.cast::<PyBytes>()?
            }
        };
        let text = bytes.as_bytes();
        if text.ends_with(b"\n") && !self.has_begun() {
            self.put(py, text);
        } else {
            self.put(py, &self.gather(text));
        }
        Ok(text.len())
    }

    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(py, &line?)?;
        }
        Ok(())
    }

    fn flush(&self, py: Python<'_>) {
        let begun = BEGUN.try_with(|begun| std::mem::take(begun.borrow_mut().of(self.stream)));
        self.put(py, &begun.unwrap_or_default());
    }

    /// The descriptor stays open: the server needs it.
    fn close(&self, py: Python<'_>) {
        self.flush(py);
    }

    fn fileno(&self) -> i32 {
        self.number()
    }

    fn isatty(&self, py: Python<'_>) -> PyResult<bool> {
        py.import("os")?
            .call_method1("isatty", (self.number(),))?
            .extract()
    }

    fn readable(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn seekable(&self) -> bool {
        false
    }

    fn detach(&self) -> PyResult<()> {
        Err(PyValueError::new_err(
            "this stream has nothing below it that could be detached",
        ))
    }

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    #[getter]
    fn mode(&self) -> &str {
        "wb"
    }

    #[getter]
    fn name(&self) -> &str {
        match self.stream {
            Stream::Stdout => "<stdout>",
            Stream::Stderr => "<stderr>",
        }
    }

    /// The unbuffered stream that Python had there.
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let buffer = self.original.bind(py).getattr("buffer")?;
        Ok(buffer.getattr_opt("raw")?.unwrap_or(buffer))
    }
}

/// Puts whole-line streams in the place of Python's.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let io = py.import("io")?;
    io.getattr("BufferedIOBase")?
        .call_method1("register", (py.get_type::<LineStream>(),))?;
    let sys = py.import("sys")?;
    for (name, stream) in [("stdout", Stream::Stdout), ("stderr", Stream::Stderr)] {
        let original = sys.getattr(name)?;
        if original.is_none() {
            continue;
        }
        let errors: String = original.getattr("errors")?.extract()?;
        let encoding: String = original.getattr("encoding")?.extract()?;
        let text = text_stream(py, stream, &original, &encoding, &errors)?;
        sys.setattr(name, &text)?;
        sys.setattr(format!("__{name}__"), &text)?;
    }
    Ok(())
}

/// `wsgi.errors`: as `sys.stderr`, for any text.
pub(crate) fn error_stream(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let original = py.import("sys")?.getattr("__stderr__")?;
    text_stream(py, Stream::Stderr, &original, "utf-8", "backslashreplace")
}

fn text_stream<'py>(
    py: Python<'py>,
    stream: Stream,
    original: &Bound<'py, PyAny>,
    encoding: &str,
    errors: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let lines = LineStream {
        stream,
        original: original.clone().unbind(),
    };
    let options = PyDict::new(py);
    options.set_item("encoding", encoding)?;
    options.set_item("errors", errors)?;
    options.set_item("write_through", true)?;
    let text =
        py.import("io")?
            .call_method("TextIOWrapper", (Bound::new(py, lines)?,), Some(&options))?;
    text.setattr(intern!(py, "mode"), "w")?;
    Ok(text)
}
