use std::io;
use std::sync::Arc;
use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;
use uwgate_config::Options;
use uwgate_server::inherit::Inherited;
use uwgate_server::scoreboard::Row;
use uwgate_server::zygote::Nursery;
use uwgate_sys::process::Fork;

use crate::apps::Apps;
use crate::autoreload;
use crate::collector::Collector;
use crate::errors;
use crate::farewell::Farewell;
use crate::host::PythonHost;
use crate::load;
use crate::pools;
use crate::signals::Children;
use crate::uwsgi_module::Uwsgi;

/// Loads the applications and forks with Python's hooks around it.
pub(crate) struct PythonNursery {
    options: Arc<Options>,
    apps: Apps,
    /// Code that was written later is not what is loaded here.
    since: Duration,
    uwsgi: Arc<Uwsgi>,
    children: Children,
    /// Workers will be forked from what is loaded here.
    is_shared: bool,
    collector: Collector,
}

impl PythonNursery {
    /// Prepares the interpreter: paths, working directory, streams. No code of the user runs yet.
    pub(crate) fn new(py: Python<'_>, inherited: &Inherited) -> PyResult<Self> {
        let options = Arc::clone(&inherited.options);
        let children = Children::look_after(py)?;
        let uwsgi = Arc::new(Uwsgi::install(py, inherited)?);
        load::prepare(py, &options.python)?;
        // Python takes the thread that imports it first for the main one, and waits at its end for what that one holds:
        // it must not be a thread that serves, when the application does without the module.
        py.import("threading")?;
        let workers = &options.workers;
        Ok(Self {
            apps: Apps::new(&options.python),
            since: uwgate_sys::clock::coarse_realtime(),
            is_shared: inherited.master.is_some() && !workers.lazy_apps && !workers.lazy,
            options,
            uwsgi,
            children,
            collector: Collector::default(),
        })
    }

    /// What is to run when a worker ends.
    pub(crate) fn farewell(&self) -> Farewell {
        Farewell::new(&self.uwsgi, &self.options.python)
    }
}

fn log_error(py: Python<'_>, result: PyResult<()>) {
    if let Err(error) = result {
        errors::log_exception(py, &error);
    }
}

/// Empties Python's memory of which type has which attribute. It holds the names of some thousand attributes that the
/// import has asked for; each that requests replace by another would be written to in each worker, in a page that nobody
/// else needs.
fn forget_attributes(_attached: Python<'_>) {
    // SAFETY: the thread is attached; what is forgotten is looked up again.
    unsafe { ffi::PyType_ClearCache() };
}

impl Nursery for PythonNursery {
    type Host = PythonHost;

    fn load(&mut self) -> u32 {
        Python::attach(|py| {
            if self.is_shared {
                log_error(py, self.collector.hold_back(py));
            }
            load::all(py, &self.options.python, &mut self.apps);
            if self.is_shared {
                log_error(py, self.collector.keep(py));
                forget_attributes(py);
            }
        });
        self.apps.count()
    }

    fn rehearse(&mut self, play: impl FnOnce(&PythonHost)) {
        let host = self.host();
        play(&host);
        self.apps = host.into_apps();
    }

    fn settle(&mut self) {
        Python::attach(|py| {
            log_error(py, Collector::keep_rest(py));
            let filled = pools::fill_gaps(py);
            tracing::debug!("filled {} KiB between Python's objects", filled / 1024);
        });
    }

    fn fork(&mut self) -> io::Result<Fork> {
        self.children.are_workers(true);
        let fork = Python::attach(|_| {
            // SAFETY: the thread is attached, as the three hooks want it, and each branch calls its own one.
            // Threads that the application has started do not run while we are attached, and are reported to its
            // owner; the hooks see to the locks that they might hold.
            unsafe {
                ffi::PyOS_BeforeFork();
                let fork = uwgate_sys::process::fork_adopted();
                match &fork {
                    Ok(Fork::Child) => ffi::PyOS_AfterFork_Child(),
                    Ok(Fork::Parent(_)) | Err(_) => ffi::PyOS_AfterFork_Parent(),
                }
                fork
            }
        });
        self.children.are_workers(false);
        fork
    }

    fn watch(&mut self, changed: impl Fn(Duration) + Send + Sync + 'static) {
        Python::attach(|py| {
            log_error(
                py,
                autoreload::start(py, &self.options, self.since, changed),
            );
        });
    }

    fn become_worker(&mut self, row: Row) {
        self.uwsgi.instance.become_worker(row);
        Python::attach(|py| self.uwsgi.run_post_fork_hook(py));
    }

    fn host(&mut self) -> PythonHost {
        let apps = std::mem::replace(&mut self.apps, Apps::new(&self.options.python));
        PythonHost::new(&self.options, apps, Arc::clone(&self.uwsgi))
    }
}
