//! An HTTP response as a test sees it.

use std::fmt;

/// A parsed response. Header names keep their case and order.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub version: String,
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Where the body of a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body, whatever the headers say: answers to HEAD, 1xx, 204, 304.
    None,
    Length(usize),
    Chunked,
    Close,
}

impl Response {
    /// Parses a head (everything up to and with the empty line); the body is left empty.
    ///
    /// # Panics
    /// On anything that is not a proper HTTP response head: no server may send that.
    pub fn parse_head(head: &[u8]) -> Self {
        let text = String::from_utf8(head.to_vec())
            .unwrap_or_else(|_| panic!("not ASCII: {:?}", String::from_utf8_lossy(head)));
        let mut lines = text
            .strip_suffix("\r\n\r\n")
            .expect("ends with an empty line")
            .split("\r\n");
        let status_line = lines.next().expect("split gives one item at least");
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        assert!(
            matches!(version, "HTTP/1.0" | "HTTP/1.1"),
            "not a status line: {status_line:?}"
        );
        let status = words.next().and_then(|word| word.parse().ok());
        Self {
            version: version.to_owned(),
            status: status.unwrap_or_else(|| panic!("no status in {status_line:?}")),
            reason: words.next().unwrap_or_default().to_owned(),
            headers: lines.map(header_line).collect(),
            body: Vec::new(),
        }
    }

    /// The value of a header that occurs once.
    ///
    /// # Panics
    /// When it occurs more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.header_values(name);
        assert!(values.len() <= 1, "{name} occurs twice in {self:?}");
        values.first().copied()
    }

    /// All values of a header, in order.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// How the body of this response, an answer to a request by `method`, is delimited.
    pub fn framing(&self, method: &str) -> Framing {
        if method == "HEAD" || self.status < 200 || matches!(self.status, 204 | 304) {
            return Framing::None;
        }
        let chunked = self.header("transfer-encoding").is_some();
        let length = self.header("content-length");
        assert!(
            !(chunked && length.is_some()),
            "two framings at once: {self:?}"
        );
        match length {
            _ if chunked => Framing::Chunked,
            Some(length) => Framing::Length(length.parse().expect("a Content-Length is a number")),
            None => Framing::Close,
        }
    }

    /// The body, which must be UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_else(|_| panic!("not UTF-8: {self:?}"))
    }

    /// Fails unless the status is `status`; returns the response to go on with.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

fn header_line(line: &str) -> (String, String) {
    let (name, value) = line
        .split_once(':')
        .unwrap_or_else(|| panic!("a header without a colon: {line:?}"));
    assert!(
        !name.is_empty() && !name.contains([' ', '\t']),
        "a bad header name: {line:?}"
    );
    (name.to_owned(), value.trim().to_owned())
}

/// As it stands on the wire, with a long body cut.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.version, self.status, self.reason)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        let shown = &self.body[..self.body.len().min(2_000)];
        write!(
            f,
            "({} bytes) {}",
            self.body.len(),
            String::from_utf8_lossy(shown)
        )
    }
}
