//! What does not change while the process lives.

use std::os::unix::ffi::OsStringExt;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyModule};

use uwgate_sys::process::Pid;

use super::Instance;

/// The uWSGI whose module this is like: libraries compare it to decide what they may use.
const VERSION: (u32, u32, u32) = (2, 0, 31);

/// True of every process here, whatever the options say; libraries that start threads or clients before the fork
/// look for them and warn when they are missing.
const ALWAYS_ON: [&str; 2] = ["enable-threads", "py-call-uwsgi-fork-hooks"];

/// Adds the attributes.
pub(super) fn add(module: &Bound<'_, PyModule>, instance: &Instance) -> PyResult<()> {
    let py = module.py();
    let (workers, limits) = (&instance.options.workers, &instance.options.limits);
    let (major, minor, patch) = VERSION;
    let bytes = |text: &str| PyBytes::new(py, text.as_bytes());
    module.add("version", bytes(&format!("{major}.{minor}.{patch}")))?;
    module.add("version_info", (major, minor, patch, 0, bytes("")))?;
    module.add("uwgate_version", env!("CARGO_PKG_VERSION"))?;
    module.add("hostname", bytes(&uwgate_server::listen::host_name()))?;
    module.add("numproc", workers.processes)?;
    module.add("cores", workers.threads.max(1))?;
    module.add("has_threads", 1)?;
    module.add("buffer_size", limits.buffer_size)?;
    module.add("started_on", instance.started_on)?;
    module.add("is_a_reload", reloads() > 0)?;
    module.add("sockets", instance.sockets.clone())?;
    for name in ["loop", "unbit", "applications"] {
        module.add(name, py.None())?;
    }
    for (name, value) in [("SPOOL_RETRY", -1), ("SPOOL_OK", -2), ("SPOOL_IGNORE", 0)] {
        module.add(name, value)?;
    }
    let opt = opt(py, instance)?;
    for name in ["pidfile", "mode"] {
        if let Some(value) = opt.get_item(name)? {
            module.add(name, value)?;
        }
    }
    module.add("opt", opt)?;
    module.add("magic_table", magic_table(py, instance)?)
}

/// The options as they were written, flags of the command line as True; of repeated ones the last.
fn opt<'py>(py: Python<'py>, instance: &Instance) -> PyResult<Bound<'py, PyDict>> {
    let opt = PyDict::new(py);
    for name in ALWAYS_ON {
        opt.set_item(name, true)?;
    }
    for entry in &instance.entries {
        match &entry.value {
            Some(value) => opt.set_item(&entry.key, PyBytes::new(py, value.as_bytes()))?,
            None => opt.set_item(&entry.key, true)?,
        }
    }
    Ok(opt)
}

/// The variables that stand for something in configuration files, by their letters.
fn magic_table<'py>(py: Python<'py>, instance: &Instance) -> PyResult<Bound<'py, PyDict>> {
    let table = PyDict::new(py);
    for (letter, value) in uwgate_config::magic_table(&instance.entries) {
        let letter = PyBytes::new(py, &[letter]);
        table.set_item(letter, PyBytes::new(py, value.as_bytes()))?;
    }
    // What runs here is Python; the server is the master.
    if let Some(Ok(path)) = instance.master.map(binary) {
        table.set_item(PyBytes::new(py, b"b"), PyBytes::new(py, &path))?;
    }
    Ok(table)
}

/// The file that a process runs.
fn binary(pid: Pid) -> std::io::Result<Vec<u8>> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe"))?;
    Ok(path.into_os_string().into_vec())
}

/// How often the instance was reloaded; the master tells.
fn reloads() -> u64 {
    let reloads = std::env::var("UWSGI_RELOADS").unwrap_or_default();
    reloads.parse().unwrap_or(0)
}
