//! Lines of the server itself: `tracing` events as text, or as JSON objects with `log-json`; and what the application
//! prints.

use std::fmt::{self, Write as _};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};
use uwgate_config::options::{Log, LogDate, Place};
use uwgate_sys::clock::{TimeForm, realtime_micros};

use super::{escape, outlet, times};

/// How lines look.
#[derive(Debug)]
struct Style {
    /// What each line begins with, before ` - `.
    date: Option<TimeForm>,
}

static STYLE: RwLock<Style> = RwLock::new(Style { date: None });

/// Kept apart, as the application's lines ask for it too.
static JSON: AtomicBool = AtomicBool::new(false);

/// Has this process write its lines as the options say.
pub(super) fn adopt(log: &Log) {
    JSON.store(log.log_json, Ordering::Relaxed);
    let date = log.log_date.as_ref().map(|date| match date {
        LogDate::Ctime => times::ctime(),
        LogDate::Strftime(form) => TimeForm::local(form),
    });
    if let Ok(mut style) = STYLE.write() {
        *style = Style { date };
    }
}

/// A `tracing` subscriber without spans: message first, then `key=value`, as uWSGI's plain lines.
pub(super) struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut bytes = match JSON.load(Ordering::Relaxed) {
            true => json_event(event),
            false => text_event(event),
        };
        outlet::write_line(&mut bytes);
    }
}

fn text_event(event: &Event<'_>) -> Vec<u8> {
    let mut text = Text::default();
    event.record(&mut text);
    let mut line = date();
    for part in text.message.split_inclusive('\n') {
        let content = part.trim_end_matches('\n');
        escape::append(&mut line, content.as_bytes(), Place::Plain);
        line.extend_from_slice(&part.as_bytes()[content.len()..]);
    }
    escape::append(&mut line, text.fields.as_bytes(), Place::Plain);
    line
}

fn date() -> Vec<u8> {
    let mut line = Vec::with_capacity(128);
    if let Ok(style) = STYLE.read()
        && let Some(date) = &style.date
    {
        times::append(&mut line, date, realtime_micros() / 1_000_000);
        line.extend_from_slice(b" - ");
    }
    line
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

fn json_event(event: &Event<'_>) -> Vec<u8> {
    let level = match *event.metadata().level() {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    };
    let mut object = Object::begin("server");
    object.text("level", level);
    event.record(&mut object);
    object.end()
}

/// A JSON object in the making.
struct Object(Vec<u8>);

impl Object {
    /// With the keys that every line has.
    fn begin(kind: &str) -> Self {
        Self::begin_for(kind, std::process::id())
    }

    fn begin_for(kind: &str, pid: impl fmt::Display) -> Self {
        let mut line = Vec::with_capacity(256);
        line.extend_from_slice(b"{\"time\":\"");
        times::append_iso(&mut line, &times::iso(), realtime_micros());
        line.push(b'"');
        let mut object = Self(line);
        object.text("type", kind);
        object.bare("pid", pid);
        object
    }

    fn key(&mut self, name: &str) {
        self.0.push(b',');
        escape::append(&mut self.0, name.as_bytes(), Place::JsonValue);
        self.0.push(b':');
    }

    fn text(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.key(name);
        escape::append(&mut self.0, value.as_ref(), Place::JsonValue);
    }

    /// A number or a truth value.
    fn bare(&mut self, name: &str, value: impl fmt::Display) {
        self.key(name);
        self.0.extend_from_slice(value.to_string().as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field.name(), value);
    }
}

/// A line of the server that is not written by this process in the usual way.
pub(super) fn own_line(message: &str) -> Vec<u8> {
    if JSON.load(Ordering::Relaxed) {
        let mut object = Object::begin("server");
        object.text("level", "info");
        object.text("message", message);
        return object.end();
    }
    let mut line = date();
    line.extend_from_slice(message.as_bytes());
    line
}

/// Writes a line in the form of the server's own, on behalf of the application (`uwsgi.log`).
pub fn write_as_server(message: &str) {
    outlet::write_line(&mut own_line(message));
}

/// The JSON object of a line that a program has written which knows nothing of `log-json`.
pub(super) fn foreign_line(pid: i32, text: &[u8]) -> Vec<u8> {
    let mut object = Object::begin_for("app", pid);
    object.text("message", text);
    object.end()
}

/// Which of its streams the application writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `sys.stdout`
    Stdout,
    /// `sys.stderr`
    Stderr,
}

impl Stream {
    fn write(self, lines: &[u8]) {
        match self {
            Self::Stdout => outlet::write_stdout(lines),
            Self::Stderr => outlet::write_stderr(lines),
        }
    }
}

/// Writes what the application has printed: whole lines, or the rest of one at a flush. With `log-json` it becomes one
/// object, however many lines it has, unless it is one already.
pub fn write_printed(stream: Stream, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    if !JSON.load(Ordering::Relaxed) || is_object(text) {
        return stream.write(text);
    }
    let mut line = printed(stream, text);
    line.push(b'\n');
    stream.write(&line);
}

fn printed(stream: Stream, text: &[u8]) -> Vec<u8> {
    let mut object = Object::begin("app");
    object.text(
        "stream",
        match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        },
    );
    object.text("message", text.strip_suffix(b"\n").unwrap_or(text));
    object.end()
}

/// An application that writes JSON knows what it does.
fn is_object(text: &[u8]) -> bool {
    text.starts_with(b"{") && text.ends_with(b"}\n") && !text[..text.len() - 1].contains(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_becomes_one_object() {
        let line = String::from_utf8(printed(Stream::Stderr, b"a \"b\"\n  c\n")).unwrap();
        assert!(line.starts_with("{\"time\":\"20"), "{line}");
        let rest = r#","stream":"stderr","message":"a \"b\"\n  c"}"#;
        assert!(line.ends_with(rest), "{line}");
        assert!(is_object(b"{\"a\": 1}\n"));
        assert!(!is_object(b"{\"a\": 1}\n{}\n"));
        assert!(!is_object(b"{"));
    }
}
