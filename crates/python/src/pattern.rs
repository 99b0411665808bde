//! The environ of an earlier request as the pattern of the next one.
//!
//! A front server sends its variables in the same order each time, and most of them with the same value (method,
//! protocol, names, what a browser accepts). So the dict of an earlier request is kept, never seen by an application,
//! together with the bytes that each of its variables came from. What is the same now is known by one comparison of
//! bytes and costs nothing else; what is not is changed in the pattern; and the application gets a copy, which
//! CPython makes in one go, without hashing or growing.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::Vars;

use crate::names::{Names, Role, text};

/// A longer value is seldom the same again, and is not kept.
const VALUE_KEPT: usize = 192;

/// One pattern; see the module.
pub(crate) struct Pattern {
    environ: Py<PyDict>,
    places: Vec<Place>,
    /// A name stood in two places: which value it has depends on both, so nothing can be left as it was.
    ambiguous: bool,
    /// A variable means something to the server.
    tells: bool,
}

/// A variable of the pattern.
struct Place {
    name: Py<PyString>,
    key: Box<[u8]>,
    role: Role,
    /// The variable as it stood in the block, lengths included; empty when its value is not kept.
    bytes: Vec<u8>,
}

/// What becomes of a variable's value.
#[derive(PartialEq, Eq)]
enum Keep {
    /// It is in the pattern.
    Yes,
    /// It is in the environ of its own request only.
    No,
}

impl Place {
    fn keep(&self, value: &[u8]) -> Keep {
        match self.role {
            Role::Secret => Keep::No,
            _ if value.len() > VALUE_KEPT => Keep::No,
            _ => Keep::Yes,
        }
    }
}

impl Pattern {
    /// A pattern that fits nothing yet.
    pub(crate) fn new(py: Python<'_>) -> Self {
        Self {
            environ: PyDict::new(py).unbind(),
            places: Vec::new(),
            ambiguous: true,
            tells: false,
        }
    }

    /// The environ of a request with these variables, on top of what `template` has. `note` is told the variables that
    /// mean something to the server.
    pub(crate) fn environ<'py, 'v>(
        &mut self,
        py: Python<'py>,
        vars: Vars<'v>,
        template: &Bound<'py, PyDict>,
        names: &mut Names,
        note: &mut dyn FnMut(Role, &'v [u8]),
    ) -> PyResult<Bound<'py, PyDict>> {
        let kept = match self.ambiguous || self.places.len() != vars.len() {
            true => None,
            false => self.adapt(py, vars.block())?,
        };
        let kept = match kept {
            Some(kept) => kept,
            None => self.make(py, vars, template, names)?,
        };
        let environ = self.environ.bind(py).copy()?;
        if kept == Keep::No || self.tells || self.ambiguous {
            self.finish(py, vars, &environ, note)?;
        }
        Ok(environ)
    }

    /// Changes what is different; `None` when other variables stand in the block than in the pattern.
    fn adapt(&mut self, py: Python<'_>, block: &[u8]) -> PyResult<Option<Keep>> {
        let mut rest = block;
        let mut kept = Keep::Yes;
        for place in &mut self.places {
            if !place.bytes.is_empty()
                && let Some(behind) = rest.strip_prefix(&place.bytes[..])
            {
                rest = behind;
                continue;
            }
            let Some((key, value)) = Vars::revisited(rest, 1).iter().next() else {
                return Ok(None);
            };
            if *key != *place.key {
                return Ok(None);
            }
            let Some((bytes, behind)) = rest.split_at_checked(4 + key.len() + value.len()) else {
                return Ok(None);
            };
            rest = behind;
            let had_value = !place.bytes.is_empty();
            place.bytes.clear();
            match place.keep(value) {
                Keep::Yes => {
                    place.bytes.extend_from_slice(bytes);
                    if place.role != Role::Reserved {
                        let value = text(py, value);
                        self.environ.bind(py).set_item(&place.name, value)?;
                    }
                }
                Keep::No => {
                    if had_value {
                        let nothing = pyo3::intern!(py, "");
                        self.environ.bind(py).set_item(&place.name, nothing)?;
                    }
                    kept = Keep::No;
                }
            }
        }
        Ok(Some(kept))
    }

    /// Begins anew.
    fn make(
        &mut self,
        py: Python<'_>,
        vars: Vars<'_>,
        template: &Bound<'_, PyDict>,
        names: &mut Names,
    ) -> PyResult<Keep> {
        let environ = template.copy()?;
        self.places.clear();
        (self.ambiguous, self.tells) = (false, false);
        let mut kept = Keep::Yes;
        let mut rest = vars.block();
        for (key, value) in vars {
            let Some((bytes, behind)) = rest.split_at_checked(4 + key.len() + value.len()) else {
                break;
            };
            rest = behind;
            let mut place = Place {
                name: names.name(py, key).unbind(),
                key: key.into(),
                role: Role::of(key),
                bytes: Vec::new(),
            };
            let size = environ.len();
            match place.keep(value) {
                _ if place.role == Role::Reserved => place.bytes.extend_from_slice(bytes),
                Keep::Yes => {
                    place.bytes.extend_from_slice(bytes);
                    environ.set_item(&place.name, text(py, value))?;
                }
                Keep::No => {
                    environ.set_item(&place.name, pyo3::intern!(py, ""))?;
                    kept = Keep::No;
                }
            }
            self.ambiguous |= environ.len() == size && place.role != Role::Reserved;
            self.tells |= place.role.tells();
            self.places.push(place);
        }
        // PEP 3333 wants it in each environ; a front server may leave it out.
        if vars.get(b"SCRIPT_NAME").is_none() {
            environ.set_item(pyo3::intern!(py, "SCRIPT_NAME"), pyo3::intern!(py, ""))?;
        }
        self.environ = environ.unbind();
        Ok(kept)
    }

    /// Adds what the pattern does not keep, and says what the server wants to know.
    fn finish<'v>(
        &self,
        py: Python<'_>,
        vars: Vars<'v>,
        environ: &Bound<'_, PyDict>,
        note: &mut dyn FnMut(Role, &'v [u8]),
    ) -> PyResult<()> {
        for ((_, value), place) in vars.iter().zip(&self.places) {
            let in_order = self.ambiguous && place.role != Role::Reserved;
            if in_order || place.bytes.is_empty() {
                environ.set_item(&place.name, text(py, value))?;
            }
            if place.role.tells() {
                note(place.role, value);
            }
        }
        Ok(())
    }
}
