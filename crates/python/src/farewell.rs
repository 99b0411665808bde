use std::sync::Arc;

use pyo3::prelude::*;
use uwgate_config::options::Python as PythonOptions;

use crate::errors;
use crate::uwsgi_module::Uwsgi;

/// What runs when a worker ends.
pub(crate) struct Farewell {
    uwsgi: Arc<Uwsgi>,
    /// False with `skip-atexit`.
    hooks: bool,
    /// False also with `skip-atexit-teardown`.
    teardown: bool,
}

impl Farewell {
    pub(crate) fn new(uwsgi: &Arc<Uwsgi>, options: &PythonOptions) -> Self {
        Self {
            uwsgi: Arc::clone(uwsgi),
            hooks: !options.skip_atexit,
            teardown: !options.skip_atexit && !options.skip_atexit_teardown,
        }
    }

    /// Runs `uwsgi.atexit`, and what Python does at the end of a program and the application may have asked for: joins
    /// its threads, runs its `atexit` handlers. Its streams are emptied in any case.
    pub(crate) fn run(&self, py: Python<'_>) {
        if self.hooks {
            self.uwsgi.run_atexit(py);
        }
        if self.teardown {
            call(py, "threading", "_shutdown");
            call(py, "atexit", "_run_exitfuncs");
        }
        for stream in ["stdout", "stderr"] {
            let _ = py
                .import("sys")
                .and_then(|sys| sys.getattr(stream)?.call_method0("flush"));
        }
    }
}

fn call(py: Python<'_>, module: &str, function: &str) {
    let run = py
        .import(module)
        .and_then(|module| module.call_method0(function));
    if let Err(error) = run {
        errors::log_exception(py, &error);
    }
}
