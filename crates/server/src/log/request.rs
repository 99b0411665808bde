//! The line of one request, and the lines of refused ones.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use uwgate_config::options::{Log, LogFormat, Piece, Place, Value, Variable};
use uwgate_config::{Options, Protocol};
use uwgate_sys::clock::{TimeForm, coarse_realtime, realtime_micros};
use uwsgi_codec::Vars;

use super::gate::Gate;
use super::{escape, formats, memory, outlet, times};
use crate::connection::Refusal;
use crate::exchange::{Request, Tally};

/// Which requests are logged, and in what form.
#[derive(Debug)]
pub(crate) struct RequestLog {
    gate: Gate,
    format: LogFormat,
    /// What stands for a value that is not there.
    missing: &'static [u8],
    log_x_forwarded_for: bool,
    /// The format asks for the worker's memory.
    wants_memory: bool,
    /// The format asks for parts of seconds since 1970.
    wants_precision: bool,
    ltime: TimeForm,
    ftime: TimeForm,
    ctime: TimeForm,
    iso: TimeForm,
    pid: u32,
    worker: u32,
}

/// What the line says that neither request nor answer know.
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
    /// The peer did not take the answer.
    pub(crate) write_error: bool,
}

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl RequestLog {
    pub(crate) fn new(options: &Options, worker: u32) -> Self {
        let log = &options.log;
        let (format, missing) = formats::request_line(options);
        let wants_memory = format.values().any(|value| {
            use Variable::{Rss, RssM, Vsz, VszM};
            matches!(value, Value::Known(Vsz | Rss | VszM | RssM))
        });
        let wants_precision = format.values().any(|value| {
            use Variable::{Iso, Tmicros, Tmsecs};
            matches!(value, Value::Known(Iso | Tmicros | Tmsecs))
        });
        Self {
            gate: Gate::new(log),
            format,
            missing,
            log_x_forwarded_for: log.log_x_forwarded_for,
            wants_memory,
            wants_precision,
            ltime: times::apache(),
            ftime: ftime(log),
            ctime: times::ctime(),
            iso: times::iso(),
            pid: std::process::id(),
            worker,
        }
    }

    /// Whether options let no request be logged.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.gate, Gate::Shut)
    }

    /// Logs an answered request, if it is one to be logged.
    pub(crate) fn request(&self, request: &Request, tally: &Tally, context: &Context) {
        let io_error = context.write_error || request.is_broken();
        let asked = || request.notes().is_some_and(|notes| notes.log_anyway);
        let took = || context.begun.elapsed();
        if !self.gate.lets_through(tally, took, io_error) && !asked() {
            return;
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            let scene = Scene::new(self, request, tally, context);
            scene.compose(line);
            outlet::write_request(line);
        });
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

fn ftime(log: &Log) -> TimeForm {
    use uwgate_config::options::LogDate;

    match &log.log_date {
        Some(LogDate::Strftime(form)) if log.log_format_strftime => TimeForm::local(form),
        _ => times::apache(),
    }
}

/// One request at the moment of its line.
struct Scene<'a> {
    log: &'a RequestLog,
    vars: Vars<'a>,
    subject: Subject<'a>,
    request: &'a Request,
    tally: &'a Tally,
    context: &'a Context,
    took: Duration,
    /// Now, in microseconds since 1970.
    now: u64,
    /// Bytes of address space and of resident memory.
    memory: (u64, u64),
}

impl<'a> Scene<'a> {
    fn new(
        log: &'a RequestLog,
        request: &'a Request,
        tally: &'a Tally,
        context: &'a Context,
    ) -> Self {
        Self {
            log,
            vars: request.vars(),
            subject: Subject::of(request.vars(), log.log_x_forwarded_for),
            request,
            tally,
            context,
            took: context.begun.elapsed(),
            now: match log.wants_precision {
                true => realtime_micros(),
                false => u64::try_from(coarse_realtime().as_micros()).unwrap_or(u64::MAX),
            },
            memory: match log.wants_memory {
                true => memory::of_this_process(),
                false => (0, 0),
            },
        }
    }

    fn compose(&self, line: &mut Vec<u8>) {
        for piece in &self.log.format.pieces {
            match piece {
                Piece::Text(text) => line.extend_from_slice(text.as_bytes()),
                Piece::Value(Value::Known(variable), place) => self.known(line, *variable, *place),
                Piece::Value(Value::Request(name), place) => {
                    let name = name.as_bytes();
                    let added = || self.request.notes()?.var(name);
                    let value = self.vars.get(name).or_else(added);
                    self.free(line, value.unwrap_or_default(), *place);
                }
                Piece::Value(Value::Application(name), place) => {
                    let notes = self.request.notes();
                    let value = notes.and_then(|notes| notes.logvar(name.as_bytes()));
                    self.free(line, value.unwrap_or_default(), *place);
                }
            }
        }
    }

    fn known(&self, line: &mut Vec<u8>, variable: Variable, place: Place) {
        let (subject, tally, context) = (&self.subject, self.tally, self.context);
        let number = match variable {
            Variable::Uri => return self.text(line, subject.uri, place),
            Variable::Method => return self.text(line, subject.method, place),
            Variable::User => return self.text(line, subject.user, place),
            Variable::Addr => return self.text(line, subject.addr, place),
            Variable::Host => return self.text(line, subject.host, place),
            Variable::Proto => return self.text(line, subject.protocol, place),
            Variable::Uagent => return self.text(line, subject.user_agent, place),
            Variable::Referer => return self.text(line, subject.referer, place),
            Variable::Secs => return self.seconds(line),
            Variable::Ltime => return self.time(line, &self.log.ltime, place),
            Variable::Ftime => return self.time(line, &self.log.ftime, place),
            Variable::Ctime => return self.time(line, &self.log.ctime, place),
            Variable::Iso => return self.iso(line, place),
            Variable::App => return self.app(line, place),
            Variable::Via if tally.sendfile => return line.extend_from_slice(b" via sendfile()"),
            Variable::Via => return,
            Variable::Status => tally.status.into(),
            Variable::Rsize => tally.body_bytes,
            Variable::Hsize => tally.head_bytes.into(),
            Variable::Size => tally.bytes(),
            Variable::Cl => subject.content_length(),
            Variable::Micros => self.micros(),
            Variable::Msecs => self.micros() / 1000,
            Variable::Tmsecs => self.began() / 1000,
            Variable::Tmicros => self.began(),
            Variable::Time => self.began() / 1_000_000,
            Variable::Epoch => self.now / 1_000_000,
            Variable::Pid => self.log.pid.into(),
            Variable::Wid => self.log.worker.into(),
            Variable::Core => context.core as u64,
            Variable::Switches => tally.switches.into(),
            // uWSGI counts keys and values.
            Variable::Vars => self.vars.len() as u64 * 2,
            Variable::Pktsize => self.request.block_len() as u64,
            Variable::Modifier1 => self.request.modifier1().into(),
            Variable::Modifier2 => self.request.modifier2().into(),
            Variable::Headers => tally.headers.into(),
            Variable::Vsz => self.memory.0,
            Variable::Rss => self.memory.1,
            Variable::VszM => self.memory.0 >> 20,
            Variable::RssM => self.memory.1 >> 20,
            Variable::Werr => context.write_error.into(),
            Variable::Rerr => self.request.is_broken().into(),
            Variable::Ioerr => u64::from(context.write_error) + u64::from(self.request.is_broken()),
            Variable::Request => context.worker_requests,
            Variable::Total => context.total_requests,
        };
        digits(line, number);
    }

    /// A value of the peer's.
    fn text(&self, line: &mut Vec<u8>, value: &[u8], place: Place) {
        match (value, place) {
            ([], Place::JsonValue) => line.extend_from_slice(b"null"),
            ([], _) => line.extend_from_slice(self.log.missing),
            (value, place) => escape::append(line, value, place),
        }
    }

    /// A value that may be meant as a number.
    fn free(&self, line: &mut Vec<u8>, value: &[u8], place: Place) {
        match place {
            Place::JsonValue if is_json_number(value) => line.extend_from_slice(value),
            place => self.text(line, value, place),
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX)
    }

    /// When it began, in microseconds since 1970.
    fn began(&self) -> u64 {
        self.now.saturating_sub(self.micros())
    }

    fn seconds(&self, line: &mut Vec<u8>) {
        let micros = self.micros();
        digits(line, micros / 1_000_000);
        line.push(b'.');
        times::append_six_digits(line, micros % 1_000_000);
    }

    fn time(&self, line: &mut Vec<u8>, form: &TimeForm, place: Place) {
        in_quotes(line, place, |line| {
            times::append(line, form, self.began() / 1_000_000);
        });
    }

    fn iso(&self, line: &mut Vec<u8>, place: Place) {
        in_quotes(line, place, |line| {
            times::append_iso(line, &self.log.iso, self.began());
        });
    }

    fn app(&self, line: &mut Vec<u8>, place: Place) {
        match (self.context.app, place) {
            (Some(app), _) => digits(line, app.into()),
            (None, Place::JsonValue) => line.extend_from_slice(b"null"),
            (None, _) => line.extend_from_slice(b"-1"),
        }
    }
}

fn digits(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Text of ours, which needs no escaping.
fn in_quotes(line: &mut Vec<u8>, place: Place, write: impl FnOnce(&mut Vec<u8>)) {
    let quoted = place == Place::JsonValue;
    line.extend(quoted.then_some(b'"'));
    write(line);
    line.extend(quoted.then_some(b'"'));
}

/// A whole number as JSON writes it, of a size that every reader takes.
fn is_json_number(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let leads = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
    leads && digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit)
}

/// The variables that lines name.
#[derive(Default)]
struct Subject<'a> {
    addr: &'a [u8],
    user: &'a [u8],
    method: &'a [u8],
    uri: &'a [u8],
    protocol: &'a [u8],
    host: &'a [u8],
    user_agent: &'a [u8],
    referer: &'a [u8],
    content_length: &'a [u8],
}

impl<'a> Subject<'a> {
    fn of(vars: Vars<'a>, forwarded_for: bool) -> Self {
        let mut subject = Self::default();
        let mut forwarded: &[u8] = &[];
        for (key, value) in vars {
            match key {
                b"REMOTE_ADDR" => subject.addr = value,
                b"REMOTE_USER" => subject.user = value,
                b"REQUEST_METHOD" => subject.method = value,
                b"REQUEST_URI" => subject.uri = value,
                b"SERVER_PROTOCOL" => subject.protocol = value,
                b"HTTP_HOST" => subject.host = value,
                b"HTTP_USER_AGENT" => subject.user_agent = value,
                b"HTTP_REFERER" => subject.referer = value,
                b"CONTENT_LENGTH" => subject.content_length = value,
                b"HTTP_X_FORWARDED_FOR" => forwarded = value,
                _ => {}
            }
        }
        if forwarded_for && !forwarded.is_empty() {
            subject.addr = forwarded;
        }
        subject
    }

    fn content_length(&self) -> u64 {
        let digits = str::from_utf8(self.content_length).ok();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use uwgate_config::options::LogDate;

    use super::*;
    use crate::exchange::{Block, Trust};

    const TALLY: Tally = Tally {
        status: 200,
        headers: 2,
        head_bytes: 51,
        body_bytes: 11,
        sendfile: false,
        switches: 2,
    };

    /// The line of a request with these variables.
    fn line(options: &Options, vars: &[(&[u8], &[u8])], noted: &[(&[u8], &[u8])]) -> Vec<u8> {
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let trust = Trust {
            forwarded: false,
            uwsgi: false,
        };
        let detach: crate::exchange::Detach = |wait| wait();
        let socket = Arc::new(std::os::fd::OwnedFd::from(socket));
        let mut request = Request::new(socket, Duration::ZERO, detach, trust);
        let mut block = Vec::new();
        for text in vars.iter().flat_map(|(key, value)| [key, value]) {
            block.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
            block.extend_from_slice(text);
        }
        request.block = Block::Translated(block.into());
        request.var_count = vars.len();
        for (name, value) in noted {
            request.notes_mut().set_logvar(name, value);
        }
        let context = Context {
            app: None,
            worker_requests: 3,
            total_requests: 7,
            core: 0,
            begun: Instant::now(),
            write_error: true,
        };
        let log = RequestLog::new(options, 4);
        let mut line = Vec::new();
        Scene::new(&log, &request, &TALLY, &context).compose(&mut line);
        line
    }

    fn formatted(format: &str, vars: &[(&[u8], &[u8])]) -> String {
        let mut options = Options::default();
        options.log.log_format = Some(LogFormat::parse(format));
        String::from_utf8(line(&options, vars, &[(b"mine", b"m"), (b"nothing", b"")])).unwrap()
    }

    #[test]
    fn values_stand_where_the_format_says() {
        let vars: &[(&[u8], &[u8])] = &[
            (b"REMOTE_ADDR", b"10.0.0.1"),
            (b"REQUEST_METHOD", b"POST"),
            (b"CONTENT_LENGTH", b"17"),
            (b"REMOTE_USER", b""),
            (b"HTTP_X", b"a b"),
        ];
        for (format, expected) in [
            ("%(addr) %(method) %(user) %(uri)", "10.0.0.1 POST - -"),
            (
                "%(cl) %(status) %(rsize) %(hsize) %(size)",
                "17 200 11 51 62",
            ),
            ("%(wid) %(core) %(vars) %(pktsize)", "4 0 10 93"),
            (
                "%(switches) %(headers) %(werr) %(rerr) %(ioerr)",
                "2 2 1 0 1",
            ),
            (
                "%(var.HTTP_X) %(var.NONE) %(mine) %(nothing) %(no)",
                "a b - m - -",
            ),
            (
                "%(uwgate.request)/%(uwgate.total) %(uwgate.app)%(uwgate.via)",
                "3/7 -1",
            ),
            ("100%% %(addr %", "100%% %(addr %"),
            (
                r#"{"a":%(var.CONTENT_LENGTH),"b":%(user),"c":%(mine)}"#,
                r#"{"a":17,"b":null,"c":"m"}"#,
            ),
        ] {
            assert_eq!(formatted(format, vars), expected, "{format}");
        }
    }

    #[test]
    fn times_agree_with_each_other() {
        let times = formatted(
            "%(time) %(tmsecs) %(tmicros) %(epoch) %(secs) %(micros)",
            &[],
        );
        let times: Vec<f64> = times.split(' ').map(|it| it.parse().unwrap()).collect();
        let [time, millis, micros, epoch, secs, took] = times[..] else {
            panic!("{times:?}");
        };
        assert!(time <= millis / 1e3 && millis / 1e3 <= micros / 1e6 && time <= epoch);
        assert!((secs * 1e6 - took).abs() < 1.0);
        let mut options = Options::default();
        options.log.log_format = Some(LogFormat::parse("%(ftime)"));
        options.log.log_date = Some(LogDate::Strftime("%%~".into()));
        assert!(line(&options, &[], &[]).contains(&b':'));
        options.log.log_format_strftime = true;
        assert_eq!(line(&options, &[], &[]), b"%~");
    }

    #[test]
    fn the_forwarded_address_counts_when_it_is_asked_for() {
        let vars: &[(&[u8], &[u8])] = &[
            (b"HTTP_X_FORWARDED_FOR", b"9.9.9.9, 8.8.8.8"),
            (b"REMOTE_ADDR", b"10.0.0.1"),
        ];
        let mut options = Options::default();
        options.log.log_format = Some(LogFormat::parse("%(addr)"));
        assert_eq!(line(&options, vars, &[]), b"10.0.0.1");
        options.log.log_x_forwarded_for = true;
        assert_eq!(line(&options, vars, &[]), b"9.9.9.9, 8.8.8.8");
    }

    const KEYS: [&[u8]; 8] = [
        b"REQUEST_URI",
        b"REMOTE_USER",
        b"REQUEST_METHOD",
        b"REMOTE_ADDR",
        b"HTTP_USER_AGENT",
        b"HTTP_REFERER",
        b"CONTENT_LENGTH",
        b"HTTP_X",
    ];

    const FORMATS: [&str; 6] = [
        "%(addr) - %(user) [%(ltime)] \"%(method) %(uri) %(proto)\" %(status) \"%(referer)\" \"%(uagent)\"",
        r#"{"uri":"%(uri)","user":%(user),"x":%(var.HTTP_X),"l":%(var.CONTENT_LENGTH),"mine":%(mine)}"#,
        r#"json: {"a":["%(uagent) by %(user)",{"%(method)":"%(var.HTTP_X)"}],"t":%(ltime),"secs":%(secs)}"#,
        "%(uri) %(mine) %(var.HTTP_X) %(cl)",
        "log-json",
        "default",
    ];

    fn options(format: &str) -> Options {
        let mut options = Options::default();
        match format {
            "log-json" => options.log.log_json = true,
            "default" => {}
            format => options.log.log_format = Some(LogFormat::parse(format)),
        }
        options
    }

    proptest! {
        #[test]
        fn no_byte_of_a_peer_gets_out_of_its_place(
            values in prop::array::uniform8(prop::collection::vec(any::<u8>(), 0..40)),
            mine in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let vars: Vec<(&[u8], &[u8])> =
                KEYS.into_iter().zip(values.iter().map(|value| &value[..])).collect();
            for format in FORMATS {
                let line = line(&options(format), &vars, &[(b"mine", &mine)]);
                let text = String::from_utf8(line).expect("a line is UTF-8");
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
                if let Some(at) = text.find('{').filter(|_| format.contains("json") || format.starts_with('{')) {
                    let parsed = serde_json::from_str::<serde_json::Value>(&text[at..]);
                    prop_assert!(parsed.is_ok(), "{text}");
                }
                if format.starts_with("%(addr) -") {
                    let escaped = text.replace(r"\\", "").replace("\\\"", "");
                    // Outside of quotes they are harmless.
                    let quotes = escaped.split("] \"").last().unwrap_or("").matches('"').count();
                    prop_assert_eq!(quotes % 2, 1, "{}", text);
                }
            }
        }
    }
}
