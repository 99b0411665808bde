//! `for` and `if` blocks: what a block's beginning makes of each line in its body.
//!
//! Blocks do not nest. The first `endfor`, `endif` or the like ends whatever block is open.

use std::path::{Path, PathBuf};

use super::list::Item;
use crate::origin::Origin;
use crate::read::source;
use crate::table;
use crate::value::{self, Problem};
use crate::world::{self, World};

/// Most times that a line can be repeated.
const MAX_REPEATS: usize = 10_000;

/// uWSGI's plugins whose work is done here, for `if-plugin`.
const BUILT_IN: [&str; 4] = ["python", "python3", "http", "uwsgi"];

/// An open block.
#[derive(Debug)]
pub(super) struct Block {
    /// The option that opened it.
    pub(super) key: String,
    /// Where it was opened.
    pub(super) origin: Origin,
    /// What each line of the body becomes: one line for each element, `%(_)` replaced by it. `None` keeps `%(_)`.
    rounds: Vec<Option<String>>,
}

/// Whether the key ends a block.
pub(super) fn is_end(key: &str) -> bool {
    matches!(key, "end" | "endfor" | "endif" | "end-if" | "end-for")
}

/// Whether the key opens a block.
pub(super) fn is_begin(key: &str) -> bool {
    let is_condition = key.starts_with("if-") || alias(key) != key;
    let is_loop = matches!(key, "for" | "for-glob" | "for-readline" | "for-times");
    is_loop || (is_condition && table::find(key).is_some())
}

/// The main name of a condition.
fn alias(key: &str) -> &str {
    match key {
        "ifenv" => "if-env",
        "ifexists" => "if-exists",
        "ifdir" | "if-directory" => "if-dir",
        "ifplugin" => "if-plugin",
        _ => key,
    }
}

impl Block {
    /// Opens the block of `key = argument`, over the list as far as it goes.
    pub(super) fn open(
        world: &World,
        list: &[Item],
        key: &str,
        argument: &str,
        origin: Origin,
    ) -> Result<Self, Problem> {
        let rounds = match key {
            "for" => words(argument),
            "for-times" => times(argument)?,
            "for-readline" => lines(world, argument)?,
            "for-glob" => files(world, argument)?,
            _ => condition(world, list, alias(key), argument)?,
        };
        if rounds.len() > MAX_REPEATS {
            return Err(Problem::new(format!(
                "a block can be repeated {MAX_REPEATS} times, not {}",
                rounds.len()
            )));
        }
        Ok(Self {
            key: key.to_owned(),
            origin,
            rounds,
        })
    }

    /// The values that a line of the body gets, one for each round; `None` for one that would be too long.
    pub(super) fn values(&self, value: &str) -> impl Iterator<Item = Option<String>> {
        self.rounds.iter().map(move |element| match element {
            Some(element) => value::replaced(value, "%(_)", element),
            None => Some(value.to_owned()),
        })
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn words(argument: &str) -> Vec<Option<String>> {
    let words = argument.split(' ').filter(|word| !word.is_empty());
    words.map(some).collect()
}

fn times(argument: &str) -> Result<Vec<Option<String>>, Problem> {
    let digits = argument.trim_start();
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let count = match &digits[..end] {
        "" => 0,
        number => number.parse().unwrap_or(usize::MAX),
    };
    if count > MAX_REPEATS {
        return Err(Problem::new(format!(
            "a block can be repeated {MAX_REPEATS} times, not {count}"
        )));
    }
    Ok((1..=count).map(|round| Some(round.to_string())).collect())
}

fn lines(world: &World, argument: &str) -> Result<Vec<Option<String>>, Problem> {
    let text = source::text(world, argument).map_err(|why| Problem::new(why.message))?;
    Ok(text.split_terminator('\n').map(some).collect())
}

/// As with uWSGI's glob, a pattern that nothing matches stands for itself.
fn files(world: &World, argument: &str) -> Result<Vec<Option<String>>, Problem> {
    if world.only.is_some() {
        return Ok(vec![some(argument)]);
    }
    let pattern = world.path(&one_level(argument));
    let is_relative = Path::new(argument).is_relative();
    let hidden_must_be_named = glob::MatchOptions {
        require_literal_leading_dot: true,
        ..glob::MatchOptions::new()
    };
    let found = glob::glob_with(&pattern.to_string_lossy(), hidden_must_be_named)
        .map_err(|error| Problem::new(format!("not a pattern: {error}")))?;
    let names: Vec<_> = found
        .flatten()
        .take(MAX_REPEATS + 1)
        .map(|path| {
            let name = match path.strip_prefix(&world.directory) {
                Ok(inside) if is_relative => inside,
                _ => &path,
            };
            Some(name.to_string_lossy().into_owned())
        })
        .collect();
    Ok(match names.is_empty() {
        true => vec![some(argument)],
        false => names,
    })
}

/// To C's glob two stars are one; they do not reach into directories.
fn one_level(pattern: &str) -> String {
    let mut pattern = pattern.to_owned();
    while pattern.contains("**") {
        pattern = pattern.replace("**", "*");
    }
    pattern
}

/// No round when the condition fails, else one; with the tested value, when there is one.
fn condition(
    world: &World,
    list: &[Item],
    key: &str,
    argument: &str,
) -> Result<Vec<Option<String>>, Problem> {
    let (wanted, test) = match key.strip_prefix("if-not-") {
        Some(test) => (false, test),
        None => (true, key.trim_start_matches("if-")),
    };
    let path = match argument {
        "" => PathBuf::new(),
        name => world.path(name),
    };
    let (holds, tested) = match test {
        "exists" => (path.exists(), some(argument)),
        "file" => (path.is_file(), some(argument)),
        "dir" => (path.is_dir(), some(argument)),
        "plugin" => (BUILT_IN.contains(&argument), some(argument)),
        "reload" => (world.is_reload(), None),
        "hostname" => (world::host_name() == argument, some(argument)),
        "env" => is_set(argument, |name| world.variable(name)),
        "opt" => is_set(argument, |name| {
            let first = list.iter().find(|item| item.entry.key == name)?;
            first.entry.value.as_deref()
        }),
        _ => (matches(argument, &world::host_name())?, some(argument)),
    };
    Ok(match holds == wanted {
        true => vec![tested],
        false => Vec::new(),
    })
}

/// Whether the pattern matches anywhere in the text.
fn matches(pattern: &str, text: &str) -> Result<bool, Problem> {
    let pattern = regex_lite::Regex::new(pattern).map_err(|error| {
        Problem::new(format!("not a pattern: {error}"))
            .help("PCRE's look-around and back references are not supported")
    })?;
    Ok(pattern.is_match(text))
}

/// `NAME` or `NAME=value`, and the value that the name has.
fn is_set<'a>(argument: &str, find: impl Fn(&str) -> Option<&'a str>) -> (bool, Option<String>) {
    let (name, wanted) = match argument.split_once('=') {
        Some((name, wanted)) => (name, Some(wanted)),
        None => (argument, None),
    };
    let value = find(name);
    let holds = value.is_some() && (wanted.is_none() || wanted == value);
    (holds, value.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_host_name_matches_anywhere() {
        assert!(matches("^web[0-9]+", "web12.example").unwrap());
        assert!(matches("exam", "web12.example").unwrap());
        assert!(!matches("^db", "web12.example").unwrap());
        assert!(matches("(", "web12").is_err());
        assert!(matches("(?=web)", "web12").is_err());
    }
}
