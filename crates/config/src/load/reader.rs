//! The list as it grows: what each pair does when it is added.

use std::collections::HashSet;

use super::list::Item;
use super::logic::{self, Block};
use super::{is_immediate, item, stays_raw};
use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::origin::{Located, Origin};
use crate::read::Format;
use crate::read::magic::FileNames;
use crate::suggest;
use crate::table;
use crate::value::{self, Problem};
use crate::world::World;

/// How deep options that do their work at once may lead to others: `set = set=...`, `ini = ...`.
const MAX_DEPTH: usize = 64;

/// How many entries there may be, and how many bytes of keys and values before they are expanded.
const MAX_ENTRIES: usize = 100_000;
const MAX_BYTES: usize = 16 << 20;

/// The state of reading.
pub(super) struct Reader<'w> {
    pub(super) world: &'w World,
    pub(super) list: Vec<Item>,
    pub(super) findings: Vec<Finding>,
    /// What `iprint` said.
    pub(super) messages: Vec<String>,
    /// Names that conditions asked for.
    pub(super) used: HashSet<String>,
    pub(super) fallback_config: Option<Located<String>>,
    pub(super) exit: Option<u8>,
    /// Magic variables that were replaced by nothing.
    pub(super) lost: Vec<(Origin, char)>,
    /// The passes are over: what comes now is not expanded.
    pub(super) is_late: bool,
    pub(super) block: Option<Block>,
    /// A line of the open block is being added.
    pub(super) in_round: bool,
    pub(super) strict: bool,
    pub(super) blacklist: Vec<String>,
    pub(super) whitelist: Vec<String>,
    pub(super) declared: HashSet<String>,
    /// The first file, for `%N` and its like: that of the first option, unless an argument alone came before.
    pub(super) first: Option<FileNames>,
    pub(super) first_is_settled: bool,
    /// The file that `:section` means.
    pub(super) last_ini: Option<String>,
    pub(super) inject_before: Vec<String>,
    pub(super) inject_after: Vec<String>,
    /// The files being read, outermost first.
    pub(super) open: Vec<String>,
    pub(super) files: usize,
    /// Bytes of the keys and values that were added.
    pub(super) bytes: usize,
    /// How deep the option is that does its work now.
    pub(super) depth: usize,
    /// A bound was passed and told; nothing is added any more.
    pub(super) is_full: bool,
}

impl<'w> Reader<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            list: Vec::new(),
            findings: Vec::new(),
            messages: Vec::new(),
            used: HashSet::new(),
            fallback_config: None,
            exit: None,
            lost: Vec::new(),
            is_late: false,
            block: None,
            in_round: false,
            strict: false,
            blacklist: Vec::new(),
            whitelist: Vec::new(),
            declared: HashSet::new(),
            first: None,
            first_is_settled: false,
            last_ini: None,
            inject_before: Vec::new(),
            inject_after: Vec::new(),
            open: Vec::new(),
            files: 0,
            bytes: 0,
            depth: 0,
            is_full: false,
        }
    }

    /// Reports an error at a place that is not an entry.
    pub(super) fn complain(&mut self, origin: Origin, rule: &'static str, problem: Problem) {
        let finding = Finding::at(Severity::Error, rule, origin, problem.message);
        self.findings.push(Finding {
            help: problem.help,
            ..finding
        });
    }

    /// Adds a pair, once for each round of the open block.
    ///
    /// A file that is included from within a block is added as it is: the block only repeats its own lines.
    pub(super) fn add(&mut self, key: String, value: Option<String>, origin: Origin) {
        if let Some(problem) = self.forbidden(&key) {
            let entry = Entry { key, value, origin };
            return self.complain_of(&entry, "forbidden-option", problem);
        }
        if self.in_round {
            return self.add_one(key, value, origin);
        }
        if logic::is_end(&key) {
            self.block = None;
        }
        let Some(block) = self.block.take() else {
            return self.add_one(key, value, origin);
        };
        self.in_round = true;
        for value in block.values(value.as_deref().unwrap_or_default()) {
            match value {
                Some(_) if self.is_full => break,
                Some(value) => self.add_one(key.clone(), Some(value), origin.clone()),
                None => self.too_much(origin.clone()),
            }
        }
        self.in_round = false;
        self.block = Some(block);
    }

    fn add_one(&mut self, key: String, value: Option<String>, origin: Origin) {
        self.bytes += key.len() + value.as_ref().map_or(0, String::len);
        if self.is_full || self.list.len() >= MAX_ENTRIES || self.bytes > MAX_BYTES {
            return self.too_much(origin);
        }
        let is_raw = self.is_late || stays_raw(&key);
        self.list.push(item(key.clone(), value, origin, is_raw));
        if is_immediate(&key) {
            self.act();
        }
    }

    /// With `strict` no unknown key may be in the list, before or behind it, but those of `set-placeholder`.
    pub(super) fn enforce_strictness(&mut self) {
        if !self.strict {
            return;
        }
        let is_unknown = |item: &&Item| {
            let key = &item.entry.key;
            !item.is_placeholder && table::find(key).is_none() && !self.declared.contains(key)
        };
        let unknown = self.list.iter().filter(is_unknown).map(|item| {
            let message = "unknown option, and the configuration is strict";
            let finding = Finding::about(Severity::Error, "unknown-option", &item.entry, message);
            let key = &item.entry.key;
            finding.with_help(match suggest::option_like(key) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => format!("a placeholder is set with `set-ph = {key}=...`"),
            })
        });
        let unknown: Vec<_> = unknown.collect();
        self.findings.extend(unknown);
    }

    fn too_much(&mut self, origin: Origin) {
        if !self.is_full {
            self.is_full = true;
            let message = format!(
                "too much: a configuration has at most {MAX_ENTRIES} entries and {} MiB",
                MAX_BYTES >> 20
            );
            self.complain(origin, "limit", Problem::new(message));
        }
    }

    /// Reports an error of an entry.
    pub(super) fn complain_of(&mut self, entry: &Entry, rule: &'static str, problem: Problem) {
        let finding = Finding::about(Severity::Error, rule, entry, problem.message);
        self.findings.push(Finding {
            help: problem.help,
            ..finding
        });
    }

    fn forbidden(&self, key: &str) -> Option<Problem> {
        let is_listed = |list: &[String]| list.iter().any(|name| name == key);
        let is_end = matches!(key, "end-blacklist" | "end-whitelist");
        if is_listed(&self.blacklist) {
            return Some(Problem::new("forbidden by the blacklist before it"));
        }
        (!is_end && !self.whitelist.is_empty() && !is_listed(&self.whitelist))
            .then(|| Problem::new("forbidden: the whitelist before it does not name it"))
    }

    /// Does at once what the pair added last asks for.
    fn act(&mut self) {
        let Some(item) = self.list.last() else { return };
        let entry = item.entry.clone();
        self.depth += 1;
        let result = match self.depth {
            ..=MAX_DEPTH => self.act_on(&entry),
            _ => Err(Problem::new("options that set options are nested too deep")),
        };
        self.depth -= 1;
        if let Err(problem) = result {
            let is_file = matches!(
                &*entry.key,
                "ini" | "yaml" | "yml" | "json" | "js" | "include" | "config"
            );
            let rule = if is_file { "include" } else { "bad-value" };
            self.complain_of(&entry, rule, problem);
        }
    }

    fn act_on(&mut self, entry: &Entry) -> Result<(), Problem> {
        let (key, value, origin) = (&*entry.key, entry.text(), &entry.origin);
        match key {
            "ini" => self.file(Format::Ini, value, origin)?,
            "yaml" | "yml" => self.file(Format::Yaml, value, origin)?,
            "json" | "js" => self.file(Format::Json, value, origin)?,
            "include" | "config" => self.include(value, origin)?,
            "inject-before" => self.inject_before.push(value.to_owned()),
            "inject-after" => self.inject_after.push(value.to_owned()),
            "set" | "set-placeholder" | "set-ph" => self.set(key, value, origin)?,
            "resolve" => self.resolve(value, origin)?,
            "strict" => self.strict |= value::is_on(entry.value.as_deref()),
            "iprint" => self.messages.push(value.to_owned()),
            "blacklist" => self.blacklist = words(value),
            "whitelist" => self.whitelist = words(value),
            "end-blacklist" => self.blacklist.clear(),
            "end-whitelist" => self.whitelist.clear(),
            "declare-option" => {
                let name = value.split('=').next().unwrap_or_default();
                self.declared.insert(name.to_owned());
            }
            "exit" => {
                let code = value::number(Some(value), "").map_or(0, |read| read.value);
                self.exit.get_or_insert(code as u8);
            }
            "fallback-config" => {
                self.fallback_config = Some(Located::new(value.to_owned(), origin.clone()));
            }
            _ if logic::is_begin(key) => self.begin(key, value, origin)?,
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, key: &str, value: &str, origin: &Origin) -> Result<(), Problem> {
        if key.ends_with("-opt") {
            let name = value.split('=').next().unwrap_or_default();
            self.used.insert(name.to_owned());
        }
        if self.in_round {
            return Err(
                Problem::new("another block is still open, and blocks do not nest")
                    .help("end that one first"),
            );
        }
        let block = Block::open(self.world, &self.list, key, value, origin.clone())?;
        self.block = Some(block);
        Ok(())
    }

    /// Reports a block that is still open when everything was read.
    pub(super) fn end_of_block(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        self.findings.push(
            Finding::at(
                Severity::Warning,
                "open-block",
                block.origin,
                format!(
                    "`{}` is never ended, so it reaches to the end of everything",
                    block.key
                ),
            )
            .with_help("write `endif =` or `endfor =` behind its last line"),
        );
    }

    fn set(&mut self, key: &str, value: &str, origin: &Origin) -> Result<(), Problem> {
        let (name, text) = value::key_and_value(value, "name=value")?;
        if key != "set" && table::find(name).is_some() {
            return Err(
                Problem::new(format!("`{name}` is an option, not a placeholder"))
                    .help(format!("write `set = {value}`")),
            );
        }
        let (name, text) = (name.to_owned(), Some(text.to_owned()));
        if key == "set" {
            self.add_one(name, text, origin.clone());
        } else {
            self.list.push(placeholder(name, text, origin.clone()));
        }
        Ok(())
    }

    fn resolve(&mut self, value: &str, origin: &Origin) -> Result<(), Problem> {
        use std::net::ToSocketAddrs;
        let (name, host) = value::key_and_value(value, "name=host")?;
        if self.world.only.is_some() {
            return Err(Problem::new("no address can be looked up here"));
        }
        let address = (host, 0)
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.find(std::net::SocketAddr::is_ipv4))
            .ok_or_else(|| Problem::new(format!("cannot find an address of {host}")))?;
        let (name, address) = (name.to_owned(), Some(address.ip().to_string()));
        self.list.push(placeholder(name, address, origin.clone()));
        Ok(())
    }
}

/// A definition that uWSGI leaves as it is: not expanded, and not asked whether it is an option.
fn placeholder(name: String, value: Option<String>, origin: Origin) -> Item {
    Item {
        is_placeholder: true,
        ..item(name, value, origin, true)
    }
}

fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}
