//! What vassals' configurations say to the emperor: their `[emperor]` section.

use std::collections::{BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use uwgate_config::options::Vassals;
use uwgate_config::section_of_text;

use crate::spec::{ConfigFrom, Name, Stamp, VassalSpec};

/// The section.
const SECTION: &str = "emperor";

/// Longer configurations have no attributes.
const LONGEST: u64 = 4 << 20;

/// Names and values, in the order of the file.
type Pairs = Vec<(String, String)>;

/// Reads the attributes that the emperor has asked for.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    wanted: BTreeSet<String>,
    /// Of each vassal's version.
    known: HashMap<Name, (Stamp, Pairs)>,
}

impl Attributes {
    pub(super) fn new(options: &Vassals) -> Self {
        Self {
            wanted: options.attributes().map(str::to_owned).collect(),
            known: HashMap::new(),
        }
    }

    /// Tells each vassal's. Each version is read once.
    pub(super) fn fill(&mut self, set: &mut [VassalSpec]) {
        if self.wanted.is_empty() {
            return;
        }
        let mut known = HashMap::new();
        for spec in set {
            let before = self.known.remove(&spec.name);
            let pairs = match (before, &spec.config) {
                (Some((stamp, pairs)), _) if stamp == spec.stamp => pairs,
                (_, ConfigFrom::File { path }) => self.read(&spec.directory.join(path)),
                // A program's output is not known before it runs.
                (_, ConfigFrom::Output { .. } | ConfigFrom::Bytes { .. }) => Pairs::new(),
            };
            spec.attributes.clone_from(&pairs);
            known.insert(spec.name.clone(), (spec.stamp, pairs));
        }
        self.known = known;
    }

    fn read(&self, path: &Path) -> Pairs {
        let text = read(path).unwrap_or_default();
        self.of_text(&path.to_string_lossy(), &text)
    }

    /// Those of a text; the ending of `name` tells its language.
    pub(super) fn of_text(&self, name: &str, text: &str) -> Pairs {
        match self.wanted.is_empty() {
            true => Pairs::new(),
            false => {
                let mut pairs = section_of_text(name, text, SECTION);
                pairs.retain(|(key, _)| self.wanted.contains(key));
                pairs
            }
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    // Its owner may put a FIFO there, which would hold up all others.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(names: &[&str]) -> Attributes {
        Attributes {
            wanted: names.iter().map(|&it| it.to_owned()).collect(),
            known: HashMap::new(),
        }
    }

    #[test]
    fn only_what_was_asked_for_is_read_in_every_language() {
        let attributes = asking(&["plan", "limit"]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = vec![pair("plan", "big"), pair("limit", "as:1G")];
        for (name, text) in [
            (
                "a.ini",
                "[emperor]\nplan = big\nother = x\nlimit = as:1G\n[uwsgi]\nplan = no\n",
            ),
            (
                "a.yaml",
                "emperor:\n  plan: big\n  other: x\n  limit: as:1G\nuwsgi:\n  plan: no\n",
            ),
            (
                "a.json",
                r#"{"emperor":{"plan":"big","other":"x","limit":"as:1G"},"uwsgi":{"plan":"no"}}"#,
            ),
            ("a.conf", "[emperor]\nplan = big\nlimit = as:1G\n"),
        ] {
            assert_eq!(attributes.of_text(name, text), expected, "{name}");
        }
        assert_eq!(attributes.of_text("a.json", "{"), Pairs::new());
        let none = asking(&[]);
        assert_eq!(none.of_text("a.ini", "[emperor]\nplan = x\n"), Pairs::new());
    }
}
