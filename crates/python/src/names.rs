//! The variables' names as Python strings, and what a name means to the server.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyString;

/// So many different names are kept as Python strings; a client that invents header names wins no memory.
const KEPT: usize = 512;

/// What a variable means to the server, besides being passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    None,
    /// Named like something that only the server says; not passed on.
    Reserved,
    /// Not to be kept beyond its request.
    Secret,
    UwsgiScheme,
    Https,
    ForwardedProto,
    ForwardedSsl,
}

impl Role {
    pub(crate) fn of(key: &[u8]) -> Self {
        match key {
            b"HTTP_AUTHORIZATION" | b"HTTP_COOKIE" | b"HTTP_PROXY_AUTHORIZATION" => Self::Secret,
            b"UWSGI_SCHEME" => Self::UwsgiScheme,
            b"HTTPS" => Self::Https,
            b"HTTP_X_FORWARDED_PROTO" => Self::ForwardedProto,
            b"HTTP_X_FORWARDED_SSL" => Self::ForwardedSsl,
            _ if key.starts_with(b"wsgi.") || key.starts_with(b"uwsgi.") => Self::Reserved,
            _ => Self::None,
        }
    }

    /// Whether the server looks at the value.
    pub(crate) fn tells(self) -> bool {
        !matches!(self, Self::None | Self::Reserved | Self::Secret)
    }
}

/// The names that one thread has seen.
#[derive(Default)]
pub(crate) struct Names(HashMap<Box<[u8]>, Py<PyString>>);

impl Names {
    /// The same str object for the same name: its hash is known, and a dict compares it by address.
    pub(crate) fn name<'py>(&mut self, py: Python<'py>, key: &[u8]) -> Bound<'py, PyString> {
        if let Some(known) = self.0.get(key) {
            return known.bind(py).clone();
        }
        let made = text(py, key);
        if self.0.len() < KEPT {
            self.0.insert(key.into(), made.clone().unbind());
        }
        made
    }
}

/// A native string of PEP 3333: one character for each byte.
pub(crate) fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    // SAFETY: the pointer and length are those of a slice; latin-1 decodes any bytes, so the result is a new str,
    // or null when memory is out, which `from_owned_ptr` turns into the panic that is right then.
    unsafe {
        let decoded = pyo3::ffi::PyUnicode_DecodeLatin1(
            bytes.as_ptr().cast(),
            bytes.len() as pyo3::ffi::Py_ssize_t,
            std::ptr::null(),
        );
        Bound::from_owned_ptr(py, decoded).cast_into_unchecked()
    }
}
