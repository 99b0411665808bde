//! What there is to say about a configuration beyond what a start needs: values that do not mean what they seem to,
//! options that cancel or need each other, and what this machine will not have.
//!
//! A lint is a function from a [`Subject`] to findings; [`LINTS`] names them all. A correct file must pass in silence,
//! so a lint speaks when it is sure, and leaves what is a matter of taste alone.

mod machine;
mod places;
mod relations;
mod render;
mod values;

use std::ffi::OsString;

pub(crate) use render::{human, json};

use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::load::{self, Outcome};
use crate::options::Options;
use crate::origin::Origin;
use crate::table::{self, Row};
use crate::world::World;

/// A configuration under examination.
pub(crate) struct Subject<'a> {
    pub(crate) world: &'a World,
    pub(crate) outcome: &'a Outcome,
    /// The entries that are options, with their rows.
    pub(crate) entries: Vec<(&'a Entry, &'static Row)>,
}

impl<'a> Subject<'a> {
    fn new(world: &'a World, outcome: &'a Outcome) -> Self {
        let entries = &outcome.loaded.entries;
        Self {
            world,
            outcome,
            entries: entries
                .iter()
                .filter_map(|entry| Some((entry, table::find(&entry.key)?)))
                .collect(),
        }
    }

    fn options(&self) -> &Options {
        &self.outcome.loaded.options
    }

    /// Entries of the option whose main name is `name`, aliases included.
    fn all_of(&self, name: &str) -> impl Iterator<Item = &'a Entry> {
        let entries = self.entries.iter().filter(move |(_, row)| row.name == name);
        entries.map(|(entry, _)| *entry)
    }

    /// The last of these entries: for most options the one that counts.
    fn last_of(&self, name: &str) -> Option<&'a Entry> {
        self.all_of(name).last()
    }
}

type Lint = fn(&Subject<'_>, &mut Vec<Finding>);

const LINTS: &[Lint] = &[
    values::quotes,
    values::comments,
    values::flag_words,
    values::shell_syntax,
    values::unset_variables,
    values::undefined_placeholders,
    values::raw_references,
    values::lost_percent_signs,
    relations::overridden,
    relations::missing_partners,
    relations::half_dropped_privileges,
    relations::nothing_to_do,
    machine::open_sockets,
    machine::trusting_everyone,
];

/// Lints that look at this machine: of no use for a configuration that is meant for another.
const LINTS_OF_THIS_MACHINE: &[Lint] = &[
    machine::missing_paths,
    machine::unknown_accounts,
    machine::backlog,
];

/// Every finding about what `args` describe, in the order of the places. With `elsewhere` the configuration is for
/// another machine.
pub(crate) fn examine(world: &World, args: &[OsString], elsewhere: bool) -> Vec<Finding> {
    let mut outcome = load::read(world, args);
    let mut findings = std::mem::take(&mut outcome.loaded.findings);
    let subject = Subject::new(world, &outcome);
    let here = if elsewhere {
        &[]
    } else {
        LINTS_OF_THIS_MACHINE
    };
    for lint in LINTS.iter().chain(here) {
        lint(&subject, &mut findings);
    }
    let mut seen = std::collections::HashSet::new();
    findings.retain(|finding| seen.insert(finding.to_string()));
    findings.sort_by_key(order);
    findings
}

/// By place, and there by weight.
fn order(finding: &Finding) -> (String, u32, Severity) {
    let (name, number) = match &finding.origin {
        Origin::Environment { variable } => (format!("\u{1}{variable}"), 0),
        Origin::CommandLine { argument } => ("\u{2}".to_owned(), *argument),
        Origin::File { path, line } => (path.to_string(), *line),
    };
    (name, number, finding.severity)
}
