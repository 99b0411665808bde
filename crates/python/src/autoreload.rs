//! `py-autoreload`: a thread of each worker that looks whether the code has changed.

use std::ffi::CStr;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use uwgate_config::Options;

const SOURCE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("autoreload.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => c"",
    };

/// Starts the thread, which calls `changed` with the time of each change after `since` (both since 1970).
pub(crate) fn start(
    py: Python<'_>,
    options: &Options,
    since: Duration,
    changed: impl Fn(Duration) + Send + Sync + 'static,
) -> PyResult<()> {
    let tell = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
        let (name, when): (String, u64) = args.extract()?;
        tracing::info!("[uwsgi-python-reloader] module/file {name} has been modified");
        changed(Duration::from_nanos(when));
        Ok(())
    };
    let control = &options.control;
    let ignored: Vec<&str> = control
        .py_auto_reload_ignore
        .iter()
        .map(|module| module.value.as_str())
        .collect();
    let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    let watch = PyModule::from_code(py, SOURCE, c"autoreload.py", c"uwgate_autoreload")?;
    let thread = PyDict::new(py);
    thread.set_item("target", watch.getattr("watch")?)?;
    thread.set_item("name", "py-autoreload")?;
    thread.set_item("daemon", true)?;
    let tell = PyCFunction::new_closure(py, Some(c"changed"), None, tell)?;
    thread.set_item("args", (control.py_autoreload, ignored, since, tell))?;
    let threading = py.import("threading")?;
    threading
        .call_method("Thread", (), Some(&thread))?
        .call_method0("start")?;
    Ok(())
}
