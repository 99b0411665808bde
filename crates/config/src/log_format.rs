//! `log-format` as data: literal text and values, each value with the place it stands in, which decides how a peer's
//! bytes are made harmless there.

use std::fmt;

/// The form of a request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// Text and values in order.
    pub pieces: Vec<Piece>,
}

/// A part of a [`LogFormat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Written as it is.
    Text(Box<str>),
    /// Written anew for each request.
    Value(Value, Place),
}

/// What a `%(name)` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One of [`VARIABLES`].
    Known(Variable),
    /// `%(var.NAME)`: a variable of the request.
    Request(Box<str>),
    /// Any other name: what the application has set with `uwsgi.set_logvar`.
    Application(Box<str>),
}

/// Where in the line a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In plain text.
    Plain,
    /// Between double quotes.
    Quoted,
    /// Inside a JSON string.
    JsonString,
    /// In JSON, where a whole value is expected.
    JsonValue,
}

macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// A value that every request has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Variable {
            $($(#[$doc])* $variant,)*
        }

        /// All of them by name.
        pub const VARIABLES: &[(&str, Variable)] = &[$(($name, Variable::$variant),)*];
    };
}

variables! {
    /// REQUEST_URI
    Uri "uri",
    /// REQUEST_METHOD
    Method "method",
    /// REMOTE_USER
    User "user",
    /// REMOTE_ADDR, or X-Forwarded-For with `log-x-forwarded-for`
    Addr "addr",
    /// HTTP_HOST
    Host "host",
    /// SERVER_PROTOCOL
    Proto "proto",
    /// HTTP_USER_AGENT
    Uagent "uagent",
    /// HTTP_REFERER
    Referer "referer",
    /// The status code
    Status "status",
    /// Bytes of the response's body
    Rsize "rsize",
    /// Bytes of the response's head
    Hsize "hsize",
    /// Bytes of the response
    Size "size",
    /// The request's Content-Length
    Cl "cl",
    /// Microseconds it took
    Micros "micros",
    /// Milliseconds it took
    Msecs "msecs",
    /// Seconds it took, with six decimals
    Secs "secs",
    /// When it began, in milliseconds since 1970
    Tmsecs "tmsecs",
    /// When it began, in microseconds since 1970
    Tmicros "tmicros",
    /// When it began, in seconds since 1970
    Time "time",
    /// When it began, as Apache writes it: `20/Nov/2026:16:33:48 +0100`
    Ltime "ltime",
    /// As `ltime`, or in the form of `log-date` with `log-format-strftime`
    Ftime "ftime",
    /// When it began, as `ctime` writes it
    Ctime "ctime",
    /// Now, in seconds since 1970
    Epoch "epoch",
    /// The worker's process id
    Pid "pid",
    /// The worker's number
    Wid "wid",
    /// The thread that served it
    Core "core",
    /// How often the application was asked for more
    Switches "switches",
    /// Keys and values of the request
    Vars "vars",
    /// Bytes of the request's variables
    Pktsize "pktsize",
    /// The uwsgi packet's modifier1
    Modifier1 "modifier1",
    /// The uwsgi packet's modifier2
    Modifier2 "modifier2",
    /// Headers of the response
    Headers "headers",
    /// Address space of the worker in bytes
    Vsz "vsz",
    /// Resident memory of the worker in bytes
    Rss "rss",
    /// Address space of the worker in MiB
    VszM "vszM",
    /// Resident memory of the worker in MiB
    RssM "rssM",
    /// 1 when the peer did not take the answer
    Werr "werr",
    /// 1 when the peer did not send all of its body
    Rerr "rerr",
    /// `werr` and `rerr` together
    Ioerr "ioerr",
    /// Ours: the number of the application, from 0
    App "uwgate.app",
    /// Ours: requests of the worker, this one included
    Request "uwgate.request",
    /// Ours: requests of the instance, this one included
    Total "uwgate.total",
    /// Ours: ` via sendfile()` when it was
    Via "uwgate.via",
    /// Ours: when it began, as `2026-11-20T15:33:48.286602Z`
    Iso "uwgate.time",
}

impl LogFormat {
    /// Reads a format. Every text is one: what is no `%(name)` stands for itself.
    pub fn parse(text: &str) -> Self {
        let parts = split(text);
        let json = json_part(&parts).is_ok();
        let mut quotes = Quotes::default();
        let mut in_json = false;
        let mut pieces = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => {
                    let begins = json && !in_json && text.contains('{');
                    if begins {
                        in_json = true;
                        quotes = Quotes::default();
                        quotes.pass(text.split_once('{').map_or("", |(_, rest)| rest));
                    } else {
                        quotes.pass(text);
                    }
                    pieces.push(Piece::Text(text.into()));
                }
                Part::Name(name) => {
                    let place = match (in_json, quotes.open) {
                        (false, false) => Place::Plain,
                        (false, true) => Place::Quoted,
                        (true, true) => Place::JsonString,
                        (true, false) => Place::JsonValue,
                    };
                    pieces.push(Piece::Value(value(name), place));
                }
            }
        }
        Self { pieces }
    }

    /// What in a format cannot be meant, in words for whoever wrote it.
    pub(crate) fn remark(text: &str) -> Option<crate::Problem> {
        let parts = split(text);
        if text.trim_start().starts_with("{\"")
            && let Err(error) = json_part(&parts)
        {
            let message = format!("this looks like JSON and is none: {error}");
            return Some(crate::Problem::new(message));
        }
        parts.iter().find_map(|part| match part {
            Part::Name(name) => suspicious(name),
            Part::Text(_) => None,
        })
    }

    /// Whether the application's own values are in it.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(value, _) => Some(value),
            Piece::Text(_) => None,
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(variable) => f.write_str(name(*variable)),
            Self::Request(name) => write!(f, "var.{name}"),
            Self::Application(name) => f.write_str(name),
        }
    }
}

/// A variable's name.
fn name(variable: Variable) -> &'static str {
    let found = VARIABLES.iter().find(|(_, it)| *it == variable);
    found.map_or("", |(name, _)| name)
}

fn value(name: &str) -> Value {
    if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) {
        return Value::Known(*variable);
    }
    match name.strip_prefix("var.") {
        Some(variable) => Value::Request(variable.into()),
        None => Value::Application(name.into()),
    }
}

/// A name that is nearly a known one, or of a kind that is never set.
fn suspicious(name: &str) -> Option<crate::Problem> {
    let Value::Application(_) = value(name) else {
        return None;
    };
    let stays = format!("%({name}) is `-` unless the application sets it with uwsgi.set_logvar");
    if name.starts_with("metric.") {
        return Some(crate::Problem::new(format!(
            "%({name}) is always `-`: there are no metrics here"
        )));
    }
    let names = VARIABLES.iter().map(|(known, _)| *known);
    let like = crate::suggest::nearest(name, names)?;
    Some(crate::Problem::new(stays).help(format!("did you mean %({like})?")))
}

enum Part<'t> {
    Text(&'t str),
    Name(&'t str),
}

fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("%(") {
        let Some((name, after)) = after.split_once(')') else {
            break;
        };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Name(name));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// Whether what follows the first `{` of the text is a JSON object once values are put in.
fn json_part(parts: &[Part<'_>]) -> Result<(), serde_json::Error> {
    let mut quotes = Quotes::default();
    let mut probe = String::new();
    for part in parts {
        match part {
            Part::Text(text) if probe.is_empty() => {
                if let Some(at) = text.find('{') {
                    probe.push_str(&text[at..]);
                    quotes.pass(&text[at..]);
                }
            }
            Part::Text(text) => {
                probe.push_str(text);
                quotes.pass(text);
            }
            Part::Name(_) if probe.is_empty() => {}
            Part::Name(_) => probe.push(if quotes.open { 'x' } else { '0' }),
        }
    }
    let end = probe.rfind('}').map_or(0, |at| at + 1);
    serde_json::from_str::<serde::de::IgnoredAny>(&probe[..end]).map(|_| ())
}

/// Whether a double quote is open.
#[derive(Default)]
struct Quotes {
    open: bool,
}

impl Quotes {
    fn pass(&mut self, text: &str) {
        let mut escaped = false;
        for letter in text.chars() {
            match letter {
                '"' if !(escaped && self.open) => self.open = !self.open,
                '\\' => {
                    escaped = !escaped;
                    continue;
                }
                _ => {}
            }
            escaped = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<Place> {
        let pieces = LogFormat::parse(text).pieces;
        let place = |piece: &Piece| match piece {
            Piece::Value(_, place) => Some(*place),
            Piece::Text(_) => None,
        };
        pieces.iter().filter_map(place).collect()
    }

    #[test]
    fn a_format_is_text_and_values() {
        let format = LogFormat::parse("%(method) %(var.HTTP_X) %(mine)% %( 100%%");
        assert_eq!(
            format.pieces,
            [
                Piece::Value(Value::Known(Variable::Method), Place::Plain),
                Piece::Text(" ".into()),
                Piece::Value(Value::Request("HTTP_X".into()), Place::Plain),
                Piece::Text(" ".into()),
                Piece::Value(Value::Application("mine".into()), Place::Plain),
                Piece::Text("% %( 100%%".into()),
            ]
        );
    }

    #[test]
    fn places_are_told_apart() {
        use Place::{JsonString, JsonValue, Plain, Quoted};
        let apache = "%(addr) [%(ltime)] \"%(method) %(uri)\" %(status) \"%(uagent)\"";
        assert_eq!(
            places(apache),
            [Plain, Plain, Quoted, Quoted, Plain, Quoted]
        );
        let json = r#"%(pid) "%(wid)" {"a": "%(uri) and %(method)", "b": %(status), "%(user)": [%(addr)]} %(pid)"#;
        let inside = [JsonString, JsonString, JsonValue, JsonString, JsonValue];
        let all = places(json);
        assert_eq!(all[..2], [Plain, Quoted]);
        assert_eq!(all[2..7], inside);
        let braces = "{%(vars) vars in %(pktsize) bytes}";
        assert_eq!(places(braces), [Plain, Plain]);
        assert_eq!(places(r#"{"a\"": "%(uri)"}"#), [JsonString]);
        assert_eq!(places(r#"{%(uri): 1}"#), [Plain]);
    }

    #[test]
    fn what_cannot_be_meant_is_remarked() {
        for odd in [
            "%(methd)",
            "%(metric.x)",
            r#"{"a": "%(uri)""#,
            "%(useragent",
        ] {
            let remark = LogFormat::remark(odd);
            assert_eq!(remark.is_some(), odd != "%(useragent", "{odd}: {remark:?}");
        }
        for fine in ["%(mine)", "%(trace_id)", "{x} %(uri)", r#"{"a": "%(uri)"}"#] {
            assert_eq!(LogFormat::remark(fine), None, "{fine}");
        }
    }

    #[test]
    fn every_name_leads_back_to_itself() {
        for (name, variable) in VARIABLES {
            assert_eq!(value(name), Value::Known(*variable));
            assert_eq!(value(name).to_string(), *name);
        }
    }
}
