//! The language against real uWSGI: hundreds of small configurations, each aimed at one rule.
//!
//! `language/*.cases` hold the configurations together with the list that uWSGI 2.0.31 made of them (as its
//! `show-config` prints it). Our list must be the same; and where a uWSGI is at hand, it must still say so too.
//! `UWGATE_RECORD=1` writes what uWSGI says into the files.
//!
//! A case is a line `=== title`, then lines that begin with `$` (arguments), `@` (NAME=value of the environment),
//! `>` (a file's name), `|` (a line of that file), `<` (an entry of the list) or `!` (uWSGI refuses to start).
//! `\t`, `\r`, `\n` and `\\` are escapes; `{DIR}` is the directory of the run, `{HOST}` the host's name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::common::{self, Run, Uwsgi};

#[derive(Debug, Default, PartialEq)]
struct Case {
    title: String,
    run: Run,
    /// `None`: refused.
    list: Option<Vec<String>>,
}

#[test]
fn every_case_gives_the_list_that_uwsgi_gave() {
    let mut wrong = String::new();
    let mut count = 0;
    for (file, cases) in all_cases() {
        for case in cases {
            count += 1;
            let ours = common::ours(&case.run);
            if ours != case.list {
                let _ = writeln!(
                    wrong,
                    "{}: {}\n  uwsgi: {:#?}\n  ours:  {ours:#?}",
                    file.display(),
                    case.title,
                    case.list
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 200, "only {count} cases were found");
}

#[test]
fn uwsgi_itself_still_gives_these_lists() {
    let Some(uwsgi) = Uwsgi::find() else { return };
    let record = std::env::var_os("UWGATE_RECORD").is_some();
    let mut wrong = String::new();
    for (file, cases) in all_cases() {
        let answers: Vec<_> = cases
            .iter()
            .map(|case| Case {
                list: uwsgi.list(&case.run),
                title: case.title.clone(),
                run: case.run.clone(),
            })
            .collect();
        if record {
            std::fs::write(&file, written(&answers)).unwrap();
        }
        for (case, answer) in cases.iter().zip(&answers) {
            if case != answer && !record {
                let _ = writeln!(
                    wrong,
                    "{}: {}: {:#?}",
                    file.display(),
                    case.title,
                    answer.list
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn all_cases() -> Vec<(PathBuf, Vec<Case>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/language");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "cases"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            (file, parsed(&text))
        })
        .collect()
}

fn parsed(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            cases.push(Case {
                title: title.to_owned(),
                list: Some(Vec::new()),
                ..Case::default()
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        let (mark, rest) = line.split_at_checked(1).unwrap_or(("", ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let files = &mut case.run.files;
        match mark {
            "$" => case.run.arguments.extend(rest.split(' ').map(unescaped)),
            "@" => {
                let (name, value) = rest.split_once('=').unwrap();
                case.run
                    .environment
                    .push((name.to_owned(), unescaped(value)));
            }
            ">" => files.push((rest.to_owned(), String::new())),
            "|" => {
                let content = &mut files.last_mut().unwrap().1;
                content.push_str(&unescaped(rest));
                content.push('\n');
            }
            "<" => case.list.get_or_insert_default().push(unescaped(rest)),
            "!" => case.list = None,
            _ => {}
        }
    }
    cases
}

fn written(cases: &[Case]) -> String {
    let mut text = String::new();
    for Case { title, run, list } in cases {
        let _ = writeln!(text, "=== {title}");
        for argument in &run.arguments {
            let _ = writeln!(text, "$ {}", escaped(argument));
        }
        for (name, value) in &run.environment {
            let _ = writeln!(text, "@ {name}={}", escaped(value));
        }
        for (name, content) in &run.files {
            let _ = writeln!(text, "> {name}");
            for line in content.strip_suffix('\n').unwrap_or(content).split('\n') {
                let _ = writeln!(text, "{}", format!("| {}", escaped(line)).trim_end());
            }
        }
        match list {
            None => text.push_str("!\n"),
            Some(list) => {
                for entry in list {
                    let _ = writeln!(text, "< {}", escaped(entry));
                }
            }
        }
        text.push('\n');
    }
    text
}

fn escaped(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\r', "\\r")
        .replace('\n', "\\n");
    match escaped.strip_suffix(' ') {
        Some(rest) => format!("{rest}\\s"),
        None => escaped,
    }
}

fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('r') => '\r',
                Some('n') => '\n',
                Some('s') => ' ',
                other => other.unwrap_or('\\'),
            },
            _ => c,
        });
    }
    plain
}
