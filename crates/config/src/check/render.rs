//! Findings for people, with the line and a caret, and for tools.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::places::Places;
use crate::finding::{Finding, Severity};
use crate::origin::Origin;
use crate::world::World;

/// Findings as text, each with its line and a caret below what is meant.
pub(crate) fn human(world: &World, findings: &[Finding], colours: bool) -> String {
    let renderer = match colours {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let mut text = String::new();
    let mut places = Places::new(world);
    for finding in findings {
        let place = place(finding);
        let group = group(finding, &place, places.line(&finding.origin));
        let _ = writeln!(text, "{}\n", renderer.render(&[group]));
    }
    text + &summary(findings)
}

fn group<'a>(finding: &'a Finding, place: &'a str, line: Option<&'a str>) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(&*finding.message).id(finding.rule);
    let group = match (line, &finding.origin) {
        (Some(line), Origin::File { path, line: number }) => title.element(
            Snippet::source(line)
                .line_start(*number as usize)
                .path(&**path)
                .annotation(AnnotationKind::Primary.span(span(finding, line))),
        ),
        _ => title.element(
            Snippet::source(place).annotation(AnnotationKind::Primary.span(0..place.len())),
        ),
    };
    match &finding.help {
        Some(help) => group.element(Level::HELP.message(&**help)),
        None => group,
    }
}

/// A place without a line of text: what was given there.
fn place(finding: &Finding) -> String {
    match (&*finding.key, finding.value.as_deref()) {
        ("", _) => finding.origin.to_string(),
        (key, None | Some("")) => format!("{}: {key}", finding.origin),
        (key, Some(value)) => format!("{}: {key} = {value}", finding.origin),
    }
}

/// The part of the line that is meant: the value if it can be seen there, else the key, else all of it.
fn span(finding: &Finding, line: &str) -> Range<usize> {
    let content = line.trim();
    let start = line.len() - line.trim_start().len();
    let whole = start..start + content.len();
    let key = match &*finding.key {
        "" => return whole,
        key => line.find(key).map(|at| at..at + key.len()),
    };
    // An unknown key is itself what is wrong.
    if finding.rule == "unknown-option" {
        return key.unwrap_or(whole);
    }
    let behind = key.as_ref().map_or(start, |key| key.end);
    let value = finding.value.as_deref().filter(|value| !value.is_empty());
    let value = value.and_then(|value| {
        let at = line.get(behind..)?.find(value)?;
        Some(behind + at..behind + at + value.len())
    });
    value.or(key).unwrap_or(whole)
}

fn summary(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let part = |number: usize, name: &str| match number {
        1 => format!("1 {name}"),
        _ => format!("{number} {name}s"),
    };
    format!(
        "{}, {}, {}\n",
        part(count(Severity::Error), "error"),
        part(count(Severity::Warning), "warning"),
        part(count(Severity::Note), "note"),
    )
}

/// Findings as one JSON array, an object each: `severity`, `rule`, `file`, `line`, `source`, `key`, `value`,
/// `message`, `help`.
pub(crate) fn json(findings: &[Finding]) -> String {
    let objects: Vec<Value> = findings.iter().map(object).collect();
    format!("{:#}\n", Value::Array(objects))
}

fn object(finding: &Finding) -> Value {
    let (file, line) = match &finding.origin {
        Origin::File { path, line } => (Some(&**path), Some(*line)),
        _ => (None, None),
    };
    let source = match &finding.origin {
        Origin::File { .. } => "file",
        Origin::CommandLine { .. } => "command line",
        Origin::Environment { .. } => "environment",
    };
    json!({
        "severity": finding.severity.name(),
        "rule": finding.rule,
        "source": source,
        "file": file,
        "line": line,
        "key": finding.key,
        "value": finding.value,
        "message": finding.message,
        "help": finding.help,
    })
}
