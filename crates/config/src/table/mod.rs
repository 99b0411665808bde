//! The option table: every name that uWSGI knows and every name of ours, one row each.
//!
//! From a row come the parser, the typed field, `--help`, the options page and what `check` says. Options that this
//! program acts on are rows of Rust, one file per section, for they carry the field they are stored in. All other
//! names are lines of `known.tsv`; its `group` column says in [`groups`] what becomes of them. To support another
//! option, delete its line there, add a row here and a field to [`Options`].

mod cheaper;
mod control;
mod daemons;
mod emperor;
mod groups;
mod harakiri;
mod hooks;
mod http;
mod known;
mod language;
mod limits;
mod log;
mod process;
mod python;
mod recycling;
mod sockets;
mod stats;
mod vassals;
mod workers;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

pub use groups::{Effect, Group};

use crate::address::{Address, Protocol};
use crate::entry::Entry;
use crate::options::Options;
use crate::origin::Located;
use crate::value::Problem;

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Other names for the same option.
    pub aliases: &'static [&'static str],
    /// The letter for the command line.
    pub short: Option<char>,
    /// How its value is written.
    pub syntax: Syntax,
    /// Whether the command line wants a value.
    pub argument: Argument,
    /// Whether several lines add up instead of the last one winning.
    pub repeatable: bool,
    /// The value when nothing is written; empty for none.
    pub default: &'static str,
    /// What it does, in a sentence or two for an operator; empty for a name without a description.
    pub help: &'static str,
    /// Writing it switches `master` on.
    pub implies_master: bool,
    /// uWSGI applies it while it reads, before any expansion.
    pub immediate: bool,
    /// uWSGI does not have it.
    pub ours: bool,
    /// What this program does with it.
    pub support: Support,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// On unless `false`, `off`, `no` or `0`.
    Flag,
    /// A number of the named unit ("seconds").
    Number(&'static str),
    /// Text of the named form (`ADDRESS`).
    Text(&'static str),
}

impl Syntax {
    /// What a number counts; nothing for a bare number and for everything else.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Number(unit) => unit,
            Self::Flag | Self::Text(_) => "",
        }
    }

    /// The value's place holder in help texts: `BOOL`, `SECONDS`, `ADDRESS`.
    pub fn placeholder(self) -> String {
        match self {
            Self::Flag => "BOOL".into(),
            Self::Number("") => "NUMBER".into(),
            Self::Number(unit) => unit.to_uppercase(),
            Self::Text(form) => form.into(),
        }
    }
}

/// Whether an option takes a value on the command line (in a file every option may have one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `--name`
    No,
    /// `--name VALUE` or `--name=VALUE`
    Required,
    /// `--name` or `--name=VALUE`
    Optional,
}

/// What this program does with an option.
#[derive(Clone, Copy, Debug)]
pub enum Support {
    /// It is part of the language and has done its work when the list is complete.
    Language,
    /// It is stored in a field of [`Options`].
    Stored(Store),
    /// It is known, and its group says what becomes of it.
    Known(&'static Group),
}

/// The field an option is stored in, with the reading its type asks for.
#[derive(Clone, Copy, Debug)]
pub enum Store {
    /// A flag.
    Flag(fn(&mut Options) -> &mut bool),
    /// A number.
    Number(fn(&mut Options) -> &mut u32),
    /// A number that may be absent.
    OptionalNumber(fn(&mut Options) -> &mut Option<u32>),
    /// A number of bytes.
    Bytes(fn(&mut Options) -> &mut u64),
    /// A text.
    Text(fn(&mut Options) -> &mut Option<Located<String>>),
    /// Texts that add up.
    Texts(fn(&mut Options) -> &mut Vec<Located<String>>),
    /// A path.
    Path(fn(&mut Options) -> &mut Option<Located<PathBuf>>),
    /// Paths that add up.
    Paths(fn(&mut Options) -> &mut Vec<Located<PathBuf>>),
    /// Addresses that add up; read with the sockets.
    Addresses(fn(&mut Options) -> &mut Vec<Located<Address>>),
    /// A form of its own. Gives back what is odd about the value, if anything.
    Parsed(fn(&mut Options, &Entry) -> Result<Option<Problem>, Problem>),
    /// A socket; `None` speaks what `protocol` says. Sockets are read last, when `protocol` is known.
    Socket(Option<Protocol>),
}

const fn row(name: &'static str, syntax: Syntax, support: Support) -> Row {
    Row {
        name,
        aliases: &[],
        short: None,
        argument: match syntax {
            Syntax::Flag => Argument::No,
            _ => Argument::Required,
        },
        syntax,
        repeatable: false,
        default: match syntax {
            Syntax::Flag => "false",
            _ => "",
        },
        help: "",
        implies_master: false,
        immediate: false,
        ours: false,
        support,
    }
}

const fn flag(name: &'static str, field: fn(&mut Options) -> &mut bool) -> Row {
    row(name, Syntax::Flag, Support::Stored(Store::Flag(field)))
}

const fn number(
    name: &'static str,
    unit: &'static str,
    field: fn(&mut Options) -> &mut u32,
) -> Row {
    let syntax = Syntax::Number(unit);
    row(name, syntax, Support::Stored(Store::Number(field)))
}

const fn optional_number(
    name: &'static str,
    unit: &'static str,
    field: fn(&mut Options) -> &mut Option<u32>,
) -> Row {
    let syntax = Syntax::Number(unit);
    row(name, syntax, Support::Stored(Store::OptionalNumber(field)))
}

const fn bytes(name: &'static str, field: fn(&mut Options) -> &mut u64) -> Row {
    let syntax = Syntax::Number("bytes");
    row(name, syntax, Support::Stored(Store::Bytes(field)))
}

const fn text(
    name: &'static str,
    form: &'static str,
    field: fn(&mut Options) -> &mut Option<Located<String>>,
) -> Row {
    let syntax = Syntax::Text(form);
    row(name, syntax, Support::Stored(Store::Text(field)))
}

const fn texts(
    name: &'static str,
    form: &'static str,
    field: fn(&mut Options) -> &mut Vec<Located<String>>,
) -> Row {
    let syntax = Syntax::Text(form);
    row(name, syntax, Support::Stored(Store::Texts(field))).repeatable()
}

const fn path(
    name: &'static str,
    form: &'static str,
    field: fn(&mut Options) -> &mut Option<Located<PathBuf>>,
) -> Row {
    let syntax = Syntax::Text(form);
    row(name, syntax, Support::Stored(Store::Path(field)))
}

const fn paths(
    name: &'static str,
    form: &'static str,
    field: fn(&mut Options) -> &mut Vec<Located<PathBuf>>,
) -> Row {
    let syntax = Syntax::Text(form);
    row(name, syntax, Support::Stored(Store::Paths(field))).repeatable()
}

const fn parsed(
    name: &'static str,
    form: &'static str,
    read: fn(&mut Options, &Entry) -> Result<Option<Problem>, Problem>,
) -> Row {
    let syntax = Syntax::Text(form);
    row(name, syntax, Support::Stored(Store::Parsed(read)))
}

const fn socket(name: &'static str, protocol: Option<Protocol>) -> Row {
    let syntax = Syntax::Text("ADDRESS");
    row(name, syntax, Support::Stored(Store::Socket(protocol))).repeatable()
}

const fn language(name: &'static str, form: &'static str) -> Row {
    row(name, Syntax::Text(form), Support::Language)
}

impl Row {
    const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn short(self, letter: char) -> Self {
        Self {
            short: Some(letter),
            ..self
        }
    }

    const fn argument(self, argument: Argument) -> Self {
        Self { argument, ..self }
    }

    const fn repeatable(self) -> Self {
        Self {
            repeatable: true,
            ..self
        }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    const fn implying_master(self) -> Self {
        Self {
            implies_master: true,
            ..self
        }
    }

    const fn immediate(self) -> Self {
        Self {
            immediate: true,
            ..self
        }
    }

    const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    /// All names, the main one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// A titled part of the table, in the order in which help and docs show it.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The title.
    pub title: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
}

/// The sections of options that this program acts on.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "Sockets",
        rows: sockets::ROWS,
    },
    Section {
        title: "Workers",
        rows: workers::ROWS,
    },
    Section {
        title: "Number of workers",
        rows: cheaper::ROWS,
    },
    Section {
        title: "Recycling of workers",
        rows: recycling::ROWS,
    },
    Section {
        title: "Python",
        rows: python::ROWS,
    },
    Section {
        title: "Process",
        rows: process::ROWS,
    },
    Section {
        title: "Control",
        rows: control::ROWS,
    },
    Section {
        title: "Commands",
        rows: control::COMMANDS,
    },
    Section {
        title: "Hooks",
        rows: hooks::ROWS,
    },
    Section {
        title: "Daemons",
        rows: daemons::ROWS,
    },
    Section {
        title: "Logging",
        rows: log::ROWS,
    },
    Section {
        title: "Limits",
        rows: limits::ROWS,
    },
    Section {
        title: "Harakiri",
        rows: harakiri::ROWS,
    },
    Section {
        title: "HTTP",
        rows: http::ROWS,
    },
    Section {
        title: "Statistics",
        rows: stats::ROWS,
    },
    Section {
        title: "Emperor and vassals",
        rows: emperor::ROWS,
    },
    Section {
        title: "What is done with vassals",
        rows: vassals::ROWS,
    },
    Section {
        title: "Configuration language",
        rows: language::ROWS,
    },
];

/// The rows of `known.tsv`, sorted by name: what uWSGI has and this program does not act on.
pub fn known() -> &'static [Row] {
    static KNOWN: LazyLock<Vec<Row>> = LazyLock::new(known::rows);
    &KNOWN
}

/// The groups of the rows in `known.tsv`, in the order in which docs show them.
pub fn groups() -> &'static [Group] {
    groups::GROUPS
}

/// Every row there is.
pub fn all() -> impl Iterator<Item = &'static Row> {
    own().chain(known())
}

/// The rows of what this program acts on or explains.
fn own() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|section| section.rows)
}

/// The row of an option's name, exactly as written; `None` when neither uWSGI nor this program knows it.
///
/// [`known`] is only made when somebody asks for what is in no row of ours: it would stay in the memory of each instance.
pub fn find(name: &str) -> Option<&'static Row> {
    static OWN: LazyLock<HashMap<&'static str, &'static Row>> = LazyLock::new(|| {
        own()
            .flat_map(|row| row.names().map(move |name| (name, row)))
            .collect()
    });
    OWN.get(name).copied().or_else(|| {
        let rows = known();
        let place = rows.binary_search_by(|row| row.name.cmp(name)).ok()?;
        rows.get(place)
    })
}

/// The row of a letter of the command line.
pub fn find_short(letter: char) -> Option<&'static Row> {
    let is_it = |row: &&Row| row.short == Some(letter);
    own().find(is_it).or_else(|| known().iter().find(is_it))
}
