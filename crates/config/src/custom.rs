//! Options that a configuration declares itself: `declare-option = name=socket=$1;processes=$2`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::apply::declared_name;
use crate::entry::Entry;
use crate::value;

/// How many entries there may be with those that declared options add.
const MAX_ENTRIES: usize = 200_000;

/// How deep declared options may be made of declared options.
const MAX_DEPTH: usize = 8;

/// The entries in the order in which they are applied: behind a declared option follows what it is made of.
///
/// As in uWSGI these do not become part of the list: they are applied, and no placeholder finds them.
pub(crate) fn resolve(entries: &[Entry]) -> Vec<Cow<'_, Entry>> {
    let mut templates = HashMap::new();
    let mut resolved = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(name) = declared_name(entry) {
            let template = entry.text().get(name.len() + 1..).unwrap_or_default();
            templates.insert(name, template);
        }
        resolved.push(Cow::Borrowed(entry));
        add_parts(entry, &templates, MAX_DEPTH, &mut resolved);
    }
    resolved
}

fn add_parts(
    entry: &Entry,
    templates: &HashMap<&str, &str>,
    depth: usize,
    resolved: &mut Vec<Cow<'_, Entry>>,
) {
    let Some(template) = templates.get(entry.key.as_str()).filter(|_| depth > 0) else {
        return;
    };
    let words: Vec<_> = match entry.text() {
        "" => vec![""],
        text => text.split(' ').filter(|word| !word.is_empty()).collect(),
    };
    for (key, value) in template.split(';').filter_map(|part| part.split_once('=')) {
        if resolved.len() >= MAX_ENTRIES {
            return;
        }
        let part = Entry {
            key: filled(key, &words),
            value: Some(filled(value, &words)),
            origin: entry.origin.clone(),
        };
        resolved.push(Cow::Owned(part.clone()));
        add_parts(&part, templates, depth - 1, resolved);
    }
}

fn filled(template: &str, words: &[&str]) -> String {
    let numbered = words.iter().zip(1..);
    numbered.fold(template.to_owned(), |text, (word, number)| {
        value::replaced(&text, &format!("${number}"), word).unwrap_or(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    #[test]
    fn a_declared_option_is_followed_by_its_parts() {
        let entry = |key: &str, value: &str| Entry {
            key: key.into(),
            value: Some(value.into()),
            origin: Origin::file("t.ini", 1),
        };
        let entries = [
            entry("mine", "early"),
            entry("declare-option", "mine=processes=$1;a$2=$1-$3;broken"),
            entry("mine", "x y"),
            entry("declare-option2", "loop=loop=$1"),
            entry("loop", "1"),
        ];
        let resolved = resolve(&entries);
        let texts: Vec<_> = resolved
            .iter()
            .map(|entry| format!("{}={}", entry.key, entry.text()))
            .collect();
        assert_eq!(texts[2..5], ["mine=x y", "processes=x", "ay=x-$3"]);
        assert_eq!(resolved.len(), 5 + 2 + MAX_DEPTH);
    }
}
