//! What goes wrong in Python, for the log.

use pyo3::prelude::*;

/// Writes an exception and its traceback to the log.
pub(crate) fn log_exception(py: Python<'_>, error: &PyErr) {
    let mut text = render(py, error).into_bytes();
    while text.last() == Some(&b'\n') {
        text.pop();
    }
    uwgate_server::log::write_line(&mut text);
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
