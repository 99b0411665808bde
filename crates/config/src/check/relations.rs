//! Options that cancel or need each other.

use super::Subject;
use crate::address::{Address, Protocol};
use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::origin::Origin;
use crate::table::{Argument, Support};

/// An earlier value that a later one replaces. A file that overrides what it includes is meant to do so, and a value
/// that placeholders ask for does its work.
pub(super) fn overridden(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let reads_itself = subject.all_of("ini").any(|ini| ini.text().starts_with(':'));
    for (index, (entry, row)) in subject.entries.iter().enumerate() {
        let is_placeholder = subject.outcome.used.contains(&entry.key);
        if row.repeatable || is_placeholder || matches!(row.support, Support::Language) {
            continue;
        }
        let later = subject.entries[index + 1..]
            .iter()
            .find(|(_, other)| other.name == row.name);
        let Some((later, _)) = later else { continue };
        let meant = match (&entry.origin, &later.origin) {
            (Origin::File { path: a, .. }, Origin::File { path: b, .. }) => a != b || reads_itself,
            (Origin::File { .. }, _) => true,
            (Origin::Environment { .. }, Origin::CommandLine { .. }) => true,
            _ => false,
        };
        if !meant {
            findings.push(replaced(entry, later));
        }
    }
}

fn replaced(entry: &Entry, later: &Entry) -> Finding {
    let same = entry.value == later.value;
    let message = match same {
        true => format!("said again at {}", later.origin),
        false => format!(
            "no effect: `{} = {}` at {} comes later",
            later.key,
            later.text(),
            later.origin
        ),
    };
    let severity = if same {
        Severity::Note
    } else {
        Severity::Warning
    };
    let finding = Finding::about(severity, "overridden", entry, message);
    match (&entry.origin, &later.origin) {
        (Origin::CommandLine { .. }, Origin::File { .. }) => finding.with_help(
            "a file that is an argument of its own is read after all options; write --ini FILE in front",
        ),
        (Origin::Environment { .. }, _) => {
            finding.with_help("the environment is weaker than files and arguments")
        }
        _ => finding,
    }
}

/// Options that do nothing without another.
pub(super) fn missing_partners(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let options = subject.options();
    let sockets = &options.sockets.sockets;
    let has_unix = sockets
        .iter()
        .any(|s| matches!(s.address, Address::Unix(_)));
    let has_http = sockets.iter().any(|s| s.protocol == Protocol::Http);
    let python = &options.python;
    let names_module = python.wsgi_file.is_some()
        || !python.mount.is_empty()
        || python
            .module
            .as_ref()
            .is_some_and(|module| !module.contains(':'));
    let tcp_only = !sockets.is_empty() && !has_unix;
    let partners = [
        ("manage-script-name", python.mount.is_empty(), "a `mount`"),
        ("no-default-app", python.mount.is_empty(), "a `mount`"),
        ("chmod-socket", tcp_only, "a unix socket"),
        ("chown-socket", tcp_only, "a unix socket"),
        (
            "http-headers-timeout",
            !sockets.is_empty() && !has_http,
            "an `http-socket`",
        ),
        (
            "http-trust-forwarded",
            !sockets.is_empty() && !has_http,
            "an `http-socket`",
        ),
    ];
    for (name, is_missing, partner) in partners {
        let Some(entry) = subject
            .last_of(name)
            .filter(|entry| is_missing && is_asked(entry))
        else {
            continue;
        };
        let message = format!("no effect without {partner}");
        findings.push(Finding::about(
            Severity::Warning,
            "needs-another",
            entry,
            message,
        ));
    }
    if let Some(entry) = subject.last_of("callable")
        && !names_module
    {
        let finding = match &python.module {
            Some(module) => Finding::about(
                Severity::Warning,
                "overridden",
                entry,
                format!("no effect: `module = {}` names its own callable", **module),
            ),
            None => Finding::about(
                Severity::Warning,
                "needs-another",
                entry,
                "no effect without `module` or `wsgi-file`",
            ),
        };
        findings.push(finding);
    }
    if let Some(entry) = subject
        .last_of("catch-exceptions")
        .filter(|entry| is_asked(entry))
    {
        findings.push(
            Finding::about(
                Severity::Warning,
                "exposes-source",
                entry,
                "every client sees the tracebacks of the app",
            )
            .with_help("keep it for testing"),
        );
    }
}

fn is_asked(entry: &Entry) -> bool {
    let is_flag = crate::table::find(&entry.key).is_some_and(|row| row.argument == Argument::No);
    !is_flag || crate::value::is_on(entry.value.as_deref())
}

/// `uid` and `gid` go together.
pub(super) fn half_dropped_privileges(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let (uid, gid) = (subject.last_of("uid"), subject.last_of("gid"));
    let mut warn = |entry, message: &str, help: &str| {
        let finding = Finding::about(Severity::Warning, "privileges", entry, message);
        findings.push(finding.with_help(help));
    };
    match (uid, gid) {
        (Some(uid), _) if matches!(uid.text(), "root" | "0") => {
            warn(uid, "the app runs as root", "write a user without rights");
        }
        (Some(uid), None) => {
            warn(
                uid,
                "the group stays that of the start, root's perhaps",
                "write `gid` as well",
            );
        }
        (None, Some(gid)) => {
            warn(
                gid,
                "the user stays that of the start, root perhaps",
                "write `uid` as well",
            );
        }
        _ => {}
    }
}

/// No app or no socket. Both may come from elsewhere, so this is only a note.
pub(super) fn nothing_to_do(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(first) = subject.outcome.loaded.entries.iter().find_map(|entry| {
        matches!(entry.origin, Origin::File { .. }).then(|| entry.origin.clone())
    }) else {
        return;
    };
    let Origin::File { path, .. } = first else {
        return;
    };
    let mut note = |message: &str, help: &str| {
        let place = Origin::file(std::sync::Arc::clone(&path), 0);
        findings.push(Finding::at(Severity::Note, "incomplete", place, message).with_help(help));
    };
    let listens = [
        "http",
        "https",
        "http-to",
        "emperor",
        "https-socket",
        "fastcgi-socket",
        "fastrouter",
    ];
    let is_elsewhere = listens.iter().any(|name| subject.last_of(name).is_some());
    if subject.options().sockets.sockets.is_empty() && !is_elsewhere {
        note(
            "no socket is named, so nobody can connect",
            "write `socket` or `http-socket`",
        );
    }
    let python = &subject.options().python;
    let is_bare = python.module.is_none() && python.wsgi_file.is_none() && python.mount.is_empty();
    let others = [
        "emperor",
        "paste",
        "ini-paste",
        "ini-paste-logged",
        "eval",
        "pecan",
        "fastrouter",
    ];
    if is_bare && !others.iter().any(|name| subject.last_of(name).is_some()) {
        note("no app is named", "write `module` or `wsgi-file`");
    }
}
