//! What is done at the turning points of an instance's life, and what its start waits for.

use std::path::PathBuf;

use super::{Row, number, parsed, row};
use super::{Store, Support, Syntax};
use crate::entry::Entry;
use crate::options::{Action, Awaited, Hook, Options, Phase, SignalAction};
use crate::origin::Located;
use crate::value::Problem;

type Reading = fn(&mut Options, &Entry) -> Result<Option<Problem>, Problem>;

const fn hook(name: &'static str, read: Reading) -> Row {
    parsed(name, "ACTION:VALUE", read).repeatable()
}

const fn command(name: &'static str, read: Reading) -> Row {
    parsed(name, "COMMAND", read).repeatable()
}

const fn wait(name: &'static str, form: &'static str, read: Reading) -> Row {
    row(
        name,
        Syntax::Text(form),
        Support::Stored(Store::Parsed(read)),
    )
    .repeatable()
}

pub(super) const ROWS: &[Row] = &[
    hook("hook-asap", |o, e| add(o, e, Phase::Asap))
        .help("Do this before anything else. The actions are in docs/hooks.md; one that fails ends the start."),
    command("exec-asap", |o, e| exec(o, e, Phase::Asap))
        .help("Run this command before anything else; if it fails, the instance does not start."),
    hook("hook-pre-jail", |o, e| add(o, e, Phase::PreJail)).help("Do this before hook-as-root."),
    command("exec-pre-jail", |o, e| exec(o, e, Phase::PreJail)).help("Run this command before hook-as-root."),
    hook("hook-in-jail", |o, e| add(o, e, Phase::InJail)).help("Do this before hook-as-root, after hook-pre-jail."),
    command("exec-in-jail", |o, e| exec(o, e, Phase::InJail)).help("Run this command before hook-as-root, after hook-pre-jail."),
    hook("hook-as-root", |o, e| add(o, e, Phase::AsRoot))
        .help("Do this before the sockets are opened and privileges are dropped."),
    command("exec-as-root", |o, e| exec(o, e, Phase::AsRoot))
        .help("Run this command before the sockets are opened and privileges are dropped."),
    parsed("file-write", "FILE=TEXT", read_file_write)
        .repeatable()
        .help("Write this text into a file before privileges are dropped."),
    hook("hook-as-user", |o, e| add(o, e, Phase::AsUser)).help("Do this once privileges are dropped."),
    command("exec-as-user", |o, e| exec(o, e, Phase::AsUser)).help("Run this command once privileges are dropped."),
    hook("hook-pre-app", |o, e| add(o, e, Phase::PreApp))
        .help("Do this before the app is loaded, at each reload too; if it fails, the new code does not serve."),
    command("exec-pre-app", |o, e| exec(o, e, Phase::PreApp))
        .help("Run this command before the app is loaded, at each reload too; if it fails, the new code does not serve."),
    hook("hook-post-app", |o, e| add(o, e, Phase::PostApp)).help("Do this once the app is loaded, at each reload too."),
    command("exec-post-app", |o, e| exec(o, e, Phase::PostApp)).help("Run this command once the app is loaded, at each reload too."),
    hook("hook-post-fork", |o, e| add(o, e, Phase::PostFork)).help("Do this in each new worker."),
    hook("hook-accepting", |o, e| add(o, e, Phase::Accepting)).help("Do this in each worker when it is about to take requests."),
    hook("hook-accepting-once", |o, e| add(o, e, Phase::AcceptingOnce))
        .help("Do this once for each worker when all take requests; not after reloads."),
    hook("hook-accepting1", |o, e| add(o, e, Phase::Accepting1))
        .help("Do this when the workers take requests, at the start and after each reload."),
    hook("hook-accepting1-once", |o, e| add(o, e, Phase::Accepting1Once))
        .help("Do this when the workers take requests for the first time."),
    hook("hook-master-start", |o, e| add(o, e, Phase::MasterStart))
        .help("Do this when the master starts, also `unix_signal:NUMBER FUNCTION`: gracefully_kill_them_all, kill_them_all, \
               grace_them_all, reap_them_all or stats. SIGTERM is gracefully_kill_them_all anyway."),
    hook("hook-as-user-atexit", |o, e| add(o, e, Phase::AsUserAtexit)).help("Do this at the very end of the instance."),
    command("exec-as-user-atexit", |o, e| exec(o, e, Phase::AsUserAtexit)).help("Run this command at the very end of the instance."),
    hook("hook-emperor-start", |o, e| add(o, e, Phase::EmperorStart)).help("In an emperor: do this before the first vassal starts."),
    hook("hook-as-vassal-before-drop", |o, e| add(o, e, Phase::AsVassalBeforeDrop))
        .help("In an emperor: do this in each new vassal's process, with the emperor's privileges; if it fails, the vassal does not start. UWSGI_VASSAL_CONFIG has its name."),
    hook("hook-as-vassal", |o, e| add(o, e, Phase::AsVassal))
        .help("In an emperor: do this in each new vassal's process, as its user, before its program starts; if it fails, the vassal does not start. UWSGI_VASSAL_CONFIG has its name."),
    command("exec-as-vassal", |o, e| exec(o, e, Phase::AsVassal)).help("As hook-as-vassal, with a command."),
    hook("hook-as-emperor", |o, e| add(o, e, Phase::AsEmperor))
        .help("In an emperor: do this whenever a vassal was started. UWSGI_VASSAL_CONFIG, _PID, _UID and _GID tell of it. Nobody waits for it."),
    command("exec-as-emperor", |o, e| exec(o, e, Phase::AsEmperor)).help("As hook-as-emperor, with a command."),
    hook("hook-as-on-demand-vassal", |o, e| add(o, e, Phase::AsOnDemandVassal))
        .help("In an emperor: do this whenever a vassal begins to wait for a connection."),
    hook("hook-emperor-stop", |o, e| add(o, e, Phase::EmperorStop)).help("In a vassal: do this when the emperor says that it is to end."),
    hook("hook-emperor-reload", |o, e| add(o, e, Phase::EmperorReload)).help("In a vassal: do this when the emperor says that it is to reload."),
    hook("hook-emperor-lost", |o, e| add(o, e, Phase::EmperorLost)).help("In a vassal: do this when the emperor is gone."),
    parsed("hook-touch", "FILE ACTION:VALUE", |o, e| add_touch(o, e, parse))
        .repeatable()
        .help("Do this when the file is touched or appears; looked at once a second."),
    parsed("touch-exec", "FILE COMMAND", |o, e| add_touch(o, e, |text| Ok(command_line(text))))
        .repeatable()
        .implying_master()
        .help("Run this command when the file is touched or appears; looked at once a second."),
    wait("wait-for-interface", "INTERFACE", |o, e| await_this(o, e, Awaited::Interface(e.text().to_owned())))
        .aliases(&["wait-interface", "wait-for-iface", "wait-iface"])
        .help("Start only once this network interface is up."),
    wait("wait-for-fs", "PATH", |o, e| await_this(o, e, Awaited::Any(e.text().into())))
        .help("Start only once there is something at this path."),
    wait("wait-for-file", "FILE", |o, e| await_this(o, e, Awaited::File(e.text().into())))
        .help("Start only once there is a file at this path."),
    wait("wait-for-dir", "DIR", |o, e| await_this(o, e, Awaited::Directory(e.text().into())))
        .help("Start only once there is a directory at this path."),
    wait("wait-for-mountpoint", "DIR", |o, e| await_this(o, e, Awaited::Mountpoint(e.text().into())))
        .help("Start only once something is mounted at this path."),
    wait("wait-for-socket", "ADDRESS", |o, e| await_this(o, e, Awaited::Socket(e.text().to_owned())))
        .help("Load the app only once a server takes connections here."),
    number("wait-for-interface-timeout", "seconds", |o| &mut o.hooks.wait_for_interface_timeout)
        .aliases(&["wait-interface-timeout", "wait-for-iface-timeout", "wait-iface-timeout"])
        .default("60")
        .help("How long to wait for network interfaces; without them the instance does not start."),
    number("wait-for-fs-timeout", "seconds", |o| &mut o.hooks.wait_for_fs_timeout)
        .default("60")
        .help("How long to wait for files, directories and mountpoints; without them the instance does not start."),
    number("wait-for-socket-timeout", "seconds", |o| &mut o.hooks.wait_for_socket_timeout)
        .default("60")
        .help("How long to wait for servers; without them the instance does not start."),
];

fn add(options: &mut Options, entry: &Entry, phase: Phase) -> Result<Option<Problem>, Problem> {
    if phase == Phase::MasterStart
        && let Some(signal) = entry.text().strip_prefix("unix_signal:")
    {
        let signal = Located::new(read_signal(signal)?, entry.origin.clone());
        options.hooks.signals.push(signal);
        return Ok(None);
    }
    push(options, entry, phase, parse(entry.text())?);
    Ok(None)
}

fn exec(options: &mut Options, entry: &Entry, phase: Phase) -> Result<Option<Problem>, Problem> {
    if entry.text().trim().is_empty() {
        return Err(Problem::new("expected a command"));
    }
    push(options, entry, phase, command_line(entry.text()));
    Ok(None)
}

fn push(options: &mut Options, entry: &Entry, phase: Phase, action: Action) {
    let hook = Hook {
        text: entry.text().to_owned(),
        action,
    };
    let hooks = &mut options.hooks.hooks;
    hooks.push((phase, Located::new(hook, entry.origin.clone())));
}

fn command_line(text: &str) -> Action {
    Action::Exec {
        command: text.to_owned(),
        must_succeed: true,
    }
}

fn add_touch(
    options: &mut Options,
    entry: &Entry,
    read: impl Fn(&str) -> Result<Action, Problem>,
) -> Result<Option<Problem>, Problem> {
    let (file, text) = entry
        .text()
        .split_once(' ')
        .filter(|(file, text)| !file.is_empty() && !text.trim().is_empty())
        .ok_or_else(|| Problem::new("expected a file, a blank and what to do"))?;
    let hook = Hook {
        text: text.to_owned(),
        action: read(text)?,
    };
    let touch = (
        PathBuf::from(file),
        Located::new(hook, entry.origin.clone()),
    );
    options.hooks.touch.push(touch);
    Ok(None)
}

fn await_this(
    options: &mut Options,
    entry: &Entry,
    awaited: Awaited,
) -> Result<Option<Problem>, Problem> {
    if entry.text().is_empty() {
        return Err(Problem::new("expected what to wait for"));
    }
    let awaited = Located::new(awaited, entry.origin.clone());
    options.hooks.wait_for.push(awaited);
    Ok(None)
}

fn read_file_write(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let (file, text) = crate::value::key_and_value(entry.text(), "FILE=text")?;
    let action = Action::Write {
        file: file.into(),
        text: text.to_owned(),
        append: false,
    };
    push(options, entry, Phase::AsRoot, action);
    Ok(None)
}

/// `15 gracefully_kill_them_all`: names of functions in uWSGI's master.
fn read_signal(text: &str) -> Result<(i32, SignalAction), Problem> {
    let (number, function) = text
        .split_once(' ')
        .ok_or_else(|| Problem::new("expected unix_signal:NUMBER FUNCTION"))?;
    let number = number
        .parse()
        .ok()
        .filter(|number| matches!(number, 1..=3 | 10 | 12 | 14 | 15 | 20 | 23 | 28))
        .ok_or_else(|| {
            Problem::new(format!(
                "{number} is not the number of a signal that a server may use"
            ))
        })?;
    let action = match function.trim() {
        "gracefully_kill_them_all" => SignalAction::Stop,
        "kill_them_all" => SignalAction::Kill,
        "grace_them_all" => SignalAction::Reload,
        "reap_them_all" => SignalAction::BrutalReload,
        "stats" => SignalAction::LogStats,
        other => {
            return Err(Problem::new(format!("there is no function `{other}`"))
                .help("write gracefully_kill_them_all, kill_them_all, grace_them_all, reap_them_all or stats"));
        }
    };
    Ok((number, action))
}

/// uWSGI's actions, as far as they make sense outside of its own process.
fn parse(text: &str) -> Result<Action, Problem> {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let needed = |form: &str| match value {
        "" => Err(Problem::new(format!("expected {name}:{form}"))),
        value => Ok(value),
    };
    let two = |form: &str| {
        let pair = value.split_once(' ').filter(|(first, _)| !first.is_empty());
        pair.ok_or_else(|| Problem::new(format!("expected {name}:{form}")))
    };
    let write = |newline: &str, append| {
        let (file, text) = two("FILE TEXT")?;
        Ok(Action::Write {
            file: file.into(),
            text: format!("{text}{newline}"),
            append,
        })
    };
    match name {
        "exec" => Ok(command_line(needed("COMMAND")?)),
        "safeexec" => Ok(Action::Exec {
            command: needed("COMMAND")?.to_owned(),
            must_succeed: false,
        }),
        "print" | "log" => Ok(Action::Print(value.to_owned())),
        "write" => write("", false),
        "writen" => write("\n", false),
        "append" => write("", true),
        "appendn" => write("\n", true),
        "writefifo" => {
            let (fifo, text) = two("FIFO TEXT")?;
            Ok(Action::WriteFifo {
                fifo: fifo.into(),
                text: text.to_owned(),
            })
        }
        "create" | "creat" => Ok(Action::Create(needed("FILE")?.into())),
        "unlink" => Ok(Action::Unlink(needed("FILE")?.into())),
        "mkdir" => Ok(Action::Mkdir(needed("DIR")?.into())),
        "chmod" => {
            let (path, mode) = two("PATH MODE")?;
            let mode = u32::from_str_radix(mode.trim(), 8)
                .ok()
                .filter(|&mode| mode <= 0o7777);
            Ok(Action::Chmod {
                path: path.into(),
                mode: mode.ok_or_else(|| Problem::new("expected an octal mode such as 660"))?,
            })
        }
        "sticky" => Ok(Action::Sticky(needed("DIR")?.into())),
        "chown" | "chown2" => {
            let words: Vec<&str> = value.split_whitespace().collect();
            let [path, user, group] = words[..] else {
                return Err(Problem::new(format!("expected {name}:PATH USER GROUP")));
            };
            Ok(Action::Chown {
                path: path.into(),
                user: user.to_owned(),
                group: group.to_owned(),
            })
        }
        "exit" if value.is_empty() => Ok(Action::Exit(0)),
        "exit" => {
            let code = value
                .parse()
                .map_err(|_| Problem::new("expected an exit code"))?;
            Ok(Action::Exit(code))
        }
        "wait_for_fs" => Ok(Action::Wait(Awaited::Any(needed("PATH")?.into()))),
        "wait_for_file" => Ok(Action::Wait(Awaited::File(needed("FILE")?.into()))),
        "wait_for_dir" => Ok(Action::Wait(Awaited::Directory(needed("DIR")?.into()))),
        "wait_for_socket" => Ok(Action::Wait(Awaited::Socket(needed("ADDRESS")?.to_owned()))),
        "cd" | "chdir" => {
            Err(unsupported(name).help("write chdir = DIR, or `cd DIR && ...` in an exec"))
        }
        "putenv" => Err(unsupported(name).help("write env = NAME=value")),
        "unix_signal" => Err(unsupported(name).help("write it in hook-master-start")),
        "mount" | "umount" | "hostname" | "call" | "callret" | "callint" | "callintret" | "rpc"
        | "retryrpc" | "alarm" | "spinningfifo" => {
            Err(unsupported(name).help("use exec with a command that does it"))
        }
        _ => Err(Problem::new(format!("there is no action `{name}`"))
            .help("write for example exec:COMMAND")),
    }
}

fn unsupported(name: &str) -> Problem {
    Problem::new(format!("the action `{name}` is not supported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_as_uwsgi_reads_them() {
        let write = |text: &str, append| Action::Write {
            file: "f".into(),
            text: text.into(),
            append,
        };
        assert_eq!(parse("write:f a b"), Ok(write("a b", false)));
        assert_eq!(parse("appendn:f a"), Ok(write("a\n", true)));
        assert_eq!(parse("print:"), Ok(Action::Print(String::new())));
        assert_eq!(parse("exec:echo a:b"), Ok(command_line("echo a:b")));
        assert_eq!(
            parse("chmod:/s 666"),
            Ok(Action::Chmod {
                path: "/s".into(),
                mode: 0o666
            })
        );
        assert_eq!(parse("exit"), Ok(Action::Exit(0)));
        for bad in [
            "",
            "exec:",
            "nonsense:x",
            "chmod:/s rw",
            "chown:/s me",
            "write:f",
            "mount:x",
            "putenv:A=b",
            "exit:x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn functions_of_the_master_are_wishes() {
        assert_eq!(
            read_signal("15 gracefully_kill_them_all"),
            Ok((15, SignalAction::Stop))
        );
        assert_eq!(read_signal("10 stats"), Ok((10, SignalAction::LogStats)));
        for bad in ["15", "9 stats", "15 exit", "x stats"] {
            assert!(read_signal(bad).is_err(), "{bad}");
        }
    }
}
