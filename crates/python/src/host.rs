use std::cell::RefCell;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PySystemExit;
use pyo3::ffi;
use pyo3::prelude::*;
use uwgate_config::Options;
use uwgate_server::exchange::{Request, Response};
use uwgate_server::{Host, Served};

use crate::afresh::Afresh;
use crate::apps::Apps;
use crate::body::{self, After};
use crate::environ::{Environ, Prepared};
use crate::errors;
use crate::input::Input;
use crate::responder::Responder;
use crate::signals;
use crate::stacks;
use crate::uwsgi_module::{HOLDERS, Uwsgi, serve_with};

/// Calls WSGI applications.
pub(crate) struct PythonHost {
    options: Arc<Options>,
    apps: Apps,
    uwsgi: Arc<Uwsgi>,
    afresh: Afresh,
    /// Threads that have been named.
    threads: AtomicUsize,
}

/// What a thread keeps from one request to the next.
struct Kit {
    environ: Environ,
    input: Py<Input>,
    responder: Py<Responder>,
    /// The responder's bound method.
    start_response: Py<PyAny>,
}

thread_local! {
    static KIT: RefCell<Option<Kit>> = const { RefCell::new(None) };
}

impl PythonHost {
    pub(crate) fn new(options: &Arc<Options>, apps: Apps, uwsgi: Arc<Uwsgi>) -> Self {
        uwsgi.instance.serve(apps.iter());
        uwsgi.instance.tell_startup_times(apps.startup_times());
        Self {
            options: Arc::clone(options),
            apps,
            uwsgi,
            afresh: Afresh::new(&options.recycling),
            threads: AtomicUsize::new(0),
        }
    }

    /// The applications, for another host.
    pub(crate) fn into_apps(self) -> Apps {
        self.apps
    }

    /// Calls the thread what uWSGI calls it. A thread serves on whichever core is free, so the number is only its own.
    fn name_thread(&self, py: Python<'_>) -> PyResult<()> {
        let number = self.threads.fetch_add(1, Ordering::Relaxed);
        let worker = self.uwsgi.instance.worker();
        let thread = py.import("threading")?.call_method0("current_thread")?;
        thread.setattr("name", format!("uWSGIWorker{worker}Core{number}"))
    }
}

impl Host for PythonHost {
    fn thread_started(&self) {
        // SAFETY: a thread may ask for its state at any time while the interpreter lives, and it lives as long as this
        // process. The state is kept for the thread's whole life: made and freed in each request it would cost more
        // than the request.
        unsafe {
            ffi::PyGILState_Ensure();
            ffi::PyEval_SaveThread();
        }
        Python::attach(|py| {
            if let Err(error) = self.name_thread(py) {
                errors::log_exception(py, &error);
            }
        });
    }

    fn attention(&self) -> Option<OwnedFd> {
        Python::attach(|py| {
            signals::bell(py).unwrap_or_else(|error| {
                errors::log_exception(py, &error);
                None
            })
        })
    }

    fn attend(&self, attention: BorrowedFd<'_>) {
        Python::attach(|py| signals::run_handlers(py, attention));
    }

    fn serve(&self, request: Box<Request>, response: Box<Response>) -> Served {
        Python::attach(|py| {
            let kit = KIT
                .take()
                .map_or_else(|| Kit::new(py, &self.options), |kit| kit.refresh(py));
            match kit {
                Ok(mut kit) => {
                    let served = self.answer(py, &mut kit, request, response);
                    KIT.set(Some(kit));
                    served
                }
                Err(error) => unserved(py, &error, request, response),
            }
        })
    }

    fn write_stacks_on(&self, you: i32, all: i32, file: BorrowedFd<'_>) -> bool {
        Python::attach(|py| stacks::write_on(py, you, all, file))
            .inspect_err(|error| tracing::warn!("faulthandler: {error}"))
            .is_ok()
    }

    fn interrupt(&self, thread: u64) {
        Python::attach(|_| {
            // SAFETY: this thread is attached; a thread that Python does not know is not found.
            unsafe { ffi::PyThreadState_SetAsyncExc(thread as _, ffi::PyExc_SystemExit) };
        });
    }

    fn detached(wait: &mut dyn FnMut()) {
        // SAFETY: called on a thread that is attached, from inside `serve`; `wait` does not touch Python. The guard
        // attaches again also when `wait` unwinds.
        let _attach_again = AttachAgain(unsafe { ffi::PyEval_SaveThread() });
        wait();
    }
}

struct AttachAgain(*mut ffi::PyThreadState);

impl Drop for AttachAgain {
    fn drop(&mut self) {
        // SAFETY: the state is the one that `PyEval_SaveThread` returned on this thread.
        unsafe { ffi::PyEval_RestoreThread(self.0) };
    }
}

impl PythonHost {
    fn answer(
        &self,
        py: Python<'_>,
        kit: &mut Kit,
        request: Box<Request>,
        response: Box<Response>,
    ) -> Served {
        let prepared = kit.environ.prepare(py, &request, &kit.input, &self.apps);
        let Prepared { environ, choice } = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return unserved(py, &error, request, response),
        };
        let Some(choice) = choice else {
            return no_app(request, response);
        };
        let (input, responder) = (kit.input.bind(py), kit.responder.bind(py));
        input.borrow_mut().open(request);
        responder.borrow_mut().open(response);
        let start_response = kit.start_response.bind(py);
        let app = choice.app.callable.bind(py);
        let result = app.call1((environ, start_response));
        let outcome = result.and_then(|result| {
            let after = match self.uwsgi.hooks().has_after_request() {
                true => After::Hook,
                false => After::Nothing,
            };
            let sent = body::send(responder, &result, after);
            let closed = close(&result);
            sent.and(closed)
        });
        let mut response = responder
            .try_borrow_mut()
            .ok()
            .and_then(|mut it| it.close());
        if let Err(error) = &outcome {
            self.fail(py, error, response.as_deref_mut());
        }
        self.uwsgi.hooks().run_after_request(py);
        let mut request = input
            .try_borrow_mut()
            .ok()
            .and_then(|mut input| input.close());
        if response.is_none() {
            request = None;
        }
        Served {
            request,
            response,
            app: Some(choice.id),
            raised: outcome.is_err(),
            start_afresh: outcome.is_err_and(|error| self.afresh.is_wanted_after(py, &error)),
        }
    }

    /// The application raised: its traceback for the log, and a page for the client if that is still possible.
    fn fail(&self, py: Python<'_>, error: &PyErr, response: Option<&mut Response>) {
        errors::log_exception(py, error);
        if error.is_instance_of::<PySystemExit>(py) {
            tracing::warn!("the application raised SystemExit in a request; the worker goes on");
        }
        let Some(response) = response else {
            return;
        };
        if response.is_complete() {
            return;
        }
        if response.is_sent() {
            return response.abandon();
        }
        let page = match self.options.python.catch_exceptions {
            true => errors::render(py, error),
            false => "Internal Server Error".to_owned(),
        };
        internal_server_error(response, page.as_bytes());
    }
}

/// `close()` of what the application returned, whatever happened before (PEP 3333).
fn close(result: &Bound<'_, PyAny>) -> PyResult<()> {
    if !body::has_close(result) {
        return Ok(());
    }
    match result.getattr_opt(pyo3::intern!(result.py(), "close"))? {
        Some(close) => close.call0().map(|_| ()),
        None => Ok(()),
    }
}

fn unserved(
    py: Python<'_>,
    error: &PyErr,
    request: Box<Request>,
    mut response: Box<Response>,
) -> Served {
    errors::log_exception(py, error);
    internal_server_error(&mut response, b"Internal Server Error");
    Served {
        request: Some(request),
        response: Some(response),
        app: None,
        raised: true,
        start_afresh: false,
    }
}

fn no_app(request: Box<Request>, mut response: Box<Response>) -> Served {
    tracing::error!("--- no python application found, check your startup logs for errors ---");
    internal_server_error(&mut response, b"Internal Server Error");
    Served {
        request: Some(request),
        response: Some(response),
        app: None,
        raised: false,
        start_afresh: false,
    }
}

fn internal_server_error(response: &mut Response, page: &[u8]) {
    // Both lines are well-formed, and a client that is gone shows in the response.
    let _ = response.start(b"500 Internal Server Error");
    let _ = response.header(b"Content-Type", b"text/plain");
    let _ = response.finish_with(page);
}

impl Kit {
    fn new(py: Python<'_>, options: &Options) -> PyResult<Self> {
        let (responder, start_response) = Responder::bound(py)?;
        let input = Py::new(py, Input::new())?;
        serve_with(py, &input, &responder);
        Ok(Self {
            environ: Environ::new(py, options)?,
            input,
            responder,
            start_response,
        })
    }

    /// Replaces what the application has kept of the last request: it must not belong to somebody else's.
    fn refresh(mut self, py: Python<'_>) -> PyResult<Self> {
        let (input_is_ours, responder_is_ours) = (self.owns_input(), self.owns_responder(py));
        if input_is_ours && responder_is_ours {
            return Ok(self);
        }
        if !input_is_ours {
            self.input = Py::new(py, Input::new())?;
        }
        if !responder_is_ours {
            (self.responder, self.start_response) = Responder::bound(py)?;
        }
        serve_with(py, &self.input, &self.responder);
        Ok(self)
    }

    fn owns_input(&self) -> bool {
        count(&self.input) == 1 + HOLDERS
    }

    /// Whether nobody else has the responder or one of its methods, which each hold on to it.
    fn owns_responder(&self, py: Python<'_>) -> bool {
        // Before the borrow below adds one.
        let holders = count(&self.responder);
        let Ok(responder) = self.responder.bind(py).try_borrow() else {
            return false;
        };
        let methods = [Some(&self.start_response), responder.write.as_ref()];
        let made = methods.iter().flatten().count() as isize;
        methods.into_iter().flatten().all(is_unshared) && holders == made + 1 + HOLDERS
    }
}

fn is_unshared<T>(object: &Py<T>) -> bool {
    count(object) == 1
}

fn count<T>(object: &Py<T>) -> isize {
    // SAFETY: the object lives as long as `object`, and its count is read by an attached thread: both callers were
    // given the proof.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}
