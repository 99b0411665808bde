//! The line of one request, in uWSGI's default form, and the lines of refused ones.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::Instant;

use uwgate_config::Protocol;
use uwsgi_codec::Vars;

use super::write_line;
use crate::connection::Refusal;
use crate::exchange::Tally;

/// What of a request is logged, and where.
#[derive(Debug)]
pub(crate) struct RequestLog {
    /// False with `disable-logging`.
    pub(crate) enabled: bool,
    /// The worker's process id.
    pub(crate) pid: u32,
}

/// What the line says that neither variables nor answer know.
pub(crate) struct Context {
    /// Which application answered.
    pub(crate) app: Option<u16>,
    /// Requests of this worker, this one included.
    pub(crate) worker_requests: u64,
    /// Requests of the instance, this one included.
    pub(crate) total_requests: u64,
    /// The thread.
    pub(crate) core: usize,
    /// When the application was called.
    pub(crate) begun: Instant,
}

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl RequestLog {
    /// Logs an answered request.
    pub(crate) fn request(&self, vars: Vars<'_>, block: usize, tally: &Tally, context: &Context) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            // Writing to a Vec cannot fail.
            let _ = self.compose(line, &Subject::of(vars), block, tally, context);
            write_line(line);
        });
    }

    fn compose(
        &self,
        line: &mut Vec<u8>,
        subject: &Subject<'_>,
        block: usize,
        tally: &Tally,
        context: &Context,
    ) -> std::io::Result<()> {
        let app = context.app.map_or(-1, i32::from);
        write!(
            line,
            "[pid: {}|app: {app}|req: {}/{}] ",
            self.pid, context.worker_requests, context.total_requests
        )?;
        escape(line, subject.addr);
        line.extend_from_slice(b" (");
        escape(line, subject.user);
        let now = uwgate_sys::clock::local_ctime();
        // uWSGI counts keys and values.
        let vars = subject.vars * 2;
        write!(line, ") {{{vars} vars in {block} bytes}} [{now}] ")?;
        escape(line, subject.method);
        line.push(b' ');
        escape(line, subject.uri);
        let millis = context.begun.elapsed().as_millis();
        write!(
            line,
            " => generated {} bytes in {millis} msecs{} (",
            tally.body_bytes,
            if tally.sendfile {
                " via sendfile()"
            } else {
                ""
            }
        )?;
        escape(line, subject.protocol);
        write!(
            line,
            " {}) {} headers in {} bytes ({} switches on core {})",
            tally.status, tally.headers, tally.head_bytes, tally.switches, context.core
        )
    }

    /// Logs a request that never reached the application, whatever `disable-logging` says: it explains an answer
    /// that nobody else will explain.
    pub(crate) fn refused(
        &self,
        refusal: &Refusal,
        protocol: Protocol,
        listener: &str,
        addr: &str,
    ) {
        let protocol = match protocol {
            Protocol::Uwsgi => "uwsgi",
            Protocol::Http => "HTTP",
        };
        let from = if addr.is_empty() { "a unix peer" } else { addr };
        tracing::warn!(
            "{protocol} request from {from} on {listener} refused with {}: {}{}",
            refusal.reject.status(),
            refusal.reject.sentence(),
            refusal.detail
        );
    }
}

/// The variables the line names.
#[derive(Default)]
struct Subject<'a> {
    addr: &'a [u8],
    user: &'a [u8],
    method: &'a [u8],
    uri: &'a [u8],
    protocol: &'a [u8],
    vars: usize,
}

impl<'a> Subject<'a> {
    fn of(vars: Vars<'a>) -> Self {
        let mut subject = Self::default();
        for (key, value) in vars {
            subject.vars += 1;
            match key {
                b"REMOTE_ADDR" => subject.addr = value,
                b"REMOTE_USER" => subject.user = value,
                b"REQUEST_METHOD" => subject.method = value,
                b"REQUEST_URI" => subject.uri = value,
                b"SERVER_PROTOCOL" => subject.protocol = value,
                _ => {}
            }
        }
        subject
    }
}

/// A peer's bytes must not begin a line of their own or move the cursor of whoever reads the log.
fn escape(line: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        match byte {
            0x20..=0x7e | 0x80.. => line.push(byte),
            _ => line.extend(std::ascii::escape_default(byte)),
        }
    }
}
