//! Everything that is configured, brought into one list: environment, command line, files.
//!
//! As in uWSGI the list is all there is. Each source adds its pairs at the end of it; options like `ini` and `if-env`
//! do their work the moment they are added; three passes replace what the values refer to; and then the list is
//! applied from its beginning, so that of two values of one option the later wins.

pub(crate) mod argv;
mod expand;
mod files;
mod list;
mod logic;
mod positional;
mod reader;

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use crate::apply;
use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::options::Options;
use crate::origin::{Located, Origin};
use crate::read::Format;
use crate::read::source::lines_of;
use crate::table::{self, Support};
use crate::value;
use crate::world::World;
use list::Item;
use reader::Reader;

/// Variables that uWSGI keeps for itself.
const RESERVED: [&str; 8] = [
    "UWSGI_RELOADS",
    "UWSGI_VASSALS_DIR",
    "UWSGI_EMPEROR_FD",
    "UWSGI_BROODLORD_NUM",
    "UWSGI_EMPEROR_FD_CONFIG",
    "UWSGI_EMPEROR_PROXY",
    "UWSGI_JAIL_PID",
    "UWSGI_ORIGINAL_PROC_NAME",
];

/// `UID:GID:FILE`, from an emperor that runs this instance as the owner of the file: whoever may put another file in
/// its place must not have that run as this user.
pub(crate) const OWNER: &str = "UWGATE_VASSAL_OWNER";

/// A configuration, read and understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The expanded list, in the order in which it is applied.
    pub entries: Vec<Entry>,
    /// The same, typed.
    pub options: Options,
    /// Warnings and notes.
    pub findings: Vec<Finding>,
    /// What `print` and `iprint` say, in order.
    pub messages: Vec<String>,
    /// The configuration to start with when this one fails to start.
    pub fallback_config: Option<Located<String>>,
    /// `exit = CODE`: nothing is to be started.
    pub exit: Option<u8>,
    /// `show-config`: the effective configuration is to be printed at start.
    pub show_config: bool,
}

impl Loaded {
    /// The expanded list as an ini file, each value with the place it comes from (`show-config`).
    pub fn effective(&self) -> String {
        crate::show::ini(&self.entries)
    }
}

/// Reads the command line (without the program's name) and the environment, and every file they name.
///
/// # Errors
/// Every finding, when at least one of them is an error. With a `fallback-config` its findings, when it fails as well.
pub fn load(
    args: &[OsString],
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Vec<Finding>> {
    load_in(&World::new(env), args)
}

/// As [`load`], for a vassal whose configuration does not stand in a file: `emperor://NAME` is what was `sent`, or the
/// reason why nothing was.
///
/// # Errors
/// As of [`load`].
pub fn load_sent(
    args: &[OsString],
    env: impl Iterator<Item = (OsString, OsString)>,
    sent: Result<Vec<u8>, String>,
) -> Result<Loaded, Vec<Finding>> {
    let mut world = World::new(env);
    world.emperor = Some(sent);
    load_in(&world, args)
}

fn load_in(world: &World, args: &[OsString]) -> Result<Loaded, Vec<Finding>> {
    let outcome = read(world, args);
    if !outcome.has_errors() {
        return Ok(outcome.loaded);
    }
    let findings = outcome.loaded.findings;
    let Some(fallback) = outcome.loaded.fallback_config else {
        return Err(findings);
    };
    fall_back(world, &fallback, findings)
}

/// uWSGI starts again with the fallback alone; what was wrong with the first configuration is still told.
fn fall_back(
    world: &World,
    fallback: &Located<String>,
    first: Vec<Finding>,
) -> Result<Loaded, Vec<Finding>> {
    let mut loaded = read(world, &[OsString::from(&fallback.value)]).loaded;
    let notice = Finding::at(
        Severity::Warning,
        "fallback",
        fallback.origin.clone(),
        format!("there were errors, so {} is used instead", fallback.value),
    );
    let first = first.into_iter().map(|finding| Finding {
        severity: finding.severity.max(Severity::Warning),
        ..finding
    });
    let findings: Vec<_> = first.chain([notice]).chain(loaded.findings).collect();
    if apply::has_errors(&findings) {
        return Err(findings);
    }
    loaded.findings = findings;
    Ok(loaded)
}

/// The expanded list alone, whatever its options mean, with relative names starting from `directory`.
///
/// # Errors
/// Every finding, when the language itself is used wrongly.
pub fn list_in(
    directory: &Path,
    args: &[OsString],
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Entry>, Vec<Finding>> {
    let mut world = World::new(env);
    directory.clone_into(&mut world.directory);
    let reader = collect(&world, args);
    match apply::has_errors(&reader.findings) {
        true => Err(reader.findings),
        false => Ok(entries_of(reader.list)),
    }
}

/// The expanded list of one text as though it stood in a file called `name`, whose suffix tells the format. Nothing else
/// is read, and no command is run: what the text may ask of the machine fails.
///
/// # Errors
/// Every finding, when the language itself is used wrongly.
pub fn list_of_text(name: &str, text: &str) -> Result<Vec<Entry>, Vec<Finding>> {
    let world = World::of_text(name, text);
    let reader = collect(&world, &[name.into()]);
    match apply::has_errors(&reader.findings) {
        true => Err(reader.findings),
        false => Ok(entries_of(reader.list)),
    }
}

/// The pairs of one section of a text as they are written there, nothing in them replaced, in their order. The suffix of
/// `name` tells the format; without one it is ini. What cannot be read gives nothing: whoever starts with that
/// configuration says what is wrong with it.
pub fn section_of_text(name: &str, text: &str, section: &str) -> Vec<(String, String)> {
    let format = Format::of(name).unwrap_or(Format::Ini);
    let contents = format.read(&lines_of(name, text), section);
    let pairs = contents.pairs.into_iter();
    pairs.map(|pair| (pair.key, pair.value)).collect()
}

/// What reading gives, errors or not: `check` wants as much as there is.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) loaded: Loaded,
    /// Magic variables that were replaced by nothing, with their place.
    pub(crate) lost: Vec<(Origin, char)>,
    /// Names that a placeholder or a condition asked for.
    pub(crate) used: HashSet<String>,
}

impl Outcome {
    pub(crate) fn has_errors(&self) -> bool {
        apply::has_errors(&self.loaded.findings)
    }
}

/// Reads everything and applies it.
pub(crate) fn read(world: &World, args: &[OsString]) -> Outcome {
    let reader = collect(world, args);
    let entries = entries_of(reader.list);
    let (options, applied) = apply::apply(&entries);
    let mut findings = reader.findings;
    findings.extend(applied);
    findings.extend(unknown(&entries, &reader.used, &findings));
    let mut messages = reader.messages;
    messages.extend(texts(&entries, "print").map(str::to_owned));
    let loaded = Loaded {
        options,
        messages,
        fallback_config: reader.fallback_config,
        exit: reader.exit,
        show_config: texts(&entries, "show-config")
            .last()
            .is_some_and(|text| value::is_on(Some(text))),
        findings,
        entries,
    };
    Outcome {
        loaded,
        lost: reader.lost,
        used: reader.used,
    }
}

/// Makes the list in uWSGI's order: environment, options of the command line, its other arguments; then the passes;
/// then what is inherited.
fn collect<'w>(world: &'w World, args: &[OsString]) -> Reader<'w> {
    let mut reader = Reader::new(world);
    environment(&mut reader);
    let line = argv::parse(args);
    for (origin, problem) in line.complaints {
        reader.complain(origin, "command-line", problem);
    }
    for (name, value, origin) in line.options {
        reader.add(name, value, origin);
    }
    for (argument, origin) in line.others {
        positional::add(&mut reader, &argument, &origin);
    }
    reader.end_of_block();
    for (index, problem) in expand::run(world, &mut reader.list, &mut reader.used) {
        let item = &reader.list[index];
        let finding = Finding::about(Severity::Error, "expansion", &item.entry, problem.message);
        reader.findings.push(Finding {
            help: problem.help,
            ..finding
        });
    }
    inherit(&mut reader);
    reader.enforce_strictness();
    reader
}

fn entries_of(list: Vec<Item>) -> Vec<Entry> {
    list.into_iter().map(|item| item.entry).collect()
}

/// `UWSGI_HTTP_SOCKET=:80` is `http-socket = :80`, and so is `UWGATE_HTTP_SOCKET`, for options only.
fn environment(reader: &mut Reader<'_>) {
    let world = reader.world;
    for name in &world.unreadable {
        let origin = variable(name);
        reader.complain(
            origin,
            "encoding",
            value::Problem::new("its value is not UTF-8"),
        );
    }
    for (name, value) in &world.environment {
        if let Some(key) = name.strip_prefix("UWSGI_")
            && !RESERVED.contains(&name.as_str())
        {
            reader.add(option_name(key), Some(value.clone()), variable(name));
        }
    }
    for (name, value) in &world.environment {
        if name == OWNER {
            continue;
        }
        let Some(key) = name.strip_prefix("UWGATE_").map(option_name) else {
            continue;
        };
        match table::find(&key) {
            Some(_) => reader.add(key, Some(value.clone()), variable(name)),
            None => reader.findings.push(Finding::at(
                Severity::Note,
                "unknown-variable",
                variable(name),
                "no option has this name, so it is ignored",
            )),
        }
    }
}

fn option_name(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}

fn variable(name: &str) -> Origin {
    Origin::Environment {
        variable: name.into(),
    }
}

/// Files named with `inherit` come when the passes are over; they may inherit in turn.
fn inherit(reader: &mut Reader<'_>) {
    let mut next = 0;
    while let Some(item) = reader.list.get(next) {
        if item.entry.key == "inherit" {
            let entry = item.entry.clone();
            reader.is_late = true;
            if let Err(problem) = reader.include(entry.text(), &entry.origin) {
                reader.complain_of(&entry, "include", problem);
            }
        }
        next += 1;
    }
    reader.end_of_block();
}

fn texts<'e>(entries: &'e [Entry], key: &str) -> impl Iterator<Item = &'e str> {
    let entries = entries.iter().filter(move |entry| entry.key == key);
    entries.map(Entry::text)
}

/// Unknown keys that are told one by one.
const MAX_UNKNOWN: usize = 100;

/// Keys that are neither options nor asked for by any placeholder.
fn unknown(entries: &[Entry], used: &HashSet<String>, said: &[Finding]) -> Vec<Finding> {
    let declared: HashSet<&str> = entries.iter().filter_map(apply::declared_name).collect();
    let unknown_already = said
        .iter()
        .filter(|finding| finding.rule == "unknown-option");
    let mut seen: HashSet<&str> = unknown_already.map(|finding| &*finding.key).collect();
    entries
        .iter()
        .filter(|entry| table::find(&entry.key).is_none())
        .filter(|entry| !used.contains(&entry.key) && !declared.contains(entry.key.as_str()))
        .filter(|entry| seen.insert(&entry.key))
        .take(MAX_UNKNOWN)
        .map(apply::unknown)
        .collect()
}

/// Whether an option does its work while the list is being made.
fn is_immediate(key: &str) -> bool {
    table::find(key).is_some_and(|row| row.immediate && matches!(row.support, Support::Language))
}

/// Whether uWSGI applies the option before the passes, so that its value is never expanded.
fn stays_raw(key: &str) -> bool {
    table::find(key).is_some_and(|row| row.immediate)
}

/// An item of the list for a pair that is being added.
fn item(key: String, value: Option<String>, origin: Origin, is_raw: bool) -> Item {
    Item {
        entry: Entry { key, value, origin },
        is_raw,
        is_placeholder: false,
    }
}
