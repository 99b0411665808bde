//! Where log lines go and what is done to them on the way: `logger`, `log-route`, `log-encoder` and their kin.

use std::path::PathBuf;

use crate::value::Problem;

/// `logto`: one place for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// A file to append to.
    File(PathBuf),
    /// `host:port`, by UDP.
    Udp(String),
}

/// One `logger` or `req-logger`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logger {
    /// The name that routes and encoders use. A logger with a name gets only what is routed to it.
    pub name: Option<String>,
    /// Where its lines go.
    pub sink: Sink,
}

/// A place that takes lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// `file:PATH` or `file:logfile=PATH,maxsize=BYTES,backupname=PATH`
    File {
        /// The file.
        path: PathBuf,
        /// Rotated when it has so many bytes; 0 is never.
        maxsize: u64,
        /// What the rotated file is called; without it the seconds since 1970 are put behind its name.
        backupname: Option<PathBuf>,
    },
    /// `fd:N`, an inherited descriptor; `stdio` is 1.
    Fd(u32),
    /// `syslog[:TAG[,FACILITY]]`
    Syslog {
        /// What the lines begin with.
        tag: String,
        /// The facility's number.
        facility: u8,
    },
    /// `rsyslog:HOST:PORT[,TAG]`
    Rsyslog {
        /// `host:port`
        address: String,
        /// What the lines begin with in place of the host's name and `uwsgi`.
        tag: Option<String>,
    },
    /// `socket:ADDRESS[,PREFIX]`
    Socket {
        /// `host:port` (UDP), or the path of a unix datagram socket, or `@name`.
        address: String,
        /// What each datagram begins with.
        prefix: String,
    },
}

/// `log-route = LOGGER REGEX`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The logger's name.
    pub logger: String,
    /// Which lines; known to be a regular expression.
    pub pattern: String,
}

/// `log-encoder = NAME[:LOGGER] ARGUMENTS`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoder {
    /// The one logger whose lines it changes; all without.
    pub logger: Option<String>,
    /// What it does.
    pub change: Change,
}

/// What an encoder does to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `format`: puts the line into a template.
    Format(Template),
    /// `json`: the same, the line escaped for a JSON string.
    Json(Template),
    /// `nl`: ends it with a newline.
    Nl,
    /// `prefix`
    Prefix(String),
    /// `suffix`
    Suffix(String),
}

/// The argument of `format` and `json`.
pub type Template = Vec<TemplatePiece>;

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePiece {
    /// Written as it is.
    Text(String),
    /// `${msg}`: the line.
    Message,
    /// `${unix}`: seconds since 1970.
    Unix,
    /// `${micros}`: microseconds since 1970.
    Micros,
    /// `${strftime:FORM}`: the local time.
    Strftime(String),
}

/// uWSGI takes anything with a colon for an address.
pub(crate) fn logto(text: &str) -> Result<LogTo, Problem> {
    match is_udp(text) {
        true => Ok(LogTo::Udp(text.to_owned())),
        false if text.is_empty() => Err(Problem::new("expected a file")),
        false => Ok(LogTo::File(text.into())),
    }
}

fn is_udp(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_ok()) && !text.contains('/')
}

/// The other loggers that uWSGI or its plugins have.
const ABSENT: [&str; 11] = [
    "redislog",
    "mongodblog",
    "pipe",
    "zeromq",
    "crypto",
    "graylog2",
    "systemd",
    "python",
    "pty",
    "alarm",
    "kafka",
];

pub(crate) fn logger(text: &str) -> Result<Logger, Problem> {
    let (name, rest) = match text.split_once(' ') {
        Some((name, rest)) if is_name(name) => (Some(name.to_owned()), rest.trim_start()),
        _ => (None, text),
    };
    let (kind, argument) = rest.split_once(':').unwrap_or((rest, ""));
    let sink = sink(kind, argument)?;
    Ok(Logger { name, sink })
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.chars().all(letter)
}

/// The sink that `kind` and its argument name.
pub(crate) fn sink(kind: &str, argument: &str) -> Result<Sink, Problem> {
    match kind {
        "file" => file(argument),
        "stdio" => Ok(Sink::Fd(1)),
        "fd" => {
            let number = argument.parse();
            number
                .map(Sink::Fd)
                .map_err(|_| Problem::new("expected fd:N, N being the number of a descriptor"))
        }
        "syslog" => syslog(argument),
        "rsyslog" => {
            let (address, tag) = optional_part(argument);
            match is_udp(address) {
                true => Ok(Sink::Rsyslog {
                    address: address.to_owned(),
                    tag: tag.map(str::to_owned),
                }),
                false => Err(Problem::new("expected rsyslog:HOST:PORT")),
            }
        }
        "socket" => {
            let (address, prefix) = optional_part(argument);
            match address {
                "" => Err(Problem::new("expected socket:ADDRESS")),
                _ => Ok(Sink::Socket {
                    address: address.to_owned(),
                    prefix: prefix.unwrap_or_default().to_owned(),
                }),
            }
        }
        other => Err(absent(other)),
    }
}

fn absent(kind: &str) -> Problem {
    let problem = match ABSENT.contains(&kind) {
        true => Problem::new(format!("the logger `{kind}` is not supported")),
        false => Problem::new(format!("there is no logger `{kind}`")),
    };
    match kind {
        "systemd" => problem.help("standard error goes to the journal already: leave loggers out"),
        _ => problem
            .help("write file:PATH, stdio, fd:N, syslog, rsyslog:HOST:PORT or socket:ADDRESS"),
    }
}

fn optional_part(text: &str) -> (&str, Option<&str>) {
    match text.split_once(',') {
        Some((first, second)) => (first, Some(second)),
        None => (text, None),
    }
}

fn file(argument: &str) -> Result<Sink, Problem> {
    if !argument.contains('=') {
        return match argument {
            "" => Err(Problem::new("expected file:PATH")),
            path => Ok(Sink::File {
                path: path.into(),
                maxsize: 0,
                backupname: None,
            }),
        };
    }
    let (mut path, mut maxsize, mut backupname) = (None, 0, None);
    for pair in argument.split(',') {
        match pair.split_once('=') {
            Some(("logfile", value)) => path = Some(value.into()),
            Some(("backupname", value)) => backupname = Some(value.into()),
            Some(("maxsize", value)) => {
                maxsize = value
                    .parse()
                    .map_err(|_| Problem::new("expected maxsize=BYTES"))?;
            }
            _ => {
                return Err(Problem::new(format!("`{pair}` is not known here"))
                    .help("write file:PATH or file:logfile=PATH,maxsize=BYTES,backupname=PATH"));
            }
        }
    }
    match path {
        Some(path) => Ok(Sink::File {
            path,
            maxsize,
            backupname,
        }),
        None => Err(Problem::new("expected logfile=PATH")),
    }
}

/// syslog's facilities by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

fn syslog(argument: &str) -> Result<Sink, Problem> {
    let (tag, facility) = optional_part(argument);
    let facility = facility.unwrap_or("daemon");
    let number = FACILITIES
        .iter()
        .position(|name| !name.is_empty() && *name == facility);
    let Some(number) = number else {
        return Err(Problem::new(format!("syslog has no facility `{facility}`"))
            .help("write daemon, user, local0 to local7 or another of syslog(3)"));
    };
    Ok(Sink::Syslog {
        tag: if tag.is_empty() { "uwsgi" } else { tag }.to_owned(),
        facility: u8::try_from(number).unwrap_or_default(),
    })
}

pub(crate) fn route(text: &str) -> Result<Route, Problem> {
    let Some((logger, pattern)) = text.split_once(' ') else {
        return Err(Problem::new(
            "expected the name of a logger and a regular expression",
        ));
    };
    Ok(Route {
        logger: logger.to_owned(),
        pattern: self::pattern(pattern.trim_start())?,
    })
}

/// A regular expression that can be used.
pub(crate) fn pattern(text: &str) -> Result<String, Problem> {
    match regex_lite::Regex::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Problem::new(format!("not a regular expression: {error}"))
            .help("look-around and back-references are not supported")),
    }
}

pub(crate) fn encoder(text: &str) -> Result<Encoder, Problem> {
    let (head, argument) = text.split_once(' ').unwrap_or((text, ""));
    let (name, logger) = match head.split_once(':') {
        Some((name, logger)) => (name, Some(logger.to_owned())),
        None => (head, None),
    };
    let change = match name {
        "format" => Change::Format(template(argument)),
        "json" => Change::Json(template(argument)),
        "nl" => Change::Nl,
        "prefix" => Change::Prefix(argument.to_owned()),
        "suffix" => Change::Suffix(argument.to_owned()),
        "gzip" | "compress" | "msgpack" => {
            return Err(
                Problem::new(format!("the encoder `{name}` is not supported"))
                    .help("compress rotated files instead"),
            );
        }
        other => {
            return Err(Problem::new(format!("there is no encoder `{other}`"))
                .help("write format, json, nl, prefix or suffix"));
        }
    };
    Ok(Encoder { logger, change })
}

fn template(text: &str) -> Template {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        if !before.is_empty() {
            pieces.push(TemplatePiece::Text(before.to_owned()));
        }
        match name.split_once(':') {
            Some(("strftime", form)) => pieces.push(TemplatePiece::Strftime(form.to_owned())),
            None if name == "msg" => pieces.push(TemplatePiece::Message),
            None if name == "unix" => pieces.push(TemplatePiece::Unix),
            None if name == "micros" => pieces.push(TemplatePiece::Micros),
            // uWSGI writes nothing for a name it does not know.
            _ => {}
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(TemplatePiece::Text(rest.to_owned()));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Sink {
        Sink::File {
            path: path.into(),
            maxsize: 0,
            backupname: None,
        }
    }

    #[test]
    fn loggers_are_read_as_uwsgi_reads_them() {
        let read = |text| logger(text).map(|logger| (logger.name, logger.sink));
        assert_eq!(read("file:/a b/c"), Ok((None, file("/a b/c"))));
        assert_eq!(read("x file:y"), Ok((Some("x".into()), file("y"))));
        assert_eq!(read("stdio"), Ok((None, Sink::Fd(1))));
        assert_eq!(read("fd:2"), Ok((None, Sink::Fd(2))));
        let syslog = |tag: &str, facility| Sink::Syslog {
            tag: tag.into(),
            facility,
        };
        assert_eq!(read("syslog"), Ok((None, syslog("uwsgi", 3))));
        assert_eq!(read("syslog:me,local6"), Ok((None, syslog("me", 22))));
        let keys = Sink::File {
            path: "a".into(),
            maxsize: 9,
            backupname: Some("b".into()),
        };
        assert_eq!(
            read("file:logfile=a,maxsize=9,backupname=b"),
            Ok((None, keys))
        );
        for bad in [
            "",
            "file:",
            "fd:x",
            "redislog:",
            "rsyslog:",
            "socket:",
            "syslog:a,b",
            "file:a=b",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn encoders_name_what_they_do() {
        let read = |text| encoder(text).map(|encoder| (encoder.logger, encoder.change));
        assert_eq!(read("nl"), Ok((None, Change::Nl)));
        assert_eq!(
            read("format:x [${strftime:%H}] ${msg}${foo}"),
            Ok((
                Some("x".into()),
                Change::Format(vec![
                    TemplatePiece::Text("[".into()),
                    TemplatePiece::Strftime("%H".into()),
                    TemplatePiece::Text("] ".into()),
                    TemplatePiece::Message,
                ])
            ))
        );
        for bad in ["gzip", "xml", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn routes_need_a_name_and_a_pattern() {
        assert!(route("a ^x.*y$").is_ok());
        for bad in ["a", "a (?=x)", "a ("] {
            assert!(route(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_makes_an_address() {
        assert_eq!(logto("127.0.0.1:99"), Ok(LogTo::Udp("127.0.0.1:99".into())));
        for file in ["/var/log/a:1", "a.log", "c:x"] {
            assert_eq!(logto(file), Ok(LogTo::File(file.into())));
        }
    }
}
