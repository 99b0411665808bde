//! Sending what the application returned.

use std::io;

use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use uwgate_server::exchange::Response;

use crate::file_wrapper::FileWrapper;
use crate::responder::{Responder, not_bytes};

/// What of the application still runs after its result was sent, if that is a list or the like (which have no
/// `close()`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Nothing,
    /// `uwsgi.after_req_hook`, for which no client should wait.
    Hook,
}

/// Sends `result` to its last byte, or until the client is gone.
///
/// # Errors
/// What the application raised, or did against PEP 3333. That the client is gone is not an error: the caller sees
/// it in the response.
pub(crate) fn send(
    responder: &Bound<'_, Responder>,
    result: &Bound<'_, PyAny>,
    after: After,
) -> PyResult<()> {
    if let Some(whole) = whole(result) {
        return finish(responder, whole, after);
    }
    if let Ok(wrapper) = result.cast::<FileWrapper>()
        && let Some(()) = send_file(responder, wrapper)?
    {
        return Ok(());
    }
    match total(result) {
        Some(total) => {
            with(responder, |response| response.announce(total))?;
            stream(responder, result, Response::write_ahead)
        }
        None => stream(responder, result, Response::write),
    }
}

/// Whether only `close()` remains to be called on a result; lists, tuples and bytes have none.
pub(crate) fn has_close(result: &Bound<'_, PyAny>) -> bool {
    !(result.is_exact_instance_of::<PyList>()
        || result.is_exact_instance_of::<PyTuple>()
        || result.is_exact_instance_of::<PyBytes>())
}

/// The body when it is a single item. uWSGI takes bare bytes for a body, too.
fn whole<'py>(result: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    if let Ok(list) = result.cast_exact::<PyList>() {
        return match list.len() {
            1 => list.get_item(0).ok()?.cast_into_exact::<PyBytes>().ok(),
            _ => None,
        };
    }
    if let Ok(bytes) = result.cast_exact::<PyBytes>() {
        return Some(bytes.clone());
    }
    match result.cast_exact::<PyTuple>() {
        Ok(tuple) if tuple.len() == 1 => tuple.get_item(0).ok()?.cast_into_exact::<PyBytes>().ok(),
        _ => None,
    }
}

/// The length of a body whose items are all there.
fn total(result: &Bound<'_, PyAny>) -> Option<u64> {
    let sum = |total: u64, item: Bound<'_, PyAny>| {
        let bytes = item.cast::<PyBytes>().ok()?;
        Some(total + bytes.as_bytes().len() as u64)
    };
    if let Ok(list) = result.cast_exact::<PyList>() {
        return list.iter().try_fold(0, sum);
    }
    let tuple = result.cast_exact::<PyTuple>().ok()?;
    tuple.iter().try_fold(0, sum)
}

fn finish(
    responder: &Bound<'_, Responder>,
    body: Bound<'_, PyBytes>,
    after: After,
) -> PyResult<()> {
    with(responder, |response| {
        response.count_switch();
        if response.is_sent() {
            // The application has used write() before.
            let _ = response.write(body.as_bytes());
            let _ = response.finish();
            return;
        }
        // A client that is gone shows in the response.
        let _ = match after {
            After::Nothing => response.finish_at_once_with(body.as_bytes()),
            After::Hook => response.finish_with(body.as_bytes()),
        };
    })
}

/// `None` when it has to be read like any other iterable.
fn send_file(
    responder: &Bound<'_, Responder>,
    wrapper: &Bound<'_, FileWrapper>,
) -> PyResult<Option<()>> {
    let mut this = responder.try_borrow_mut()?;
    let response = started(&mut this)?;
    if response.is_sent() {
        return Ok(None);
    }
    let Some(range) = wrapper.borrow().range(responder.py()) else {
        return Ok(None);
    };
    response.count_switch();
    let _ = response.finish_with_file(range);
    Ok(Some(()))
}

fn stream(
    responder: &Bound<'_, Responder>,
    result: &Bound<'_, PyAny>,
    write: fn(&mut Response, &[u8]) -> io::Result<()>,
) -> PyResult<()> {
    for chunk in result.try_iter()? {
        let chunk = chunk?;
        let bytes = chunk
            .cast::<PyBytes>()
            .map_err(|_| not_bytes("the response body", &chunk))?;
        let bytes = bytes.as_bytes();
        let gone = with(responder, |response| {
            response.count_switch();
            !bytes.is_empty() && write(response, bytes).is_err()
        })?;
        if gone {
            return Ok(());
        }
    }
    with(responder, |response| {
        response.count_switch();
        let _ = response.finish();
    })
}

/// Does something with a response whose head the application has begun.
fn with<T>(responder: &Bound<'_, Responder>, act: impl FnOnce(&mut Response) -> T) -> PyResult<T> {
    let mut this = responder.try_borrow_mut()?;
    started(&mut this).map(act)
}

fn started(responder: &mut Responder) -> PyResult<&mut Response> {
    let response = responder.response()?;
    match response.is_started() {
        true => Ok(response),
        false => Err(PyAssertionError::new_err(
            "the application gave a body before it called start_response()",
        )),
    }
}
