use crate::header_memory::HeaderMemory;
use crate::response::{BodyMode, HeaderError, Plan, Protocol, ResponseRules};
use crate::{Method, bytes};

/// Most heads are shorter, the small body behind them included.
const HEAD: usize = 1024;

/// Writes a response head straight into the buffer that will be sent.
#[derive(Debug)]
#[must_use = "a head is complete only after finish()"]
pub struct HeadWriter<'a> {
    out: &'a mut Vec<u8>,
    head: PendingHead,
}

/// A head whose headers are written and whose end is not: how the body is framed may not be known before its first
/// bytes are. Holds no borrow, so that it can be kept between two calls into Python.
#[derive(Debug, Clone, Copy)]
#[must_use = "resume it and finish the head"]
pub struct PendingHead {
    rules: ResponseRules,
    /// Where the head begins in the buffer.
    start: usize,
    status: u16,
    content_length: Option<u64>,
    has_date: bool,
    has_server: bool,
    has_content_type: bool,
    /// Headers so far.
    headers: usize,
}

impl PendingHead {
    /// Goes on with the same buffer, to which nothing else may have been appended.
    pub fn resume(self, out: &mut Vec<u8>) -> HeadWriter<'_> {
        HeadWriter { out, head: self }
    }

    /// How many headers were written.
    pub const fn headers(&self) -> usize {
        self.headers
    }

    /// The status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The Content-Length that the application has given.
    pub const fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the application has given a Date.
    pub const fn has_date(&self) -> bool {
        self.has_date
    }

    /// Whether the application has given a Server.
    pub const fn has_server(&self) -> bool {
        self.has_server
    }

    /// Whether the application has given a Content-Type.
    pub const fn has_content_type(&self) -> bool {
        self.has_content_type
    }

    /// Whether the response may have a body at all (RFC 9110 section 6.4.1).
    fn may_have_body(&self) -> bool {
        self.rules.method != Method::Head && !self.is_bodiless_status()
    }

    const fn is_bodiless_status(&self) -> bool {
        matches!(self.status, 204 | 304)
    }

    fn body(&self) -> BodyMode {
        if !self.may_have_body() {
            return BodyMode::None;
        }
        match (self.content_length, self.rules.protocol) {
            (Some(length), _) => BodyMode::Length(length),
            (None, Protocol::Http11) => BodyMode::Chunked,
            (None, _) => BodyMode::Close,
        }
    }
}

impl<'a> HeadWriter<'a> {
    /// Begins a head behind what `out` holds. `status` is that of `start_response`: `b"200 OK"`.
    ///
    /// # Errors
    /// [`HeaderError::Status`] or [`HeaderError::StatusControl`]; nothing is written then.
    pub fn start(
        out: &'a mut Vec<u8>,
        rules: ResponseRules,
        status: &[u8],
    ) -> Result<Self, HeaderError> {
        let (code, reason) = split_status(status)?;
        let start = out.len();
        // One allocation for the heads of a connection, not five that double.
        out.reserve(HEAD);
        out.extend_from_slice(rules.protocol.version());
        out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
        out.push(b' ');
        match reason {
            // As uWSGI does for a bare code.
            [] => out.extend_from_slice(crate::reason(code).unwrap_or_default().as_bytes()),
            reason => out.extend_from_slice(reason),
        }
        out.extend_from_slice(b"\r\n");
        let head = PendingHead {
            rules,
            start,
            status: code,
            content_length: None,
            has_date: false,
            has_server: false,
            has_content_type: false,
            headers: 0,
        };
        Ok(Self { out, head })
    }

    /// Begins a head that is, headers included, the last one of `memory`: [`HeaderMemory::has_head`] and
    /// [`HeaderMemory::has`] said so. `None` when that one was written for another protocol.
    pub fn start_again(
        out: &'a mut Vec<u8>,
        rules: ResponseRules,
        memory: &HeaderMemory,
    ) -> Option<Self> {
        let (before, written) = memory.whole()?;
        if before.rules.protocol != rules.protocol {
            return None;
        }
        let start = out.len();
        out.reserve(HEAD);
        out.extend_from_slice(written);
        let head = PendingHead {
            rules,
            start,
            ..before
        };
        Some(Self { out, head })
    }

    /// Has `memory` keep the head so far for [`start_again`](Self::start_again); `status` and the number of `headers`
    /// are what the application has given.
    pub fn remember(&self, memory: &mut HeaderMemory, status: &[u8], headers: usize) {
        let written = self.out.get(self.head.start..).unwrap_or_default();
        memory.remember_whole(self.head, status, headers, written);
    }

    /// Appends a header of the application.
    ///
    /// A Content-Length that repeats itself is written once, and not at all where there must be none (204).
    ///
    /// # Errors
    /// Any but the status variants; the head is as it was before, so that the caller may also go on without.
    pub fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        let known = check(name, value)?;
        self.append(known, name, value)
    }

    /// As [`header`](Self::header), but what stood in the same place of an earlier head is not checked again.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn remembered_header(
        &mut self,
        memory: &mut HeaderMemory,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeaderError> {
        let place = self.head.headers;
        if let Some(known) = memory.find(place, name, value) {
            return self.append(known, name, value);
        }
        let known = check(name, value)?;
        memory.remember(place, known, name, value);
        self.append(known, name, value)
    }

    fn append(
        &mut self,
        known: Option<Known>,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeaderError> {
        match known {
            Some(Known::ContentLength) if !self.note_content_length(value)? => return Ok(()),
            Some(Known::ContentType) => self.head.has_content_type = true,
            Some(Known::Date) => self.head.has_date = true,
            Some(Known::Server) => self.head.has_server = true,
            Some(Known::ContentLength) | None => {}
        }
        self.head.headers += 1;
        self.put(name, value);
        Ok(())
    }

    /// Lets go of the buffer until [`PendingHead::resume`].
    pub fn pause(self) -> PendingHead {
        self.head
    }

    /// Takes the head out of the buffer again, as `start_response` with `exc_info` asks for.
    pub fn discard(self) {
        self.out.truncate(self.head.start);
    }

    /// Completes the head and decides how the body is framed.
    ///
    /// `one_item`: the body is known to be one item of so many bytes; it becomes the Content-Length if the
    /// application has given none and there may be one. `date`: the Date to be added if the application has given none.
    /// For uwsgi neither Date nor Connection nor Transfer-Encoding is added: that is the front server's work.
    pub fn finish(mut self, one_item: Option<u64>, date: Option<&[u8]>) -> Plan {
        if let Some(length) = one_item {
            self.add_content_length(length);
        }
        let body = self.head.body();
        let PendingHead {
            rules,
            status,
            has_date,
            ..
        } = self.head;
        let keep_alive = rules.keep_alive && rules.protocol.is_http() && body != BodyMode::Close;
        if rules.protocol.is_http() {
            if let Some(date) = date.filter(|_| !has_date) {
                self.put(b"Date", date);
            }
            if body == BodyMode::Chunked {
                self.put(b"Transfer-Encoding", b"chunked");
            }
            match (keep_alive, rules.protocol) {
                (false, _) => self.put(b"Connection", b"close"),
                (true, Protocol::Http10) => self.put(b"Connection", b"keep-alive"),
                (true, _) => {}
            }
        }
        self.out.extend_from_slice(b"\r\n");
        Plan {
            status,
            body,
            keep_alive,
        }
    }

    /// What a HEAD's body of no bytes says nothing about is how long the GET's would be.
    fn add_content_length(&mut self, length: u64) {
        let says_nothing = self.head.rules.method == Method::Head && length == 0;
        if self.head.content_length.is_some() || self.head.is_bodiless_status() || says_nothing {
            return;
        }
        self.head.content_length = Some(length);
        self.put(
            b"Content-Length",
            itoa::Buffer::new().format(length).as_bytes(),
        );
    }

    /// Whether the header is to be written.
    fn note_content_length(&mut self, value: &[u8]) -> Result<bool, HeaderError> {
        let length = bytes::length(bytes::trim_blanks(value)).ok_or(HeaderError::ContentLength)?;
        match self.head.content_length {
            Some(before) if before != length => Err(HeaderError::ContentLengthDiffers),
            Some(_) => Ok(false),
            None => {
                self.head.content_length = Some(length);
                Ok(self.head.status != 204 || !self.head.rules.protocol.is_http())
            }
        }
    }

    fn put(&mut self, name: &[u8], value: &[u8]) {
        self.out.reserve(name.len() + value.len() + 4);
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// The headers that the server looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    ContentLength,
    ContentType,
    Date,
    Server,
}

/// What kind of header it is, if the application may set it so.
fn check(name: &[u8], value: &[u8]) -> Result<Option<Known>, HeaderError> {
    if !bytes::is_token(name) {
        return Err(HeaderError::Name);
    }
    if bytes::has_control(value) {
        return Err(HeaderError::Value);
    }
    let is = |lower: &str| name.eq_ignore_ascii_case(lower.as_bytes());
    // Hop-by-hop are those of RFC 2616 section 13.5.1, as in the standard library's wsgiref, and Proxy-Connection.
    match name.len() {
        4 if is("date") => Ok(Some(Known::Date)),
        6 if is("server") => Ok(Some(Known::Server)),
        12 if is("content-type") => Ok(Some(Known::ContentType)),
        14 if is("content-length") => Ok(Some(Known::ContentLength)),
        2 if is("te") => Err(HeaderError::HopByHop),
        7 if is("upgrade") || is("trailer") => Err(HeaderError::HopByHop),
        8 if is("trailers") => Err(HeaderError::HopByHop),
        10 if is("connection") || is("keep-alive") => Err(HeaderError::HopByHop),
        16 if is("proxy-connection") => Err(HeaderError::HopByHop),
        17 if is("transfer-encoding") => Err(HeaderError::HopByHop),
        18 if is("proxy-authenticate") => Err(HeaderError::HopByHop),
        19 if is("proxy-authorization") => Err(HeaderError::HopByHop),
        _ => Ok(None),
    }
}

/// Status code and reason phrase. An interim (1xx) status is refused: the client would wait for the final one.
fn split_status(status: &[u8]) -> Result<(u16, &[u8]), HeaderError> {
    if bytes::has_control(status) {
        return Err(HeaderError::StatusControl);
    }
    let (code, reason) = match status.split_at_checked(3) {
        Some((code, [])) => (code, &b""[..]),
        Some((code, [b' ', reason @ ..])) => (code, reason),
        _ => return Err(HeaderError::Status),
    };
    let code = bytes::length(code).and_then(|code| u16::try_from(code).ok());
    match code {
        Some(code @ 200..) => Ok((code, reason)),
        _ => Err(HeaderError::Status),
    }
}
