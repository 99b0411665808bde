//! The log.

use std::path::PathBuf;

use crate::log_format::LogFormat;
use crate::log_target::{Encoder, LogTo, Logger, Route};
use crate::origin::Located;

/// Which log lines there are, what they look like, where they go.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Log {
    /// No line per request, but for the exceptions below.
    pub disable_logging: bool,
    /// Exception: a status of 4xx.
    pub log_4xx: bool,
    /// Exception: a status of 5xx.
    pub log_5xx: bool,
    /// Exception: it took so many milliseconds; 0 is off.
    pub log_slow: u32,
    /// Exception: the answer's body has so many bytes; 0 is off.
    pub log_big: u64,
    /// Exception: the answer has no body.
    pub log_zero: bool,
    /// Exception: the answer was a file.
    pub log_sendfile: bool,
    /// Exception: the client was lost.
    pub log_ioerror: bool,
    /// The request line's form, when it is not the default one.
    pub log_format: Option<LogFormat>,
    /// `%(ftime)` has the form of `log_date`.
    pub log_format_strftime: bool,
    /// Microseconds in the default request line.
    pub log_micros: bool,
    /// The address is that of X-Forwarded-For.
    pub log_x_forwarded_for: bool,
    /// Memory in the default request line.
    pub memory_report: bool,
    /// What each line of the server begins with.
    pub log_date: Option<LogDate>,
    /// Every line is a JSON object.
    pub log_json: bool,
    /// Where everything goes, opened before privileges are dropped.
    pub logto: Option<Located<LogTo>>,
    /// Where everything goes, opened after privileges are dropped.
    pub logto2: Option<Located<LogTo>>,
    /// Empty the file of `logto` at the start.
    pub log_truncate: bool,
    /// Open log files anew at a reload.
    pub log_reopen: bool,
    /// Rotate the file of `logto` at so many bytes; 0 is never.
    pub log_maxsize: u64,
    /// What the rotated file is called.
    pub log_backupname: Option<Located<PathBuf>>,
    /// Log files belong to `uid` and `gid`.
    pub logfile_chown: bool,
    /// Mode of log files, such as `0o640`.
    pub logfile_chmod: Option<u32>,
    /// Destinations of all lines (but those of requests, if they have their own).
    pub logger: Vec<Located<Logger>>,
    /// Destinations of request lines.
    pub req_logger: Vec<Located<Logger>>,
    /// Which lines go to which named logger.
    pub log_route: Vec<Located<Route>>,
    /// Which request lines go to which named request logger.
    pub log_req_route: Vec<Located<Route>>,
    /// Lines to throw away.
    pub log_drain: Vec<Located<String>>,
    /// The only lines to keep.
    pub log_filter: Vec<Located<String>>,
    /// What is done to each line.
    pub log_encoder: Vec<Located<Encoder>>,
    /// What is done to each request line.
    pub log_req_encoder: Vec<Located<Encoder>>,
    /// All lines go through the master.
    pub log_master: bool,
    /// Longer lines are written in pieces; 0 is no limit of the operator's.
    pub log_master_bufsize: u64,
    /// Most bytes of a message of an rsyslog logger; 0 is what a datagram holds.
    pub rsyslog_packet_size: u32,
    /// Send what is beyond as further messages.
    pub rsyslog_split_messages: bool,
}

impl Log {
    /// Whether request lines travel apart from all others.
    pub fn separates_requests(&self) -> bool {
        !(self.req_logger.is_empty()
            && self.log_req_route.is_empty()
            && self.log_req_encoder.is_empty())
    }

    /// Whether lines go through the master, as something is to be done with them that no single process can do.
    pub fn collects(&self) -> bool {
        let goes_by_udp = |to: &Option<Located<LogTo>>| {
            to.as_ref()
                .is_some_and(|to| matches!(to.value, LogTo::Udp(_)))
        };
        self.log_master
            || self.separates_requests()
            || goes_by_udp(&self.logto)
            || goes_by_udp(&self.logto2)
            || !(self.logger.is_empty()
                && self.log_route.is_empty()
                && self.log_drain.is_empty()
                && self.log_filter.is_empty()
                && self.log_encoder.is_empty())
    }
}

/// `log-date`: what each line of the server begins with, before ` - `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogDate {
    /// `Fri Nov 20 16:33:54 2026`
    Ctime,
    /// A form of strftime.
    Strftime(String),
}
