//! How an operator reaches a running instance, and what makes it reload.

use super::{Row, flag, number, parsed, path, paths, texts};
use crate::entry::Entry;
use crate::options::Options;
use crate::value::Problem;

pub(super) const ROWS: &[Row] = &[
    path("pidfile", "FILE", |o| &mut o.control.pidfile)
        .help("Write the master's pid here once the sockets are bound, before privileges are dropped."),
    path("pidfile2", "FILE", |o| &mut o.control.pidfile2)
        .help("As pidfile, after privileges are dropped."),
    path("safe-pidfile", "FILE", |o| &mut o.control.safe_pidfile)
        .help("Write the master's pid here once the workers are ready; a start that fails leaves the file alone."),
    path("safe-pidfile2", "FILE", |o| &mut o.control.safe_pidfile2)
        .help("The same as safe-pidfile."),
    paths("master-fifo", "FILE", |o| &mut o.control.master_fifo)
        .implying_master()
        .help("Named pipe that takes commands of one letter (docs/control.md). Of several, the digits 0 to 9 choose the one that is read."),
    paths("touch-reload", "FILE", |o| &mut o.control.touch_reload)
        .implying_master()
        .help("Reload when this file is touched or appears; looked at once a second."),
    paths("touch-workers-reload", "FILE", |o| &mut o.control.touch_workers_reload)
        .implying_master()
        .help("Replace the workers when this file is touched or appears."),
    paths("touch-chain-reload", "FILE", |o| &mut o.control.touch_chain_reload)
        .implying_master()
        .help("Replace the workers one after the other when this file is touched or appears."),
    paths("touch-logreopen", "FILE", |o| &mut o.control.touch_logreopen)
        .implying_master()
        .help("Reopen the log files when this file is touched or appears."),
    paths("touch-logrotate", "FILE", |o| &mut o.control.touch_logrotate)
        .implying_master()
        .help("Rotate the log files when this file is touched or appears."),
    paths("fs-reload", "PATH", |o| &mut o.control.fs_reload)
        .implying_master()
        .help("Reload when this file changes, or anything directly in this directory."),
    paths("fs-brutal-reload", "PATH", |o| &mut o.control.fs_brutal_reload)
        .implying_master()
        .help("Reload without waiting for requests when this file changes, or anything directly in this directory."),
    flag("exit-on-reload", |o| &mut o.control.exit_on_reload)
        .help("Stop gracefully instead of reloading, for a supervisor that starts the instance again."),
    number("py-autoreload", "seconds", |o| &mut o.control.py_autoreload)
        .aliases(&["py-auto-reload", "python-autoreload", "python-auto-reload"])
        .implying_master()
        .default("0")
        .help("Look so often whether the file of an imported module has changed, and reload then (for development)."),
    texts("py-auto-reload-ignore", "MODULE", |o| &mut o.control.py_auto_reload_ignore)
        .implying_master()
        .help("A module that py-autoreload does not look at."),
    number("worker-reload-mercy", "seconds", |o| &mut o.control.worker_reload_mercy)
        .default("60")
        .help("How long a worker that shall go may take to finish its requests before it is killed."),
    number("reload-mercy", "seconds", |o| &mut o.control.reload_mercy)
        .default("2")
        .help("How long SIGINT, SIGQUIT and brutal reloads leave to running requests before workers are killed."),
];

/// What a running instance is told from the command line.
pub(super) const COMMANDS: &[Row] = &[
    command("reload", "PIDFILE")
        .immediate()
        .help("Command: reload the instance whose pid is in the file."),
    command("stop", "PIDFILE")
        .immediate()
        .help("Command: stop the instance whose pid is in the file (SIGINT)."),
    command("pause", "PIDFILE")
        .immediate()
        .help("Command: pause the instance whose pid is in the file, or resume it (SIGTSTP)."),
    command("suspend", "PIDFILE")
        .immediate()
        .help("Command: the same as pause."),
    command("resume", "PIDFILE")
        .immediate()
        .help("Command: the same as pause."),
    command("ping", "ADDRESS")
        .help("Command: ask a uwsgi socket for a sign of life. Exit status 0: it is well; 1: no answer; 2: a wrong answer or a warning."),
    Row {
        syntax: super::Syntax::Number("seconds"),
        ..command("ping-timeout", "SECONDS")
    }
    .help("How long ping waits; 3 when not given."),
    command("connect-and-read", "ADDRESS")
        .immediate()
        .help("Command: connect to a socket and print what it sends (a stats server, say)."),
];

const fn command(name: &'static str, form: &'static str) -> Row {
    parsed(name, form, refuse)
}

/// Whoever writes a command on the command line does not come here (`commands::find`).
fn refuse(_: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    Err(
        Problem::new("this is a command, not part of a configuration").help(format!(
            "run: uwgate --{} {}",
            entry.key,
            entry.text()
        )),
    )
}
