//! What the application may put into the module for the server to call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyType};

use crate::errors;

/// `after_req_hook`, which is a property of the module: looking for it in every request would cost every request.
#[pyclass(name = "Hooks", module = "uwsgi", frozen)]
#[derive(Default)]
pub(crate) struct Hooks {
    is_set: AtomicBool,
    after_request: Mutex<Option<Py<PyAny>>>,
}

#[pymethods]
impl Hooks {
    fn read(&self, py: Python<'_>, _module: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let hook = self.after_request().as_ref().map(|it| it.clone_ref(py));
        hook.ok_or_else(|| PyAttributeError::new_err("after_req_hook is not set"))
    }

    fn write(&self, _module: &Bound<'_, PyAny>, hook: Py<PyAny>) {
        let _former = self.after_request().replace(hook);
        self.is_set.store(true, Ordering::Relaxed);
    }

    fn delete(&self, _module: &Bound<'_, PyAny>) {
        self.is_set.store(false, Ordering::Relaxed);
        let _former = self.after_request().take();
    }
}

impl Hooks {
    /// Whether there is a `uwsgi.after_req_hook`.
    pub(crate) fn has_after_request(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Runs `uwsgi.after_req_hook()` if there is one.
    pub(crate) fn run_after_request(&self, py: Python<'_>) {
        if !self.has_after_request() {
            return;
        }
        let hook = self.after_request().as_ref().map(|it| it.clone_ref(py));
        if let Some(hook) = hook
            && let Err(error) = hook.call0(py)
        {
            errors::log_exception(py, &error);
        }
    }

    /// Held for moments only: never while Python runs, which a former hook's end may make it do.
    fn after_request(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.after_request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The type of the module: a module that knows when its hook is set.
pub(super) fn module_type<'py>(hooks: &Bound<'py, Hooks>) -> PyResult<Bound<'py, PyAny>> {
    let py = hooks.py();
    let accessors = (
        hooks.getattr("read")?,
        hooks.getattr("write")?,
        hooks.getattr("delete")?,
    );
    let members = PyDict::new(py);
    let property = py.import("builtins")?.getattr("property")?;
    members.set_item("after_req_hook", property.call1(accessors)?)?;
    members.set_item("__module__", "uwsgi")?;
    py.get_type::<PyType>()
        .call1(("module", (py.get_type::<PyModule>(),), members))
}

/// Calls a function that the application may have put into the module.
pub(super) fn run(module: &Bound<'_, PyModule>, name: &str) {
    let Ok(Some(hook)) = module.dict().get_item(name) else {
        return;
    };
    if let Err(error) = hook.call0() {
        errors::log_exception(module.py(), &error);
    }
}
