//! Public configurations: each must give the same list as in real uWSGI.
//!
//! What is compared is the language: options that do something get another name first, in the text that both read,
//! for uWSGI would open logs and become other users before it prints its list.

use crate::common::{self, Directory, Run, Uwsgi};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use uwgate_config::table::{self, Support};
use uwgate_config::{Finding, Options, Severity, cli};

/// Gives every option another name that does something, for uWSGI does it before it prints its list.
fn stubbed(text: &str) -> String {
    let mut stubbed = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let content = line.trim_start();
        let indentation = &line[..line.len() - content.len()];
        let end = content.find([' ', '\t', '=', ':']).unwrap_or(content.len());
        let key = &content[..end];
        let mark = match acts(key) {
            true => "stub-",
            false => "",
        };
        if acts(key) {
            keys.insert(key);
        }
        let _ = writeln!(stubbed, "{indentation}{mark}{content}");
    }
    for key in keys {
        stubbed = stubbed.replace(&format!("%({key})"), &format!("%(stub-{key})"));
    }
    // The time in microseconds is never the same for both.
    stubbed.replace("%T", "%%T")
}

fn acts(key: &str) -> bool {
    let is_option = table::find(key).is_some_and(|row| !matches!(row.support, Support::Language));
    is_option || matches!(key, "strict" | "show-config" | "print")
}

fn corpus() -> Vec<(String, Run)> {
    let Some(shared) = common::shared() else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(shared.join("corpus")).unwrap();
    let mut runs: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.to_owned();
            let option = match path.extension()?.to_str()? {
                "ini" => "--ini",
                "yml" | "yaml" => "--yaml",
                _ => return None,
            };
            let run = Run {
                arguments: vec![option.into(), name.clone()],
                files: vec![(name.clone(), std::fs::read_to_string(&path).unwrap())],
                environment: Vec::new(),
            };
            Some((name, run))
        })
        .collect();
    runs.sort_by(|(a, _), (b, _)| a.cmp(b));
    runs
}

#[test]
fn every_public_file_gives_the_list_of_uwsgi() {
    let Some(uwsgi) = Uwsgi::find() else { return };
    let mut wrong = String::new();
    let mut same = 0;
    for (name, mut run) in corpus() {
        for (_, text) in &mut run.files {
            *text = stubbed(text);
        }
        let (ours, theirs) = (common::ours(&run), uwsgi.list(&run));
        match ours == theirs {
            true => same += 1,
            false => {
                let _ = writeln!(wrong, "{name}:{}", difference(ours, theirs));
            }
        }
    }
    eprintln!("{same} files give the same list");
    assert!(wrong.is_empty(), "{wrong}");
}

fn difference(ours: Option<Vec<String>>, theirs: Option<Vec<String>>) -> String {
    let (Some(ours), Some(theirs)) = (&ours, &theirs) else {
        return format!("\n  ours: {ours:?}\n  uwsgi: {theirs:?}");
    };
    let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let rest = |list: &[String]| format!("{:?}", list.get(same..).unwrap_or_default());
    format!("\n  ours: {}\n  uwsgi: {}", rest(ours), rest(theirs))
}

/// How far public files come as they are: printed for whoever wants to know, and nothing to pass or to fail.
#[test]
fn what_becomes_of_public_files() {
    let (mut load, mut silent, mut acted_on) = (0, 0, 0);
    let mut refused = BTreeMap::<String, usize>::new();
    let runs = corpus();
    for (_, run) in &runs {
        let Ok(entries) = common::entries(run) else {
            continue;
        };
        let (findings, starts) = match Options::from_entries(&entries) {
            Ok((_, findings)) => (findings, true),
            Err(findings) => (findings, false),
        };
        load += usize::from(starts);
        let matters = |finding: &&Finding| finding.severity != Severity::Note;
        silent += usize::from(!findings.iter().any(|finding| matters(&finding)));
        let known = |finding: &Finding| {
            matches!(finding.rule, "unsupported-option" | "option-without-effect")
        };
        acted_on += usize::from(!findings.iter().any(known));
        for finding in findings
            .iter()
            .filter(|finding| finding.rule == "unsupported-option")
        {
            *refused.entry(finding.key.clone()).or_default() += 1;
        }
    }
    eprintln!(
        "of {} files {load} would start, {acted_on} have only options that are acted on or needless, {silent} raise \
         neither warning nor error; refused: {refused:?}",
        runs.len()
    );
}

#[test]
fn the_effective_configuration_of_public_files_is_stable() {
    for (name, run) in corpus() {
        for flags in [&[][..], &["--as-yaml"]] {
            let first = effective(&run, flags);
            let suffix = if flags.is_empty() { "ini" } else { "yaml" };
            let again = Run {
                files: vec![(format!("again.{suffix}"), first.clone())],
                arguments: vec![format!("--{suffix}"), format!("again.{suffix}")],
                environment: Vec::new(),
            };
            assert_eq!(
                without_origins(&first),
                without_origins(&effective(&again, flags)),
                "{name}"
            );
        }
    }
}

/// What `config` prints about a run.
fn effective(run: &Run, flags: &[&str]) -> String {
    let directory = Directory::new(run);
    let mut arguments: Vec<OsString> = flags.iter().map(Into::into).collect();
    arguments.push((&run.arguments[0]).into());
    arguments.push(directory.0.join(&run.arguments[1]).into());
    let mut out = Vec::new();
    cli::config(&arguments, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn without_origins(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(';'));
    let line = |line: &str| {
        line.rsplit_once("  # ")
            .map_or(line, |(value, _)| value)
            .to_owned()
    };
    lines.map(line).collect::<Vec<_>>().join("\n")
}
