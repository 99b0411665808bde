//! Headers of earlier heads that were found well-formed.

use crate::head_writer::Known;

/// So many places are remembered.
const PLACES: usize = 16;

/// A longer value is seldom the same again.
const VALUE_KEPT: usize = 192;

/// Most headers of an application are the same in each response, and in the same place. What has been checked there is
/// compared instead of checked again. One for each thread; kept by whoever makes the responses.
#[derive(Debug, Default)]
pub struct HeaderMemory {
    places: Vec<Place>,
}

/// A header that was checked; empty when there is none.
#[derive(Debug, Default)]
struct Place {
    known: Option<Known>,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl HeaderMemory {
    /// What kind of header this is, if it stood in the same place before.
    pub(crate) fn find(&self, place: usize, name: &[u8], value: &[u8]) -> Option<Option<Known>> {
        let place = self.places.get(place)?;
        // An empty place must not be taken for an empty header, which nobody has checked.
        let same = !name.is_empty() && place.name == name && place.value == value;
        same.then_some(place.known)
    }

    /// Keeps a header that was checked, unless it is one of a single client's.
    pub(crate) fn remember(
        &mut self,
        place: usize,
        known: Option<Known>,
        name: &[u8],
        value: &[u8],
    ) {
        if place >= PLACES || value.len() > VALUE_KEPT || is_secret(name) {
            return;
        }
        while self.places.len() <= place {
            self.places.push(Place::default());
        }
        if let Some(place) = self.places.get_mut(place) {
            place.known = known;
            place.name.clear();
            place.name.extend_from_slice(name);
            place.value.clear();
            place.value.extend_from_slice(value);
        }
    }
}

fn is_secret(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"set-cookie")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_header_in_the_same_place_is_found() {
        let mut memory = HeaderMemory::default();
        assert_eq!(memory.find(0, b"", b""), None);
        memory.remember(1, Some(Known::Date), b"Date", b"today");
        assert_eq!(memory.find(1, b"Date", b"today"), Some(Some(Known::Date)));
        assert_eq!(memory.find(1, b"Date", b"todaY"), None);
        assert_eq!(memory.find(1, b"date", b"today"), None);
        assert_eq!(memory.find(2, b"Date", b"today"), None);
    }

    #[test]
    fn an_empty_name_was_never_checked() {
        let mut memory = HeaderMemory::default();
        memory.remember(1, None, b"X", b"1");
        assert_eq!(memory.find(0, b"", b""), None);
    }

    #[test]
    fn cookies_and_long_values_are_not_kept() {
        let mut memory = HeaderMemory::default();
        memory.remember(0, None, b"Set-Cookie", b"secret");
        memory.remember(1, None, b"X", &[b'x'; 193]);
        assert_eq!(memory.find(0, b"Set-Cookie", b"secret"), None);
        assert_eq!(memory.find(1, b"X", &[b'x'; 193]), None);
    }
}
