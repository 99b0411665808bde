//! Python strings of earlier requests.
//!
//! A front server sends its variables in the same order each time, and most of them with the same value (method,
//! protocol, names, what a browser accepts). So each place in the block remembers what stood there last: two
//! comparisons of bytes replace a look-up by hash and a new string.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyString;

/// So many different keys are kept as Python strings; a client that invents header names wins no memory.
const KEYS_KEPT: usize = 512;

/// So many places are remembered.
const PLACES: usize = 64;

/// A longer value is seldom the same again.
const VALUE_KEPT: usize = 192;

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
    ScriptName,
    PathInfo,
}

impl Role {
    fn of(key: &[u8]) -> Self {
        match key {
            b"HTTP_AUTHORIZATION" | b"HTTP_COOKIE" | b"HTTP_PROXY_AUTHORIZATION" => Self::Secret,
            b"UWSGI_SCHEME" => Self::UwsgiScheme,
            b"HTTPS" => Self::Https,
            b"HTTP_X_FORWARDED_PROTO" => Self::ForwardedProto,
            b"HTTP_X_FORWARDED_SSL" => Self::ForwardedSsl,
            b"SCRIPT_NAME" => Self::ScriptName,
            b"PATH_INFO" => Self::PathInfo,
            _ if key.starts_with(b"wsgi.") || key.starts_with(b"uwsgi.") => Self::Reserved,
            _ => Self::None,
        }
    }
}

/// The memory of one thread.
#[derive(Default)]
pub(crate) struct Memo {
    places: Vec<Place>,
    keys: HashMap<Box<[u8]>, Py<PyString>>,
}

struct Place {
    key: Vec<u8>,
    name: Py<PyString>,
    role: Role,
    value: Vec<u8>,
    text: Option<Py<PyString>>,
}

/// A variable as Python has it.
pub(crate) struct Variable<'py> {
    pub(crate) name: Bound<'py, PyString>,
    pub(crate) text: Bound<'py, PyString>,
    pub(crate) role: Role,
}

impl Memo {
    /// The strings of the variable that stands at `place` in its block.
    pub(crate) fn variable<'py>(
        &mut self,
        py: Python<'py>,
        place: usize,
        key: &[u8],
        value: &[u8],
    ) -> Variable<'py> {
        let Self { places, keys } = self;
        match places.get_mut(place) {
            Some(known) => {
                if known.key != key {
                    known.replace_key(py, key, keys);
                }
                Variable {
                    text: known.text(py, value),
                    name: known.name.bind(py).clone(),
                    role: known.role,
                }
            }
            None => {
                let name = interned(py, key, keys);
                let role = Role::of(key);
                if place < PLACES && place == places.len() {
                    places.push(Place {
                        key: key.to_vec(),
                        name: name.clone().unbind(),
                        role,
                        value: Vec::new(),
                        text: None,
                    });
                }
                Variable {
                    name,
                    text: text(py, value),
                    role,
                }
            }
        }
    }
}

impl Place {
    fn replace_key(
        &mut self,
        py: Python<'_>,
        key: &[u8],
        keys: &mut HashMap<Box<[u8]>, Py<PyString>>,
    ) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.name = interned(py, key, keys).unbind();
        self.role = Role::of(key);
        self.text = None;
    }

    fn text<'py>(&mut self, py: Python<'py>, value: &[u8]) -> Bound<'py, PyString> {
        if let Some(text) = &self.text
            && self.value == value
        {
            return text.bind(py).clone();
        }
        let made = text(py, value);
        if value.len() <= VALUE_KEPT && self.role != Role::Secret {
            self.value.clear();
            self.value.extend_from_slice(value);
            self.text = Some(made.clone().unbind());
        }
        made
    }
}

/// The same str object for the same key: its hash is known, and a dict compares it by address.
fn interned<'py>(
    py: Python<'py>,
    key: &[u8],
    keys: &mut HashMap<Box<[u8]>, Py<PyString>>,
) -> Bound<'py, PyString> {
    if let Some(known) = keys.get(key) {
        return known.bind(py).clone();
    }
    let made = text(py, key);
    if keys.len() < KEYS_KEPT {
        keys.insert(key.into(), made.clone().unbind());
    }
    made
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
