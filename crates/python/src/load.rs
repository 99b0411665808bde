//! Finding applications: from the options to callables.

use std::path::Path;
use std::time::Instant;

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyModule};
use uwgate_config::options::{Mount, Python as PythonOptions};

use crate::apps::Apps;
use crate::errors;
use crate::streams;

/// What a callable is called when nobody says otherwise.
const DEFAULT_CALLABLE: &str = "application";

/// Makes the interpreter look as under uWSGI before any code of the user runs.
pub(crate) fn prepare(py: Python<'_>, options: &PythonOptions) -> PyResult<()> {
    if let Some(dir) = &options.chdir {
        std::env::set_current_dir(&dir.value).map_err(|error| {
            let problem = format!("{}: chdir = {}: {error}", dir.origin, dir.value.display());
            pyo3::exceptions::PyOSError::new_err(problem)
        })?;
    }
    let sys = py.import("sys")?;
    sys.setattr("argv", ["uwsgi"])?;
    streams::install(py)?;
    let path = sys.getattr("path")?.cast_into::<PyList>()?;
    set_path(py, &path, options)
}

/// `.` first, then `pythonpath` in its order, then what the interpreter brings.
fn set_path(py: Python<'_>, path: &Bound<'_, PyList>, options: &PythonOptions) -> PyResult<()> {
    // `python -c` puts an empty entry, the working directory, in front.
    if path
        .get_item(0)
        .is_ok_and(|first| first.extract::<&str>().is_ok_and(str::is_empty))
    {
        path.del_item(0)?;
    }
    path.insert(0, ".")?;
    let mut at = 1;
    for entry in &options.pythonpath {
        for dir in expand(py, &entry.value)? {
            path.insert(at, dir)?;
            at += 1;
        }
    }
    Ok(())
}

/// A pattern stands for what it matches; anything else for itself.
fn expand(py: Python<'_>, dir: &Path) -> PyResult<Vec<String>> {
    let text = dir.to_string_lossy().into_owned();
    if !text.contains(['*', '?', '[']) {
        return Ok(vec![text]);
    }
    let found: Vec<String> = py
        .import("glob")?
        .call_method1("glob", (&text,))?
        .extract()?;
    Ok(if found.is_empty() { vec![text] } else { found })
}

/// Loads every application the options name. What fails is logged with its traceback, and the rest is loaded all the
/// same: whether that is enough is for `need-app` to say.
pub(crate) fn all(py: Python<'_>, options: &PythonOptions, apps: &mut Apps) {
    for module in options.shared_import.iter().chain(&options.import) {
        if let Err(error) = py.import(module.value.as_str()) {
            errors::log_exception(py, &error);
            tracing::error!("{}: unable to import {}", module.origin, module.value);
        }
    }
    let callable = options.callable.as_ref().map(|name| name.value.as_str());
    if let Some(module) = &options.module {
        load(py, apps, "", &module.origin, || {
            from_module(py, &module.value, callable)
        });
    }
    if let Some(file) = &options.wsgi_file {
        load(py, apps, "", &file.origin, || {
            from_file(py, &file.value, callable)
        });
    }
    for mount in &options.mount {
        let Mount { mountpoint, app } = &mount.value;
        load(py, apps, mountpoint, &mount.origin, || {
            from_target(py, app, callable)
        });
    }
    if apps.count() == 0 {
        tracing::error!("*** no app loaded. going in full dynamic mode ***");
    }
    if let Some(dir) = &options.chdir2
        && let Err(error) = std::env::set_current_dir(&dir.value)
    {
        tracing::error!("{}: chdir2 = {}: {error}", dir.origin, dir.value.display());
    }
}

fn load<'py>(
    py: Python<'py>,
    apps: &mut Apps,
    mountpoint: &str,
    origin: &uwgate_config::Origin,
    find: impl FnOnce() -> PyResult<Found<'py>>,
) {
    let begun = Instant::now();
    let found = find().and_then(|found| found.into_apps(mountpoint));
    match found {
        Ok(found) => {
            for (mountpoint, callable) in found {
                let seconds = begun.elapsed().as_secs();
                let id = apps.add(&mountpoint, callable.unbind(), seconds);
                tracing::info!(
                    "WSGI app {id} (mountpoint='{mountpoint}') ready in {} seconds on interpreter {:#x} pid: {}{}",
                    seconds,
                    interpreter(),
                    std::process::id(),
                    if id == 0 { " (default app)" } else { "" }
                );
            }
        }
        Err(error) => {
            errors::log_exception(py, &error);
            tracing::error!(
                "{origin}: unable to load app {} (mountpoint='{mountpoint}') (callable not found or import error)",
                apps.count()
            );
        }
    }
}

pub(crate) fn interpreter() -> usize {
    // SAFETY: the thread is attached: `load` was given its proof.
    unsafe { pyo3::ffi::PyInterpreterState_Get() as usize }
}

/// One application, or a dict from mountpoints to applications.
struct Found<'py>(Bound<'py, PyAny>);

impl<'py> Found<'py> {
    fn into_apps(self, mountpoint: &str) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
        if let Ok(many) = self.0.cast::<PyDict>() {
            let apps = many
                .iter()
                .map(|(mountpoint, app)| Ok((mountpoint.extract()?, app)));
            return apps.collect();
        }
        if !self.0.is_callable() {
            let what = self.0.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "the application is not callable but of type {what}"
            )));
        }
        Ok(vec![(mountpoint.to_owned(), self.0)])
    }
}

/// `pkg.mod`, `pkg.mod:name` or `pkg.mod:factory()`.
fn from_module<'py>(py: Python<'py>, target: &str, callable: Option<&str>) -> PyResult<Found<'py>> {
    let (module, name) = match target.split_once(':') {
        Some((module, name)) => (module, Some(name)),
        None => (target, None),
    };
    let module = py.import(module)?;
    from_namespace(&module, name.or(callable))
}

/// A file that is run as a module of its own, whatever its suffix.
fn from_file<'py>(py: Python<'py>, file: &Path, callable: Option<&str>) -> PyResult<Found<'py>> {
    let source = std::fs::read(file).map_err(|error| {
        pyo3::exceptions::PyOSError::new_err(format!("{}: {error}", file.display()))
    })?;
    let path = file.to_string_lossy();
    let name: String = path
        .strip_suffix(".py")
        .unwrap_or(&path)
        .chars()
        .map(|letter| {
            if matches!(letter, '/' | '.') {
                '_'
            } else {
                letter
            }
        })
        .collect();
    let globals = PyDict::new(py);
    globals.set_item("source", pyo3::types::PyBytes::new(py, &source))?;
    globals.set_item("path", path.as_ref())?;
    globals.set_item("name", format!("uwsgi_file_{name}"))?;
    py.run(RUN_FILE, Some(&globals), None)?;
    let module = globals
        .get_item("module")?
        .ok_or_else(|| PyAttributeError::new_err("the file was not run"))?;
    from_namespace(&module.cast_into::<PyModule>()?, callable)
}

/// As an import would do it: the module is known while it runs, and forgotten if that fails.
const RUN_FILE: &std::ffi::CStr = c_str!(
    r#"
import sys, types
module = types.ModuleType(name)
module.__file__ = path
sys.modules[name] = module
try:
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
except BaseException:
    del sys.modules[name]
    raise
"#
);

/// The target of a mount: a file, or a module.
fn from_target<'py>(py: Python<'py>, target: &str, callable: Option<&str>) -> PyResult<Found<'py>> {
    match Path::new(target)
        .extension()
        .and_then(|suffix| suffix.to_str())
    {
        Some("py" | "wsgi") => from_file(py, Path::new(target), callable),
        _ => from_module(py, target, callable),
    }
}

/// The callable in a module: by name, by calling a factory, or a dict of them that the module calls `applications`.
fn from_namespace<'py>(module: &Bound<'py, PyModule>, name: Option<&str>) -> PyResult<Found<'py>> {
    if name.is_none()
        && let Ok(many) = module.getattr("applications")
        && many.is_instance_of::<PyDict>()
    {
        return Ok(Found(many));
    }
    let name = name.unwrap_or(DEFAULT_CALLABLE);
    match name.strip_suffix("()") {
        Some(factory) => Ok(Found(attribute(module, factory)?.call0()?)),
        None => attribute(module, name).map(Found),
    }
}

fn attribute<'py>(module: &Bound<'py, PyModule>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    let mut found = module.clone().into_any();
    for name in path.split('.') {
        found = found.getattr(name)?;
    }
    Ok(found)
}
