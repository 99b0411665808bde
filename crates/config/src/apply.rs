//! From the expanded list to [`Options`]: each entry to its row, each row to its field.

use std::collections::HashSet;

use crate::address::{self, SocketSpec};
use crate::bounds;
use crate::custom;
use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::options::Options;
use crate::origin::Located;
use crate::suggest;
use crate::table::{self, Effect, Group, Row, Store, Support, Syntax};
use crate::value::{self, Problem, Read};

impl Options {
    /// Applies an expanded list, entry by entry. The findings beside the options are warnings and notes.
    ///
    /// # Errors
    /// All findings, when at least one of them is an error.
    pub fn from_entries(entries: &[Entry]) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let (options, findings) = apply(entries);
        match has_errors(&findings) {
            true => Err(findings),
            false => Ok((options, findings)),
        }
    }
}

pub(crate) fn has_errors(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
}

/// What an option implies comes first, so that an explicit `master = false` still wins. Sockets come last: `protocol`
/// and `abstract-socket` say how to read them, wherever they stand.
pub(crate) fn apply(entries: &[Entry]) -> (Options, Vec<Finding>) {
    let mut application = Application::default();
    let entries = custom::resolve(entries);
    let known: Vec<(&Entry, &Row)> = entries
        .iter()
        .filter_map(|entry| Some((&**entry, table::find(&entry.key)?)))
        .collect();
    if known.iter().any(|(_, row)| row.implies_master) {
        application.options.workers.master = true;
    }
    let is_socket = |(_, row): &&(&Entry, &Row)| {
        matches!(
            row.support,
            Support::Stored(Store::Socket(_) | Store::Addresses(_))
        )
    };
    for (entry, row) in known.iter().filter(|pair| !is_socket(pair)) {
        application.entry(entry, row);
    }
    for (entry, row) in known.iter().filter(is_socket) {
        application.entry(entry, row);
    }
    application.plugins_name_python(&known);
    let contradictions = bounds::contradictions(&application.options, &known);
    application.findings.extend(contradictions);
    (application.options, application.findings)
}

#[derive(Default)]
struct Application {
    options: Options,
    findings: Vec<Finding>,
    /// Options whose group's sentence was said already: nobody needs it twice.
    said: HashSet<&'static str>,
}

impl Application {
    fn entry(&mut self, entry: &Entry, row: &'static Row) {
        match row.support {
            Support::Language => {}
            Support::Known(group) => self.known(entry, row, group),
            Support::Stored(store) => match self.store(entry, row, store) {
                Ok(remark) => self.remark(entry, remark),
                Err(problem) => self.say(Severity::Error, "bad-value", entry, problem),
            },
        }
    }

    fn known(&mut self, entry: &Entry, row: &'static Row, group: &Group) {
        if let Syntax::Number(unit) = row.syntax {
            match value::number(entry.value.as_deref(), unit) {
                Ok(Read { remark, .. }) => self.remark(entry, remark),
                Err(problem) => return self.say(Severity::Error, "bad-value", entry, problem),
            }
        }
        if !is_switched_off(entry, row) && self.said.insert(row.name) {
            self.known_as(group.effect, entry, sentence_of(group));
        }
    }

    fn known_as(&mut self, effect: Effect, entry: &Entry, problem: Problem) {
        self.say(effect.severity(), effect.rule(), entry, problem);
    }

    fn store(
        &mut self,
        entry: &Entry,
        row: &Row,
        store: Store,
    ) -> Result<Option<Problem>, Problem> {
        let options = &mut self.options;
        let located = |text: &str| Located::new(text.to_owned(), entry.origin.clone());
        let located_path = |text: &str| Located::new(text.into(), entry.origin.clone());
        let value = entry.value.as_deref();
        match store {
            Store::Flag(field) => {
                let Read { value, remark } = value::flag(value);
                *field(options) = value;
                Ok(remark)
            }
            Store::Number(field) => read_number(value, row).map(|read| {
                *field(options) = read.value;
                read.remark
            }),
            Store::OptionalNumber(field) => read_number(value, row).map(|read| {
                *field(options) = Some(read.value);
                read.remark
            }),
            Store::Bytes(field) => value::number(value, "bytes").map(|read| {
                *field(options) = read.value;
                read.remark
            }),
            Store::Text(field) => {
                *field(options) = Some(located(required(value, row)?));
                Ok(None)
            }
            Store::Texts(field) => {
                field(options).push(located(required(value, row)?));
                Ok(None)
            }
            Store::Path(field) => {
                *field(options) = Some(located_path(required(value, row)?));
                Ok(None)
            }
            Store::Paths(field) => {
                field(options).push(located_path(required(value, row)?));
                Ok(None)
            }
            Store::Addresses(field) => {
                let text = required(value, row)?;
                let address = address::parse(text, options.sockets.abstract_socket)?;
                field(options).push(Located::new(address, entry.origin.clone()));
                Ok(None)
            }
            Store::Parsed(read) => read(options, entry),
            Store::Socket(protocol) => {
                let sockets = &mut options.sockets;
                let spec = SocketSpec {
                    protocol: protocol.unwrap_or(sockets.protocol),
                    address: address::parse(entry.text(), sockets.abstract_socket)?,
                };
                sockets
                    .sockets
                    .push(Located::new(spec, entry.origin.clone()));
                Ok(None)
            }
        }
    }

    /// `plugins = http,python312` says which interpreter is meant.
    fn plugins_name_python(&mut self, known: &[(&Entry, &Row)]) {
        let plugins = known.iter().filter(|(_, row)| {
            matches!(
                row.name,
                "plugin" | "plugins" | "need-plugin" | "need-plugins"
            )
        });
        for (entry, _) in plugins {
            let named = entry
                .text()
                .split(',')
                .filter_map(python_of_plugin)
                .next_back();
            if let Some(interpreter) = named {
                let interpreter = Located::new(interpreter, entry.origin.clone());
                self.options.python.plugin_python = Some(interpreter);
            }
        }
    }

    fn remark(&mut self, entry: &Entry, remark: Option<Problem>) {
        if let Some(remark) = remark {
            self.say(Severity::Warning, "odd-value", entry, remark);
        }
    }

    fn say(&mut self, severity: Severity, rule: &'static str, entry: &Entry, problem: Problem) {
        let finding = Finding::about(severity, rule, entry, problem.message);
        self.findings.push(Finding {
            help: problem.help,
            ..finding
        });
    }
}

fn read_number(value: Option<&str>, row: &Row) -> Result<Read<u32>, Problem> {
    let read = value::number(value, row.syntax.unit())?;
    let number = i32::try_from(read.value)
        .map_err(|_| Problem::new(format!("{} is too large", read.value)))?;
    Ok(Read {
        value: number.unsigned_abs(),
        remark: read.remark,
    })
}

fn required<'a>(value: Option<&'a str>, row: &Row) -> Result<&'a str, Problem> {
    value
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Problem::new(format!("expected {}", row.syntax.placeholder())))
}

fn sentence_of(group: &Group) -> Problem {
    let problem = Problem::new(group.message);
    match group.help {
        "" => problem,
        help => problem.help(help),
    }
}

/// `max-requests = 0`, `harakiri-verbose = false`: the writer does not ask for it.
fn is_switched_off(entry: &Entry, row: &Row) -> bool {
    match row.syntax {
        Syntax::Flag => !value::is_on(entry.value.as_deref()),
        Syntax::Number(_) => {
            value::number(entry.value.as_deref(), "").is_ok_and(|read| read.value == 0)
        }
        Syntax::Text(_) => false,
    }
}

/// `python312` -> `python3.12`, `/usr/lib/uwsgi/python3` -> `python3`; not a Python plugin -> `None`.
fn python_of_plugin(plugin: &str) -> Option<String> {
    let name = plugin.trim().rsplit(['/', ':']).next()?;
    let name = name.strip_suffix("_plugin.so").unwrap_or(name);
    let version = name.strip_prefix("python")?;
    match version.split_at_checked(1) {
        None | Some(("3", "")) => Some("python3".into()),
        Some(("3", minor)) => {
            let minor = minor.strip_prefix('.').unwrap_or(minor);
            minor
                .bytes()
                .all(|digit| digit.is_ascii_digit())
                .then(|| format!("python3.{minor}"))
        }
        Some(_) => None,
    }
}

/// What to say of a key that no row has and no placeholder asks for. An app may still read it (`uwsgi.opt`), so it is
/// only doubtful when it looks like an option.
pub(crate) fn unknown(entry: &Entry) -> Finding {
    let find = |severity, message| Finding::about(severity, "unknown-option", entry, message);
    match suggest::option_like(&entry.key) {
        Some(name) => find(Severity::Warning, "unknown option: it does nothing")
            .with_help(format!("did you mean `{name}`?")),
        None => find(
            Severity::Note,
            "not an option, and no placeholder uses it: it does nothing",
        ),
    }
}

/// The name that a `declare-option` declares.
pub(crate) fn declared_name(entry: &Entry) -> Option<&str> {
    let declares = matches!(&*entry.key, "declare-option" | "declare-option2");
    let (name, _) = entry.text().split_once('=').filter(|_| declares)?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_that_name_an_interpreter() {
        for (plugin, expected) in [
            ("python", Some("python3")),
            ("python3", Some("python3")),
            ("python312", Some("python3.12")),
            ("python3.11", Some("python3.11")),
            ("/usr/lib/uwsgi/python3", Some("python3")),
            ("/x/python311_plugin.so", Some("python3.11")),
            ("0:python39", Some("python3.9")),
            ("python27", None),
            ("http", None),
            ("python3x", None),
        ] {
            assert_eq!(python_of_plugin(plugin).as_deref(), expected, "{plugin}");
        }
    }
}
