use pyo3::exceptions::{PyAssertionError, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use uwgate_http::{HeaderError, HeaderMemory};
use uwgate_server::exchange::Response;

/// The response as the application sees it: `start_response` and the `write` that it returns are its bound methods.
#[pyclass(module = "uwsgi")]
pub(crate) struct Responder {
    response: Option<Box<Response>>,
    headers: HeaderMemory,
    /// The bound `write`, made when first asked for.
    pub(crate) write: Option<Py<PyAny>>,
}

impl Responder {
    /// A responder and its bound `start_response`.
    pub(crate) fn bound(py: Python<'_>) -> PyResult<(Py<Self>, Py<PyAny>)> {
        let responder = Bound::new(
            py,
            Self {
                response: None,
                headers: HeaderMemory::default(),
                write: None,
            },
        )?;
        let start_response = responder.getattr("start_response")?.unbind();
        Ok((responder.unbind(), start_response))
    }

    pub(crate) fn open(&mut self, response: Box<Response>) {
        self.response = Some(response);
    }

    pub(crate) fn close(&mut self) -> Option<Box<Response>> {
        self.response.take()
    }

    /// # Errors
    /// RuntimeError after the request.
    pub(crate) fn response(&mut self) -> PyResult<&mut Response> {
        self.response.as_deref_mut().ok_or_else(is_over)
    }
}

fn is_over() -> PyErr {
    PyRuntimeError::new_err("the request of this start_response is over")
}

#[pymethods]
impl Responder {
    /// Begins the response; see PEP 3333, "The start_response() Callable".
    #[pyo3(signature = (status, headers, exc_info = None))]
    fn start_response(
        slf: &Bound<'_, Self>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let exc_info = exc_info.filter(|info| !info.is_none());
        let mut this = slf.try_borrow_mut()?;
        let Self {
            response,
            headers: memory,
            write,
        } = &mut *this;
        let response = response.as_deref_mut().ok_or_else(is_over)?;
        match exc_info {
            Some(info) if response.is_sent() => return Err(raise_again(info)),
            None if response.is_started() && !response.is_disconnected() => {
                return Err(PyAssertionError::new_err(
                    "start_response() was already called; a second call needs exc_info",
                ));
            }
            _ => {}
        }
        begin(response, memory, status, headers)?;
        if let Some(write) = write {
            return Ok(write.clone_ref(slf.py()));
        }
        drop(this);
        let write = slf.getattr("write")?.unbind();
        slf.borrow_mut().write = Some(write.clone_ref(slf.py()));
        Ok(write)
    }

    /// Sends a part of the body at once.
    fn write(&mut self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data
            .cast::<PyBytes>()
            .map_err(|_| not_bytes("write()", data))?;
        let response = self.response()?;
        if !response.is_started() {
            return Err(PyAssertionError::new_err("write() before start_response()"));
        }
        if data.as_bytes().is_empty() {
            return Ok(());
        }
        response.count_switch();
        response
            .write(data.as_bytes())
            .map_err(|error| PyOSError::new_err(format!("write error: {error}")))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.write
            .as_ref()
            .map_or(Ok(()), |write| visit.call(write))
    }

    fn __clear__(&mut self) {
        self.write = None;
    }
}

fn begin(
    response: &mut Response,
    memory: &mut HeaderMemory,
    status: &Bound<'_, PyAny>,
    headers: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let status = native(status, "the status")?;
    let headers = headers
        .cast::<PyList>()
        .map_err(|_| PyTypeError::new_err("start_response() wants its headers in a list"))?;
    if is_last_head(memory, status, headers) && response.start_again(memory) {
        return Ok(());
    }
    memory.begin();
    latin1(status, |bytes| response.start(bytes))?
        .map_err(|error| PyValueError::new_err(format!("{status:?}: {error}")))?;
    for header in headers.iter() {
        if let Err(error) = add(response, memory, &header) {
            // A half-made head must not leave with the error page.
            let _ = response.start(b"500 Internal Server Error");
            response.forget();
            return Err(error);
        }
    }
    response.remember_head(memory, status.as_bytes(), headers.len());
    Ok(())
}

/// Most responses of an application have the same head as the one before. Anything unusual is found out header by
/// header.
fn is_last_head(memory: &HeaderMemory, status: &str, headers: &Bound<'_, PyList>) -> bool {
    let is_same = |(place, header): (usize, Bound<'_, PyAny>)| {
        let Ok(pair) = header.cast::<PyTuple>() else {
            return false;
        };
        if pair.len() != 2 {
            return false;
        }
        let (Ok(name), Ok(value)) = (pair.get_borrowed_item(0), pair.get_borrowed_item(1)) else {
            return false;
        };
        let (Ok(name), Ok(value)) = (name.cast::<PyString>(), value.cast::<PyString>()) else {
            return false;
        };
        let (Ok(name), Ok(value)) = (name.to_str(), value.to_str()) else {
            return false;
        };
        memory.has(place, name.as_bytes(), value.as_bytes())
    };
    memory.has_head(status.as_bytes(), headers.len()) && headers.iter().enumerate().all(is_same)
}

fn add(
    response: &mut Response,
    memory: &mut HeaderMemory,
    header: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let pair = header.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
    let Some(pair) = pair else {
        return Err(PyTypeError::new_err(
            "a response header must be a tuple of name and value",
        ));
    };
    let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
    let name_text = native(&name, "a header name")?;
    let value = native(&value, "a header value")?;
    let added = latin1(name_text, |name| {
        latin1(value, |value| {
            response.remembered_header(memory, name, value)
        })
    })??;
    match added {
        Err(HeaderError::HopByHop) => {
            warn_once(name_text);
            Ok(())
        }
        added => added.map_err(|error| {
            PyValueError::new_err(format!("response header {name_text:?}: {error}"))
        }),
    }
}

/// PEP 3333 forbids them, but many applications set `Connection: keep-alive` for a stream of events, and under uWSGI
/// nobody minded: the header is left out, and the application works.
fn warn_once(name: &str) {
    static WARNED: std::sync::Once = std::sync::Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "the application sets {name}, a header between this server and its client (PEP 3333): it is left out"
        );
    });
}

/// A str, PEP 3333's "native string".
fn native<'a>(value: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a str> {
    match value.cast::<PyString>() {
        Ok(text) => text.to_str(),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{what} must be str, not {}",
            value.get_type().name()?
        ))),
    }
}

/// Gives `use_it` the text as the bytes that a str of PEP 3333 stands for.
fn latin1<T>(text: &str, use_it: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    if text.is_ascii() {
        return Ok(use_it(text.as_bytes()));
    }
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    match bytes {
        Ok(bytes) => Ok(use_it(&bytes)),
        Err(_) => Err(PyValueError::new_err(format!(
            "{text:?} has characters beyond latin-1, which a head cannot carry"
        ))),
    }
}

/// The error of an application that wanted to replace a head that is gone.
fn raise_again(exc_info: &Bound<'_, PyAny>) -> PyErr {
    match exc_info.get_item(1) {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

pub(crate) fn not_bytes(what: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value.get_type().name().map(|name| name.to_string());
    let kind = kind.unwrap_or_else(|_| "something else".into());
    PyTypeError::new_err(format!("{what} wants bytes, not {kind}"))
}
