//! The effective configuration: what is left when everything was read, expanded and overridden. Passwords in addresses
//! are not shown.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::entry::Entry;
use crate::secrets::masked;
use crate::table::{self, Support};

/// The entries that count: options, without those that only steered the reading and without values that a later one
/// replaces.
fn effective(entries: &[Entry]) -> Vec<&Entry> {
    let mut last = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if let Some(row) = table::find(&entry.key) {
            last.insert(row.name, index);
        }
    }
    let counts = |(index, entry): &(usize, &Entry)| {
        let Some(row) = table::find(&entry.key) else {
            return true;
        };
        let is_language = matches!(row.support, Support::Language);
        !is_language && (row.repeatable || last.get(row.name) == Some(index))
    };
    let all = entries.iter().enumerate();
    all.filter(counts).map(|(_, entry)| entry).collect()
}

/// As an ini file that gives the same configuration again, but for passwords; each origin stands above its line.
pub fn ini(entries: &[Entry]) -> String {
    let mut text = String::from("[uwsgi]\n");
    let mut above = String::new();
    for entry in effective(entries) {
        let origin = entry.origin.to_string();
        if origin != above {
            let _ = writeln!(text, "; {}", origin.replace('%', "%%"));
            above = origin;
        }
        let value = masked(entry.value.as_deref().unwrap_or("true"));
        // A value may have line breaks when it came from a file; ini has no form for them.
        if value.contains('\n') {
            let _ = writeln!(text, "; {} has a value of several lines:", entry.key);
            for line in value.lines() {
                let _ = writeln!(text, ";   {}", line.replace('%', "%%"));
            }
            continue;
        }
        let line = format!("{} = {value}", entry.key);
        let _ = writeln!(text, "{}", line.replace('%', "%%").trim_end());
    }
    text
}

/// As a YAML file that gives the same configuration again, but for passwords; each origin stands behind its value.
pub(crate) fn yaml(entries: &[Entry]) -> String {
    let mut text = String::from("uwsgi:\n");
    let effective = effective(entries);
    let mut done: Vec<&str> = Vec::new();
    for entry in &effective {
        if done.contains(&entry.key.as_str()) {
            continue;
        }
        done.push(&entry.key);
        let same: Vec<_> = effective.iter().filter(|e| e.key == entry.key).collect();
        match same.len() {
            1 => {
                let _ = writeln!(text, "  {}: {}", quoted_key(&entry.key), scalar(entry));
            }
            _ => {
                let _ = writeln!(text, "  {}:", quoted_key(&entry.key));
                for entry in same {
                    let _ = writeln!(text, "    - {}", scalar(entry));
                }
            }
        }
    }
    text
}

fn scalar(entry: &Entry) -> String {
    let value = masked(entry.value.as_deref().unwrap_or("true"));
    let origin = entry.origin.to_string();
    format!("{}  # {}", quoted(&value), origin.replace('%', "%%"))
}

fn quoted_key(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if is_plain {
        key.replace('%', "%%")
    } else {
        quoted(key)
    }
}

/// JSON's strings are YAML's as well.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value)
        .to_string()
        .replace('%', "%%")
}
