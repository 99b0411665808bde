//! The options page is made from the table.

use std::path::Path;

use uwgate_config::table;

#[test]
fn the_options_page_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/options.md");
    let page = uwgate_config::options_page();
    if std::env::var_os("UWGATE_RECORD").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/options.md is not up to date: run the tests once with UWGATE_RECORD=1"
    );
}

#[test]
fn no_name_and_no_letter_has_two_rows() {
    let mut names = std::collections::HashMap::new();
    let mut letters = std::collections::HashMap::new();
    for row in table::all() {
        for name in row.names() {
            assert_eq!(names.insert(name, row.name), None, "{name}");
        }
        if let Some(letter) = row.short {
            assert_eq!(letters.insert(letter, row.name), None, "{letter}");
        }
    }
}

#[test]
fn every_row_is_found_by_its_names_and_letter() {
    for row in table::all() {
        for name in row.names() {
            let found = table::find(name);
            assert!(found.is_some_and(|it| std::ptr::eq(it, row)), "{name}");
        }
        if let Some(letter) = row.short {
            let found = table::find_short(letter);
            assert!(found.is_some_and(|it| std::ptr::eq(it, row)), "{letter}");
        }
    }
    assert!(table::find("no-such-option").is_none());
    assert!(table::find_short('?').is_none());
}

#[test]
fn every_row_that_acts_is_described() {
    for section in table::SECTIONS {
        for row in section.rows {
            assert!(row.help.ends_with('.'), "{}: {}", row.name, row.help);
        }
    }
}

/// The list of names was taken from uWSGI's sources.
#[test]
fn every_name_of_uwsgi_is_known() {
    let Some(shared) = crate::common::shared() else {
        return;
    };
    let all = std::fs::read_to_string(shared.join("uwsgi/all-options.tsv")).unwrap();
    let unknown: Vec<_> = all
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next())
        .filter(|name| table::find(name).is_none())
        .collect();
    assert_eq!(unknown, [""; 0]);
}

/// What a row says of itself is what uWSGI's sources say: these are the facts that the language depends on.
#[test]
fn arguments_and_immediacy_are_those_of_uwsgi() {
    let Some(shared) = crate::common::shared() else {
        return;
    };
    let all = std::fs::read_to_string(shared.join("uwsgi/all-options.tsv")).unwrap();
    let mut wrong = Vec::new();
    for line in all.lines().skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, argument, _, _, _, flags, ..] = columns[..] else {
            panic!("{line}");
        };
        let row = table::find(name).unwrap();
        let expected = match argument {
            "no" => table::Argument::No,
            "optional" => table::Argument::Optional,
            _ => table::Argument::Required,
        };
        let has = |flag| flags.split('|').any(|f| f == flag);
        if row.ours || name == "source" || name == "option" {
            continue;
        }
        let ours = (row.argument, row.implies_master, row.immediate);
        let theirs = (expected, has("MASTER"), has("IMMEDIATE"));
        if ours != theirs {
            wrong.push(format!("{name}: {ours:?} but {theirs:?}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
