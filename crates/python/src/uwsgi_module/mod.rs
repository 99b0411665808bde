//! The module `uwsgi` that applications import, and `uwsgidecorators` for those without uWSGI's own.
//!
//! Its functions are methods of a few objects, one for each subject; all of them share an [`Instance`]. The module is
//! in `sys.modules` before any code of the user runs, in the zygote too.

mod absent;
mod attributes;
mod decorators;
mod hooks;
mod instance;
mod locks;
mod process;
mod request;
mod workers;

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyModule, PyString, PyTuple};
use uwgate_server::inherit::Inherited;

pub(crate) use self::hooks::Hooks;
pub(crate) use self::instance::Instance;
pub(crate) use self::request::{HOLDERS, serve_with};

/// The module, for those in this crate that call back into it.
pub(crate) struct Uwsgi {
    module: Py<PyModule>,
    /// What its functions know.
    pub(crate) instance: Arc<Instance>,
    hooks: Py<Hooks>,
}

impl Uwsgi {
    /// Makes the module and lets everybody import it.
    pub(crate) fn install(py: Python<'_>, inherited: &Inherited) -> PyResult<Self> {
        let instance = Arc::new(Instance::new(inherited));
        let hooks = Bound::new(py, Hooks::default())?;
        let module = hooks::module_type(&hooks)?
            .call1(("uwsgi",))?
            .cast_into::<PyModule>()?;
        attributes::add(&module, &instance)?;
        add_methods(&module, process::Process(Arc::clone(&instance)))?;
        add_methods(&module, workers::Workers(Arc::clone(&instance)))?;
        add_methods(&module, request::Current(Arc::clone(&instance)))?;
        add_methods(&module, locks::Locks::new(&instance))?;
        module.add("__getattr__", absent::getattr(py)?)?;
        // Which the additions have made, and uWSGI's module has not.
        module.delattr("__all__")?;
        let modules = py.import("sys")?.getattr("modules")?;
        modules.set_item("uwsgi", &module)?;
        decorators::offer(py)?;
        Ok(Self {
            module: module.unbind(),
            instance,
            hooks: hooks.unbind(),
        })
    }

    /// What runs after each request, if the application has set it.
    pub(crate) fn hooks(&self) -> &Hooks {
        self.hooks.get()
    }

    /// Runs `uwsgi.post_fork_hook()` in a new worker.
    pub(crate) fn run_post_fork_hook(&self, py: Python<'_>) {
        hooks::run(self.module.bind(py), "post_fork_hook");
    }

    /// Runs `uwsgi.atexit()` in a worker that ends.
    pub(crate) fn run_atexit(&self, py: Python<'_>) {
        hooks::run(self.module.bind(py), "atexit");
    }
}

/// Makes every public method of an object a function of the module.
fn add_methods<T>(
    module: &Bound<'_, PyModule>,
    object: impl Into<PyClassInitializer<T>>,
) -> PyResult<()>
where
    T: pyo3::PyClass<BaseType = PyAny>,
{
    let object = Bound::new(module.py(), object)?.into_any();
    for name in object.dir()? {
        let name = name.cast_into::<PyString>()?;
        if !name.to_str()?.starts_with('_') {
            module.add(&name, object.getattr(&name)?)?;
        }
    }
    Ok(())
}

/// A function of the module that is not a method.
fn function<'py, F>(
    py: Python<'py>,
    name: &'static std::ffi::CStr,
    act: F,
) -> PyResult<Bound<'py, PyCFunction>>
where
    F: Fn(&Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
{
    let act = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| act(args);
    PyCFunction::new_closure(py, Some(name), None, act)
}

/// uWSGI takes text and bytes for most of what is not a number.
fn text_or_bytes(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
        Err(_) => Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "a bytes-like object is required, not '{}'",
            value.get_type().name()?
        ))),
    }
}
