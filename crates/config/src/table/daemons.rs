//! Programs that run beside the workers.

use std::path::PathBuf;

use super::{Row, flag, parsed};
use crate::entry::Entry;
use crate::options::{Daemon, Options};
use crate::origin::Located;
use crate::value::Problem;

pub(super) const ROWS: &[Row] = &[
    parsed("attach-daemon", "COMMAND", |o, entry| {
        add(o, entry, daemon(entry.text()))
    })
    .repeatable()
    .implying_master()
    .help("Run a program beside the workers, in the foreground: start it again when it ends, start it anew at each reload, stop it at the end."),
    parsed("attach-control-daemon", "COMMAND", |o, entry| {
        let control = |daemon| Daemon { control: true, ..daemon };
        add(o, entry, daemon(entry.text()).map(control))
    })
    .repeatable()
    .implying_master()
    .help("As attach-daemon, but the program's end is the end of the instance."),
    parsed("smart-attach-daemon", "PIDFILE COMMAND", |o, entry| {
        add(o, entry, smart(entry.text(), true))
    })
    .repeatable()
    .implying_master()
    .help("Run a program that goes to the background and writes its pid into a file. It outlives reloads and the instance."),
    parsed("smart-attach-daemon2", "PIDFILE COMMAND", |o, entry| {
        add(o, entry, smart(entry.text(), false))
    })
    .repeatable()
    .implying_master()
    .help("As smart-attach-daemon, for a program that stays in the foreground; its pid is written for it."),
    parsed("attach-daemon2", "KEY=VALUE,...", |o, entry| {
        add(o, entry, by_keys(entry.text()))
    })
    .repeatable()
    .implying_master()
    .help("As attach-daemon, with keys: cmd, pidfile, daemonize, freq, control, touch, stopsignal, reloadsignal, chdir, \
           max_throttle, stdin. A backslash keeps a comma from ending a value."),
    flag("daemons-honour-stdin", |o| &mut o.daemons.daemons_honour_stdin)
        .implying_master()
        .help("Daemons read the standard input of the instance instead of nothing."),
];

/// uWSGI's defaults.
fn daemon(command: &str) -> Result<Daemon, Problem> {
    if command.trim().is_empty() {
        return Err(Problem::new("expected a command"));
    }
    Ok(Daemon {
        command: command.to_owned(),
        pidfile: None,
        goes_to_background: false,
        freq: 10,
        control: false,
        touch: Vec::new(),
        stop_signal: 15,
        reload_signal: None,
        chdir: None,
        max_throttle: 180,
        stdin: false,
    })
}

fn smart(text: &str, goes_to_background: bool) -> Result<Daemon, Problem> {
    let (pidfile, command) = text
        .split_once(' ')
        .filter(|(pidfile, _)| !pidfile.is_empty())
        .ok_or_else(|| Problem::new("expected a pidfile, a blank and a command"))?;
    Ok(Daemon {
        pidfile: Some(pidfile.into()),
        goes_to_background,
        ..daemon(command)?
    })
}

fn by_keys(text: &str) -> Result<Daemon, Problem> {
    let pairs = pairs(text)?;
    let command = pairs
        .iter()
        .rev()
        .find(|(key, _)| matches!(&**key, "cmd" | "command" | "exec"));
    let (_, command) =
        command.ok_or_else(|| Problem::new("expected cmd=COMMAND among the keys"))?;
    let mut daemon = daemon(command)?;
    for (key, value) in &pairs {
        set(&mut daemon, key, value)?;
    }
    Ok(daemon)
}

fn set(daemon: &mut Daemon, key: &str, value: &str) -> Result<(), Problem> {
    let number = || {
        let number = value.parse::<u32>();
        number.map_err(|_| Problem::new(format!("expected a number: {key}={value}")))
    };
    let is_on = || crate::value::is_on(Some(value));
    match key {
        "cmd" | "command" | "exec" => {}
        "pidfile" | "smart" => daemon.pidfile = Some(value.into()),
        "daemonize" | "daemon" => daemon.goes_to_background = is_on(),
        "freq" => daemon.freq = number()?.max(1),
        "control" => daemon.control = is_on(),
        "touch" => daemon.touch = value.split(';').map(PathBuf::from).collect(),
        "stopsignal" | "stop_signal" => daemon.stop_signal = signal(key, value)?,
        "reloadsignal" | "reload_signal" => daemon.reload_signal = Some(signal(key, value)?),
        "chdir" => daemon.chdir = Some(value.into()),
        "max_throttle" => daemon.max_throttle = number()?,
        "stdin" => daemon.stdin = is_on(),
        "uid" | "gid" | "ns_pid" => {
            return Err(Problem::new(format!(
                "{key} is not supported: the program runs as the instance does"
            ))
            .help("run it as a service of its own, or drop the key"));
        }
        "notifypid" => {
            return Err(Problem::new("notifypid is not supported").help("drop the key"));
        }
        _ => return Err(Problem::new(format!("a daemon has no key `{key}`"))),
    }
    Ok(())
}

fn signal(key: &str, value: &str) -> Result<i32, Problem> {
    value
        .parse()
        .ok()
        .filter(|signal| (1..=31).contains(signal))
        .ok_or_else(|| Problem::new(format!("expected the number of a signal: {key}={value}")))
}

/// `k=v,k=v`; a backslash keeps the next comma.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut items = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next_is_comma = characters.peek() == Some(&',');
        match character {
            ',' => items.push(String::new()),
            '\\' if next_is_comma => items.iter_mut().last().into_iter().for_each(|item| {
                item.extend(characters.next());
            }),
            _ => items
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|item| item.push(character)),
        }
    }
    let pair = |item: &String| {
        let pair = item
            .split_once('=')
            .map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
        pair.ok_or_else(|| Problem::new(format!("expected key=value, not `{item}`")))
    };
    items
        .iter()
        .filter(|item| !item.is_empty())
        .map(pair)
        .collect()
}

fn add(
    options: &mut Options,
    entry: &Entry,
    daemon: Result<Daemon, Problem>,
) -> Result<Option<Problem>, Problem> {
    let daemon = Located::new(daemon?, entry.origin.clone());
    options.daemons.attached.push(daemon);
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_how_a_daemon_is_treated() {
        let daemon = by_keys(r"cmd=celery -Q a\,b worker,stopsignal=2,reloadsignal=1,touch=a;b,freq=3,control=1,max_throttle=9,chdir=/x").unwrap();
        assert_eq!(daemon.command, "celery -Q a,b worker");
        assert_eq!((daemon.stop_signal, daemon.reload_signal), (2, Some(1)));
        assert_eq!(daemon.touch, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(
            (daemon.freq, daemon.max_throttle, daemon.control),
            (3, 9, true)
        );
        assert_eq!(daemon.chdir, Some("/x".into()));
    }

    #[test]
    fn what_is_no_daemon_is_an_error() {
        for bad in [
            "",
            "freq=1",
            "cmd=",
            "cmd=x,uid=33",
            "cmd=x,ns_pid=1",
            "cmd=x,colour=red",
            "cmd=x,y",
            "cmd=x,stopsignal=TERM",
        ] {
            assert!(by_keys(bad).is_err(), "{bad}");
        }
        assert!(smart("only-a-pidfile", true).is_err());
        assert!(daemon(" ").is_err());
        let pidfile = smart("/run/x.pid redis-server x.conf", true).unwrap();
        assert_eq!(
            (pidfile.pidfile, &*pidfile.command),
            (Some("/run/x.pid".into()), "redis-server x.conf")
        );
    }
}
