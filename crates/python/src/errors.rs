//! What goes wrong in Python, for the log.

use pyo3::prelude::*;
use uwgate_server::log::Stream;

/// Writes an exception and its traceback to the log.
pub(crate) fn log_exception(py: Python<'_>, error: &PyErr) {
    let mut text = render(py, error).into_bytes();
    if text.last() != Some(&b'\n') {
        text.push(b'\n');
    }
    uwgate_server::log::write_printed(Stream::Stderr, &text);
}

/// The traceback as Python prints it.
pub(crate) fn render(py: Python<'_>, error: &PyErr) -> String {
    let format = || -> PyResult<String> {
        let lines = py.import("traceback")?.call_method1(
            "format_exception",
            (error.get_type(py), error.value(py), error.traceback(py)),
        )?;
        let lines: Vec<String> = lines.extract()?;
        Ok(lines.concat())
    };
    format().unwrap_or_else(|_| error.to_string())
}
