//! What happens to a line, by the options: drained or filtered, routed, encoded, written.

use std::borrow::Cow;

use regex_lite::Regex;
use uwgate_config::Located;
use uwgate_config::options::Encoder as EncoderOption;

use super::encode::{self, Encoder};
use super::sink::Sink;

/// The way of all lines, or of request lines.
#[derive(Debug)]
pub(super) struct Pipeline {
    drain: Vec<Regex>,
    filter: Vec<Regex>,
    routes: Vec<(Regex, Vec<usize>)>,
    encoders: Vec<Encoder>,
    loggers: Vec<Logger>,
    /// Takes what no logger takes.
    rest: Sink,
}

#[derive(Debug)]
struct Logger {
    name: Option<String>,
    encoders: Vec<Encoder>,
    sink: Sink,
}

/// The options that make a pipeline.
pub(super) struct Parts<'o> {
    pub(super) drain: &'o [Located<String>],
    pub(super) filter: &'o [Located<String>],
    pub(super) routes: &'o [Located<uwgate_config::options::Route>],
    pub(super) encoders: &'o [Located<EncoderOption>],
    pub(super) loggers: Vec<(Option<String>, Sink)>,
    pub(super) rest: Sink,
}

impl Pipeline {
    /// # Errors
    /// One sentence, with the place, about a route or an encoder that names a logger which is not there.
    pub(super) fn new(parts: Parts<'_>) -> Result<Self, String> {
        let mut loggers: Vec<Logger> = parts.loggers.into_iter().map(Logger::new).collect();
        let mut encoders = Vec::new();
        for encoder in parts.encoders {
            let made = Encoder::new(&encoder.change);
            let Some(name) = &encoder.logger else {
                encoders.push(made);
                continue;
            };
            let wanted = loggers.iter_mut().find(|it| it.is_called(name));
            let logger = wanted.ok_or_else(|| nobody(&encoder.origin, name))?;
            logger.encoders.push(made);
        }
        let mut routes = Vec::new();
        for route in parts.routes {
            let numbered = loggers.iter().enumerate();
            let named = numbered.filter(|(_, it)| it.is_called(&route.logger));
            let named: Vec<usize> = named.map(|(number, _)| number).collect();
            if named.is_empty() {
                return Err(nobody(&route.origin, &route.logger));
            }
            routes.push((regex(&route.pattern, &route.origin)?, named));
        }
        let all = |patterns: &[Located<String>]| -> Result<Vec<Regex>, String> {
            patterns.iter().map(|it| regex(it, &it.origin)).collect()
        };
        Ok(Self {
            drain: all(parts.drain)?,
            filter: all(parts.filter)?,
            routes,
            encoders,
            loggers,
            rest: parts.rest,
        })
    }

    /// Takes a line without its newline.
    pub(super) fn take(&mut self, line: &[u8], micros: u64) {
        let text = match self.drain.len() + self.filter.len() + self.routes.len() {
            0 => Cow::Borrowed(""),
            _ => String::from_utf8_lossy(line),
        };
        let matched = |all: &[Regex]| all.iter().any(|regex| regex.is_match(&text));
        if matched(&self.drain) || (!self.filter.is_empty() && !matched(&self.filter)) {
            return;
        }
        let line = encode::apply(&self.encoders, line, micros);
        let mut routed = false;
        for (regex, targets) in &self.routes {
            if regex.is_match(&text) {
                routed = true;
                for target in targets {
                    if let Some(logger) = self.loggers.get_mut(*target) {
                        logger.take(&line, micros);
                    }
                }
            }
        }
        if routed {
            return;
        }
        let mut taken = false;
        for logger in self.loggers.iter_mut().filter(|it| it.name.is_none()) {
            logger.take(&line, micros);
            taken = true;
        }
        if !taken {
            self.rest.take(&line, micros);
        }
    }

    /// All destinations.
    pub(super) fn sinks(&mut self) -> impl Iterator<Item = &mut Sink> {
        let loggers = self.loggers.iter_mut().map(|logger| &mut logger.sink);
        loggers.chain([&mut self.rest])
    }
}

impl Logger {
    fn new((name, sink): (Option<String>, Sink)) -> Self {
        Self {
            name,
            encoders: Vec::new(),
            sink,
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    fn take(&mut self, line: &[u8], micros: u64) {
        let line = encode::apply(&self.encoders, line, micros);
        self.sink.take(&line, micros);
    }
}

fn nobody(origin: &uwgate_config::Origin, name: &str) -> String {
    format!("{origin}: no logger is called `{name}`; write `logger = {name} file:...`")
}

fn regex(pattern: &str, origin: &uwgate_config::Origin) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("{origin}: {error}"))
}
