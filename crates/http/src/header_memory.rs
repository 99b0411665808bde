//! Headers of earlier heads that were found well-formed.

use crate::head_writer::{Known, PendingHead};

/// So many places are remembered.
const PLACES: usize = 16;

/// A longer value is seldom the same again.
const VALUE_KEPT: usize = 192;

/// Most headers of an application are the same in each response, and in the same place. What has been checked there is
/// compared instead of checked again. One for each thread; kept by whoever makes the responses.
#[derive(Debug, Default)]
pub struct HeaderMemory {
    places: Vec<Place>,
    /// All headers of the head that is being written stand in their places.
    has_all: bool,
    whole: Whole,
}

/// The last head as it was written.
#[derive(Debug, Default)]
struct Whole {
    /// `None` when the memory has not all of its headers.
    head: Option<PendingHead>,
    status: Vec<u8>,
    written: Vec<u8>,
}

/// A header that was checked; empty when there is none.
#[derive(Debug, Default)]
struct Place {
    known: Option<Known>,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl HeaderMemory {
    /// Whether the last head had this status and so many headers, and the memory has them all:
    /// [`has`](Self::has) tells for each whether it is the same now.
    pub fn has_head(&self, status: &[u8], headers: usize) -> bool {
        let head = self.whole.head.as_ref();
        head.is_some_and(|head| head.headers() == headers) && self.whole.status == status
    }

    /// Whether this header stood in the same place of the last head.
    #[inline]
    pub fn has(&self, place: usize, name: &[u8], value: &[u8]) -> bool {
        let place = self.places.get(place);
        place.is_some_and(|place| place.name == name && place.value == value)
    }

    /// A head is going to be written header by header.
    pub fn begin(&mut self) {
        self.has_all = true;
        self.whole.head = None;
    }

    /// The last head, and how it was written.
    pub(crate) fn whole(&self) -> Option<(PendingHead, &[u8])> {
        let Whole { head, written, .. } = &self.whole;
        head.map(|head| (head, &written[..]))
    }

    /// A head was written; `status` and the number of `headers` are what the application has given.
    pub(crate) fn remember_whole(
        &mut self,
        head: PendingHead,
        status: &[u8],
        headers: usize,
        written: &[u8],
    ) {
        // A text that is not ASCII would be other bytes in Python's UTF-8 than in the head.
        if !self.has_all || head.headers() != headers || !written.is_ascii() {
            return;
        }
        let whole = &mut self.whole;
        whole.head = Some(head);
        whole.status.clear();
        whole.status.extend_from_slice(status);
        whole.written.clear();
        whole.written.extend_from_slice(written);
    }

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
            self.has_all = false;
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
    use crate::{HeadWriter, Method, Protocol, ResponseRules};

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

    type Headers<'a> = &'a [[&'a [u8]; 2]];

    fn written(
        memory: &mut HeaderMemory,
        protocol: Protocol,
        status: &[u8],
        headers: Headers<'_>,
    ) -> Vec<u8> {
        let rules = ResponseRules {
            protocol,
            method: Method::Get,
            keep_alive: true,
        };
        let mut out = b"before".to_vec();
        let all = |memory: &HeaderMemory| {
            let mut headers = headers.iter().enumerate();
            headers.all(|(place, [name, value])| memory.has(place, name, value))
        };
        if memory.has_head(status, headers.len())
            && all(memory)
            && let Some(again) = HeadWriter::start_again(&mut out, rules, memory)
        {
            again.finish(Some(5), None);
            out.push(b'!');
            return out;
        }
        memory.begin();
        let mut writer = HeadWriter::start(&mut out, rules, status).unwrap();
        for [name, value] in headers {
            let _ = writer.remembered_header(memory, name, value);
        }
        writer.remember(memory, status, headers.len());
        writer.finish(Some(5), None);
        out
    }

    #[test]
    fn a_head_like_the_last_one_is_written_again_as_it_was() {
        let protocol = Protocol::Http11;
        let headers: [[&[u8]; 2]; 2] =
            [[b"Content-Type", b"text/plain"], [b"Content-Length", b"5"]];
        let memory = &mut HeaderMemory::default();
        let mut first = written(memory, protocol, b"200 OK", &headers);
        first.push(b'!');
        assert_eq!(written(memory, protocol, b"200 OK", &headers), first);
        let others: [(Protocol, &[u8], Headers<'_>); 4] = [
            (Protocol::Http10, b"200 OK", &headers),
            (protocol, b"200 Ok", &headers),
            (protocol, b"200 OK", &headers[..1]),
            (
                protocol,
                b"200 OK",
                &[headers[0], [b"Content-Length", b"6"]],
            ),
        ];
        for (protocol, status, others) in others {
            let other = written(memory, protocol, status, others);
            assert!(!other.ends_with(b"!") && other != first);
            written(memory, Protocol::Http11, b"200 OK", &headers);
        }
    }

    #[test]
    fn a_head_is_not_kept_unless_all_of_it_is_known() {
        let unknown: [Headers<'_>; 4] = [
            &[[b"Set-Cookie", b"secret"]],
            &[[b"X", b"\xe9"]],
            &[[b"Connection", b"close"]],
            &[[b"Content-Length", b"5"], [b"Content-Length", b"5"]],
        ];
        for headers in unknown {
            let memory = &mut HeaderMemory::default();
            for _ in 0..2 {
                assert!(!written(memory, Protocol::Http11, b"200 OK", headers).ends_with(b"!"));
            }
        }
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
