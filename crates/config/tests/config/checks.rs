//! What must hold for any text: the fuzz targets call these, and the ordinary tests replay their corpora.

use uwgate_config::{Entry, Options, Origin, decode, encode, list_of_text};

/// No value may grow beyond this.
const MAX_VALUE: usize = 4 << 20;

fn holds(name: &str, text: &str) {
    let Ok(entries) = list_of_text(name, text) else {
        return;
    };
    let lines = text.split('\n').count() as u32;
    for Entry { value, origin, .. } in &entries {
        let Origin::File { path, line } = origin else {
            panic!("{origin} is no line of the text");
        };
        assert_eq!(&**path, name);
        assert!((1..=lines).contains(line), "{origin} of {lines} lines");
        assert!(value.as_ref().is_none_or(|value| value.len() <= MAX_VALUE));
    }
    assert_eq!(decode(&encode(&entries)).unwrap(), entries);
    let _ = Options::from_entries(&entries);
}

/// Any bytes as an ini file.
pub(crate) fn ini(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    holds("t.ini", &text);
    holds("t.ini", &format!("[uwsgi]\n{text}"));
}

/// Any bytes as a YAML file.
pub(crate) fn yaml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    holds("t.yaml", &text);
    let indented: String = text
        .split_inclusive('\n')
        .map(|line| format!("  {line}"))
        .collect();
    holds("t.yaml", &format!("uwsgi:\n{indented}"));
}

/// Any bytes as a JSON file.
pub(crate) fn json(bytes: &[u8]) {
    holds("t.json", &String::from_utf8_lossy(bytes));
}

/// Any bytes as values that refer to each other: `a` to `z` are their names.
pub(crate) fn expansion(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let named: String = text
        .lines()
        .zip('a'..='z')
        .map(|(value, name)| format!("{name} = {value}\n"))
        .collect();
    holds("t.ini", &format!("[uwsgi]\n{named}"));
}

/// Any bytes as a program of blocks: the first byte of each line says what it is, the rest is its value.
pub(crate) fn logic(bytes: &[u8]) {
    const KEYS: [&str; 16] = [
        "for",
        "endfor",
        "if-opt",
        "if-not-opt",
        "endif",
        "x",
        "y",
        "set",
        "set-ph",
        "for-times",
        "if-exists",
        "blacklist",
        "end-blacklist",
        "declare-option",
        "x",
        "strict",
    ];
    let text = String::from_utf8_lossy(bytes);
    let program: String = text
        .lines()
        .filter_map(|line| {
            let kind = line.chars().next()?;
            let key = KEYS[kind as usize % KEYS.len()];
            Some(format!("{key} = {}\n", &line[kind.len_utf8()..]))
        })
        .collect();
    holds("t.ini", &format!("[uwsgi]\n{program}"));
}
