//! Privileges and signals.

use super::{Row, flag, text};

pub(super) const ROWS: &[Row] = &[
    text("uid", "USER", |o| &mut o.process.uid)
        .help("Become this user (name or number) once sockets and logs are open."),
    text("gid", "GROUP", |o| &mut o.process.gid)
        .help("Become this group (name or number) once sockets and logs are open."),
    flag("die-on-term", |o| &mut o.process.die_on_term).help(
        "SIGTERM stops the instance. It always does here; in uWSGI it reloads without this option.",
    ),
];
