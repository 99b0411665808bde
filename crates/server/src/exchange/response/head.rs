//! The head: begun, begun anew, taken back, and ended when the length of the body is known or the first piece comes.

use uwgate_http::{
    BodyFramer, HeadWriter, HeaderError, HeaderMemory, IMF_FIXDATE_LEN, Plan, Protocol, imf_fixdate,
};

use super::{Response, Stage};

impl Response {
    /// Begins the head, or begins it anew; `status` is `b"200 OK"`. Then [`Response::header`] for each header.
    ///
    /// # Errors
    /// A malformed status. Nothing of an earlier head is left then.
    ///
    /// # Panics
    /// Never: once the head is sent ([`Response::is_sent`]) this is an error of the caller, and ignored.
    pub fn start(&mut self, status: &[u8]) -> Result<(), HeaderError> {
        if self.is_sent() {
            return Ok(());
        }
        self.forget();
        let head = HeadWriter::start(&mut self.out, self.rules, status)?.pause();
        self.tally.headers = 0;
        self.tally.status = head.status();
        self.stage = Stage::Head(head);
        Ok(())
    }

    /// Begins the head, with all its headers, as the last one of `memory`, which is known to be the same; false when
    /// that one was written for another protocol.
    pub fn start_again(&mut self, memory: &HeaderMemory) -> bool {
        if self.is_sent() {
            return false;
        }
        self.forget();
        let Some(writer) = HeadWriter::start_again(&mut self.out, self.rules, memory) else {
            return false;
        };
        let head = writer.pause();
        self.tally.headers = u16::try_from(head.headers()).unwrap_or(u16::MAX);
        self.tally.status = head.status();
        self.stage = Stage::Head(head);
        true
    }

    /// Has `memory` keep the head that was begun; `status` and the number of `headers` are what the application has
    /// given.
    pub fn remember_head(&mut self, memory: &mut HeaderMemory, status: &[u8], headers: usize) {
        if let Stage::Head(head) = &self.stage {
            head.resume(&mut self.out).remember(memory, status, headers);
        }
    }

    /// Adds a header to a head that was begun. What `memory` has seen in the same place is not checked again.
    ///
    /// # Errors
    /// What is wrong with it; the head is as it was before.
    pub fn remembered_header(
        &mut self,
        memory: &mut HeaderMemory,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeaderError> {
        self.add_header(|writer| writer.remembered_header(memory, name, value))
    }

    /// Adds a header to a head that was begun.
    ///
    /// # Errors
    /// What is wrong with it; the head is as it was before.
    pub fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        self.add_header(|writer| writer.header(name, value))
    }

    fn add_header(
        &mut self,
        add: impl FnOnce(&mut HeadWriter<'_>) -> Result<(), HeaderError>,
    ) -> Result<(), HeaderError> {
        if let Stage::Head(head) = &self.stage {
            let mut writer = head.resume(&mut self.out);
            add(&mut writer)?;
            self.stage = Stage::Head(writer.pause());
            self.tally.headers = self.tally.headers.saturating_add(1);
        }
        Ok(())
    }

    /// Takes a begun head back.
    pub fn forget(&mut self) {
        if let Stage::Head(head) = &self.stage {
            head.resume(&mut self.out).discard();
            self.stage = Stage::Unstarted;
            self.tally.status = 0;
        }
    }

    /// Says how long the body will be, for a Content-Length if the application gave none.
    pub fn announce(&mut self, body: u64) {
        self.finish_head(Some(body));
    }

    /// The Content-Length the application has given.
    pub fn content_length(&self) -> Option<u64> {
        match &self.stage {
            Stage::Head(head) => head.content_length(),
            Stage::Unstarted | Stage::Body(_) | Stage::Finished | Stage::Disconnected => None,
        }
    }

    pub(super) fn finish_head(&mut self, whole_body: Option<u64>) {
        let Stage::Head(head) = &self.stage else {
            return;
        };
        let head = *head;
        let date = now_as_date(self.rules.protocol);
        let Plan {
            body, keep_alive, ..
        } = head
            .resume(&mut self.out)
            .finish(whole_body, date.as_ref().map(|date| &date[..]));
        self.keep_alive = keep_alive;
        self.tally.head_bytes = u32::try_from(self.out.len() - self.sent).unwrap_or(u32::MAX);
        self.stage = Stage::Body(BodyFramer::new(body));
    }
}

/// HTTP wants a Date from whoever has a clock (RFC 9110 section 6.6.1); behind uwsgi the front server gives it.
fn now_as_date(protocol: Protocol) -> Option<[u8; IMF_FIXDATE_LEN]> {
    if matches!(protocol, Protocol::UwsgiHttp10 | Protocol::UwsgiHttp11) {
        return None;
    }
    thread_local! {
        static DATE: std::cell::Cell<(u64, [u8; IMF_FIXDATE_LEN])> =
            const { std::cell::Cell::new((u64::MAX, [0; IMF_FIXDATE_LEN])) };
    }
    let now = uwgate_sys::clock::coarse_realtime().as_secs();
    let (second, mut date) = DATE.get();
    if second != now {
        date = imf_fixdate(now);
        DATE.set((now, date));
    }
    Some(date)
}
