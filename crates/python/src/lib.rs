//! The WSGI host: an extension module that runs inside the application's own Python.
//!
//! The master executes that Python with a one-line program that imports this module and calls [`run`](fn@run). What
//! follows is `uwgate-server`'s zygote and worker with Python plugged in: [`Nursery`](nursery::PythonNursery) loads
//! applications and forks, [`Host`](host::PythonHost) answers requests.
//!
//! # One request
//! `host` takes it over, `environ` makes the dict, `apps` chooses the application, `responder` is its
//! `start_response`, `input` its `wsgi.input`, `body` sends what it returns.
//!
//! # What the application can ask
//! `uwsgi_module` is what it imports as `uwsgi`; `signals` lets its signal handlers run.
#![deny(unsafe_op_in_unsafe_fn)]

mod afresh;
mod apps;
mod autoreload;
mod body;
mod collector;
mod environ;
mod errors;
mod farewell;
mod file_wrapper;
mod host;
mod input;
mod load;
mod names;
mod nursery;
mod pattern;
mod pools;
mod responder;
mod signals;
mod stacks;
mod streams;
mod uwsgi_module;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use uwgate_server::inherit::Inherited;
use uwgate_server::zygote::{self, End};

/// Serves as the zygote or worker that the master (`word` says what it handed over) wants. `command_line` started the
/// instance. Returns the exit code.
#[pyfunction]
fn run(py: Python<'_>, word: &str, command_line: &str) -> PyResult<i32> {
    uwgate_server::log::init();
    uwgate_server::title::started_as(command_line);
    // The kernel would know us as python3.
    uwgate_sys::process::set_name("uwgate")?;
    let inherited =
        Inherited::take(word).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let nursery = nursery::PythonNursery::new(py, &inherited)?;
    let farewell = nursery.farewell();
    let end = py.detach(|| zygote::run(inherited, nursery));
    if matches!(end, End::Worker | End::Stopped) {
        farewell.run(py);
    }
    // Finalising the interpreter would only give memory back that the kernel takes anyway, and may hang in threads.
    uwgate_sys::process::exit_now(end.code())
}

/// The extension module.
#[pymodule]
fn uwgate_host(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run, module)?)
}
