//! Values that do not mean what they seem to.

use std::collections::HashMap;

use super::Subject;
use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::origin::Origin;
use crate::table::{Row, Support, Syntax};

fn warn(entry: &Entry, rule: &'static str, message: impl Into<String>) -> Finding {
    Finding::about(Severity::Warning, rule, entry, message)
}

/// Options whose value is a path, a name or an address, and never a word like `true`.
const NAMES: &[&str] = &[
    "daemonize",
    "daemonize2",
    "logto",
    "logto2",
    "pidfile",
    "pidfile2",
    "safe-pidfile",
    "safe-pidfile2",
    "stats",
    "stats-server",
    "touch-reload",
    "touch-chain-reload",
    "touch-workers-reload",
    "logger",
    "req-logger",
    "chdir",
    "chdir2",
    "home",
    "module",
    "wsgi-file",
    "callable",
    "uid",
    "gid",
    "master-fifo",
    "py-tracebacker",
    "emperor",
    "spooler",
    "python",
    "procname-master",
];

/// Families whose values are languages of their own: templates, shell commands, regular expressions.
const OWN_LANGUAGES: &[&str] = &[
    "log",
    "route",
    "response-route",
    "error-route",
    "final-route",
    "cron",
    "unique-cron",
    "attach",
    "smart-attach",
    "legion",
    "hook",
    "exec",
    "alarm",
    "metric",
    "touch-exec",
    "declare-option",
    "add-header",
    "print",
    "iprint",
    "static-expires",
    "http-var",
];

fn has_own_language(row: &Row) -> bool {
    OWN_LANGUAGES.iter().any(|family| {
        let rest = row.name.strip_prefix(family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', 'f', 'g', '2']))
    })
}

fn is_option(row: &Row) -> bool {
    !matches!(row.support, Support::Language)
}

fn is_in_ini(entry: &Entry) -> bool {
    matches!(&entry.origin, Origin::File { path, .. } if path.ends_with(".ini"))
}

/// `callable = "app"`: in ini files quotes are text.
pub(super) fn quotes(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for (entry, row) in &subject.entries {
        let text = entry.text();
        let quoted = ['"', '\'']
            .iter()
            .any(|&quote| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote));
        if quoted && is_option(row) && is_in_ini(entry) {
            let finding = warn(entry, "quoted-value", "the quotes are part of the value");
            findings.push(finding.with_help("write it without quotes"));
        }
    }
}

/// `socket = :80 ; web`: there are no comments behind values. Numbers were told already.
pub(super) fn comments(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for (entry, row) in &subject.entries {
        let is_text = matches!(row.syntax, Syntax::Text(_));
        if !is_option(row) || !is_in_ini(entry) || has_own_language(row) {
            continue;
        }
        if !has_comment(entry.text()) {
            continue;
        }
        let help = "a comment needs a line of its own";
        match row.syntax {
            Syntax::Flag if crate::value::flag(entry.value.as_deref()).remark.is_none() => {
                let message = "the comment is part of the value; any such text means `true`";
                let note = Finding::about(Severity::Note, "comment-in-value", entry, message);
                findings.push(note.with_help(help));
            }
            _ if is_text => {
                let message = "the comment is part of the value";
                findings.push(warn(entry, "comment-in-value", message).with_help(help));
            }
            _ => {}
        }
    }
}

fn has_comment(text: &str) -> bool {
    ['#', ';'].iter().any(|&mark| {
        text.match_indices(mark).any(|(at, _)| {
            let before = text[..at].ends_with([' ', '\t']);
            let after = &text[at + 1..];
            before && (after.is_empty() || after.starts_with(' ') || mark == '#')
        })
    })
}

/// `daemonize = true` logs to a file called `true`.
pub(super) fn flag_words(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for (entry, row) in &subject.entries {
        let text = entry.text();
        let is_word = ["true", "false", "yes", "no", "on", "off"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
        if is_word && NAMES.contains(&row.name) {
            let message = format!("this is not a switch: `{text}` is taken as a name");
            let form = row.syntax.placeholder();
            findings
                .push(warn(entry, "word-as-name", message).with_help(format!("expected {form}")));
        }
    }
}

/// `$HOME`, `${HOME}`, `~/app`: only `$(HOME)` is replaced.
pub(super) fn shell_syntax(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for (entry, row) in &subject.entries {
        let text = entry.text();
        if !is_option(row) || has_own_language(row) {
            continue;
        }
        if text.starts_with("~/") {
            let finding = warn(
                entry,
                "shell-syntax",
                "`~` is not replaced by a home directory",
            );
            findings.push(finding.with_help("write $(HOME)"));
        }
        if let Some(name) = shell_variable(text) {
            let message = format!("`{name}` is the shell's form, and is not replaced");
            let bare = name.trim_matches(['$', '{', '}']);
            let bare = bare.split(':').next().unwrap_or_default();
            findings.push(
                warn(entry, "shell-syntax", message)
                    .with_help(format!("write $({bare}) for a variable of the environment")),
            );
        }
    }
}

/// The first `$NAME` or `${NAME...}` with a name in capitals.
fn shell_variable(text: &str) -> Option<&str> {
    let (at, _) = text.match_indices('$').find(|&(at, _)| {
        let name = text[at + 1..].trim_start_matches('{');
        name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
    })?;
    let rest = &text[at..];
    let end = match rest.starts_with("${") {
        true => rest.find('}').map_or(rest.len(), |end| end + 1),
        false => rest[1..]
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(rest.len(), |end| end + 1),
    };
    Some(&rest[..end])
}

/// `$(NAME)` that is still there after the passes.
pub(super) fn unset_variables(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let changes = subject.all_of("env").filter_map(|env| {
        let (name, _) = env.text().split_once('=')?;
        Some((name, &env.origin))
    });
    let changes: HashMap<&str, &Origin> = changes.collect();
    for (entry, row) in &subject.entries {
        if !is_option(row) || row.immediate {
            continue;
        }
        let Some(name) = reference(entry.text(), "$(") else {
            continue;
        };
        let set_later = changes
            .get(name)
            .is_some_and(|origin| **origin != entry.origin);
        let message =
            format!("there is no variable {name} in the environment, so `$({name})` stays");
        let finding = warn(entry, "unset-variable", message);
        findings.push(match set_later {
            true => finding.with_help(format!(
                "`env = {name}=...` is for the app; for the configuration write `set-ph = {name}=...` and %({name})"
            )),
            false => finding.with_help("set it where the instance is started"),
        });
    }
}

/// `%(name)` that is still there after the passes. Log formats have names of their own.
pub(super) fn undefined_placeholders(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for (entry, row) in &subject.entries {
        if !is_option(row) || row.immediate || has_own_language(row) {
            continue;
        }
        if let Some(name) = reference(entry.text(), "%(") {
            let message = format!("nothing defines `{name}`, so `%({name})` stays");
            let finding = warn(entry, "undefined-placeholder", message);
            findings
                .push(finding.with_help(format!("write `{name} = ...` or `set-ph = {name}=...`")));
        }
    }
}

/// The name in the first reference of a value.
fn reference<'a>(text: &'a str, opening: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(opening)?;
    let (name, _) = rest.split_once(')')?;
    (!name.trim().is_empty()).then_some(name)
}

/// References in options that uWSGI applies while it reads: they are never replaced.
pub(super) fn raw_references(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for (entry, row) in &subject.entries {
        let is_loop = row.name.starts_with("for") || row.name.starts_with("set");
        if !row.immediate || is_loop || row.name == "declare-option" {
            continue;
        }
        for opening in ["$(", "%(", "@("] {
            if reference(entry.text(), opening).is_some() {
                let message = format!(
                    "`{}` does its work before `{opening}...)` is replaced",
                    entry.key
                );
                let finding = warn(entry, "reference-too-early", message);
                findings.push(finding.with_help("only %d, %n and the like work here"));
                break;
            }
        }
    }
}

/// `100%`, `%Y-%m-%d`, `%N` where it is empty.
pub(super) fn lost_percent_signs(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut places = super::places::Places::new(subject.world);
    for (origin, letter) in &subject.outcome.lost {
        let is_break = matches!(letter, '\n' | '\r');
        if !is_break && places.is_comment(origin) {
            continue;
        }
        let (message, help) = match letter {
            '\n' | '\r' => (
                "the `%` takes the line break along, so the next line is part of this one"
                    .to_owned(),
                "write %% for a percent sign",
            ),
            'O' | 'D' | 'S' | 'P' | 'C' | 'E' | 'N' | 'X' | 'I' | 'J' => (
                format!("`%{letter}` is empty unless the first file is named with an option"),
                "start with `--ini FILE`, or use the lower-case letter",
            ),
            ' ' => (
                "the `%` takes the blank behind it along, and both vanish".to_owned(),
                "write %% for a percent sign",
            ),
            letter => (
                format!("`%{letter}` stands for nothing and vanishes"),
                "write %% for a percent sign",
            ),
        };
        let finding = Finding::at(
            Severity::Warning,
            "lost-percent-sign",
            origin.clone(),
            message,
        );
        findings.push(finding.with_help(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_values() {
        for text in ["a ; b", "a # b", ":80 #web", "x\t; y", "a ;"] {
            assert!(has_comment(text), "{text}");
        }
        for text in ["a;b", "a#b", "#fff", "k=v;w", "x ;y", ""] {
            assert!(!has_comment(text), "{text}");
        }
    }

    #[test]
    fn shell_variables_are_found() {
        for (text, expected) in [
            ("$HOME/x", Some("$HOME")),
            ("a ${X:-2} b", Some("${X:-2}")),
            ("$(HOME)", None),
            ("cost $5", None),
            ("${", None),
            ("$1", None),
        ] {
            assert_eq!(shell_variable(text), expected, "{text}");
        }
    }
}
