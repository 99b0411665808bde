//! Where lines go: everything a person reads leaves through file descriptor 2, one `write` a line, so that lines of
//! several processes never mix.

pub(crate) mod request;

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};
use uwgate_config::Located;

/// Makes `tracing` events of this process plain lines on file descriptor 2.
///
/// Called once at the start of each role; a second call changes nothing.
pub fn init() {
    let _ = tracing::subscriber::set_global_default(Lines);
}

/// Sends everything this process and its children print to a file, if one is named.
///
/// # Errors
/// One sentence, when the file cannot be opened.
pub(crate) fn redirect(file: &Option<Located<PathBuf>>) -> Result<(), String> {
    let Some(file) = file else {
        return Ok(());
    };
    let open = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file.value);
    open.and_then(|log| {
        rustix::stdio::dup2_stdout(&log)?;
        Ok(rustix::stdio::dup2_stderr(&log)?)
    })
    .map_err(|error| {
        format!(
            "{}: cannot log to {}: {error}",
            file.origin,
            file.value.display()
        )
    })
}

/// Writes `line` and its newline at once.
pub fn write_line(line: &mut Vec<u8>) {
    line.push(b'\n');
    let mut rest: &[u8] = line;
    let stderr = rustix::stdio::stderr();
    while !rest.is_empty() {
        match rustix::io::write(stderr, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // Nobody left to tell.
            Err(_) => return,
        }
    }
}

/// A `tracing` subscriber without spans: message first, then `key=value`, as uWSGI's plain lines.
struct Lines;

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
        let mut line = Line::default();
        event.record(&mut line);
        let mut bytes = [line.message, line.fields].concat().into_bytes();
        write_line(&mut bytes);
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
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
