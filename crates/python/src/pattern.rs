//! The environ of an earlier request as the pattern of the next one.
//!
//! A front server sends its variables in the same order each time, and most of them with the same value (method,
//! protocol, names, what a browser accepts). So the dict of an earlier request is kept, never seen by an application,
//! together with the bytes that each of its variables came from. What is the same now is known by one comparison of
//! bytes and costs nothing else; what is not is changed in the pattern; and the application gets a copy, which
//! CPython makes in one go, without hashing or growing.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::Vars;

use crate::names::{Names, Role, text};

/// A longer value is seldom the same again, and is not kept.
const VALUE_KEPT: usize = 192;

/// One pattern; see the module.
pub(crate) struct Pattern {
    environ: Py<PyDict>,
    /// The variables as they stood in the block, lengths included, but for those whose values are not kept.
    block: Vec<u8>,
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
    kept: bool,
    /// Where it ends in the pattern's block; one that is not kept has no bytes there.
    end: usize,
}

/// How many bytes two blocks begin with in common.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    const STEP: usize = size_of::<u128>();
    let (ones, _) = one.as_chunks::<STEP>();
    let (others, _) = other.as_chunks::<STEP>();
    for (number, (one, other)) in ones.iter().zip(others).enumerate() {
        let different = u128::from_le_bytes(*one) ^ u128::from_le_bytes(*other);
        if different != 0 {
            return number * STEP + different.trailing_zeros() as usize / 8;
        }
    }
    let begun = ones.len().min(others.len()) * STEP;
    let (one, other) = (
        one.get(begun..).unwrap_or_default(),
        other.get(begun..).unwrap_or_default(),
    );
    let same = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other);
    begun + same.count()
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
            block: Vec::new(),
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
            false => match self.adapt(py, vars.block()) {
                Ok(kept) => kept,
                Err(error) => {
                    self.ambiguous = true;
                    return Err(error);
                }
            },
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
        let mut kept = Keep::Yes;
        let (mut rest, mut begin, mut next) = (block, 0, 0);
        loop {
            let known = self.block.get(begin..).unwrap_or_default();
            let same = begin + common_prefix(known, rest);
            while let Some(place) = self.places.get(next)
                && place.kept
                && place.end <= same
            {
                rest = rest.get(place.end - begin..).unwrap_or_default();
                begin = place.end;
                next += 1;
            }
            if next == self.places.len() {
                return Ok(Some(kept));
            }
            let Some((key, value)) = Vars::revisited(rest, 1).iter().next() else {
                return Ok(None);
            };
            let Some((bytes, behind)) = rest.split_at_checked(4 + key.len() + value.len()) else {
                return Ok(None);
            };
            if !self.change(py, next, begin, key, value, bytes)? {
                return Ok(None);
            }
            if let Some(place) = self.places.get(next) {
                begin = place.end;
                if !place.kept {
                    kept = Keep::No;
                }
            }
            rest = behind;
            next += 1;
        }
    }

    /// Gives the place, whose bytes begin at `begin`, another value; false when another variable stands there.
    fn change(
        &mut self,
        py: Python<'_>,
        number: usize,
        begin: usize,
        key: &[u8],
        value: &[u8],
        bytes: &[u8],
    ) -> PyResult<bool> {
        let Some(place) = self.places.get_mut(number).filter(|it| *it.key == *key) else {
            return Ok(false);
        };
        let (had_value, old) = (place.kept, begin..place.end);
        place.kept = place.keep(value) == Keep::Yes;
        let environ = self.environ.bind(py);
        let bytes = match place.kept {
            true => {
                if place.role != Role::Reserved {
                    environ.set_item(&place.name, text(py, value))?;
                }
                bytes
            }
            false => {
                if had_value {
                    environ.set_item(&place.name, pyo3::intern!(py, ""))?;
                }
                &[]
            }
        };
        match self.block.get_mut(old.clone()) {
            Some(there) if there.len() == bytes.len() => there.copy_from_slice(bytes),
            _ => self.replace(number, old, bytes),
        }
        Ok(true)
    }

    /// Puts bytes of another length where those of the place are; what follows moves.
    fn replace(&mut self, number: usize, old: Range<usize>, bytes: &[u8]) {
        let (before, after) = (old.len(), bytes.len());
        self.block.splice(old, bytes.iter().copied());
        for place in self.places.iter_mut().skip(number) {
            place.end = place.end + after - before;
        }
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
        self.block.clear();
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
                kept: false,
                end: 0,
            };
            let size = environ.len();
            place.kept = place.role == Role::Reserved || place.keep(value) == Keep::Yes;
            match place.kept {
                true => self.block.extend_from_slice(bytes),
                false => kept = Keep::No,
            }
            place.end = self.block.len();
            if place.role != Role::Reserved {
                let value = match place.kept {
                    true => text(py, value),
                    false => pyo3::intern!(py, "").clone(),
                };
                environ.set_item(&place.name, value)?;
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
            if in_order || !place.kept {
                environ.set_item(&place.name, text(py, value))?;
            }
            if place.role.tells() {
                note(place.role, value);
            }
        }
        Ok(())
    }
}
