//! What a master leaves to itself when it becomes a newer binary: the sockets, and the workers that go on serving until
//! the new code does.
//!
//! Sent as lines of text, since the two may be of different versions: `listener FD LETTER ADDRESS` (the letter as in
//! [`inherit`](crate::inherit), the address as the options have it), `activated FD` (a socket of the service manager),
//! `worker PID FD`, `daemon PID COMMAND`, `apps COUNT` (how many applications the workers serve), `zygote PID` (of no use any more), `locks
//! FD`, `reloads COUNT`, `paused`, `emperor FD` (of a vassal), `fifo PATH` (that is read), `pidfile PATH` (that was written), the
//! figures (see [`annals`](super::annals))
//! and, when log lines are collected, `log FD...`: the ends of both sockets, reading first, then standard output and
//! standard error as they were at first. What a version does not know it skips.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use uwgate_config::Protocol;
use uwgate_sys::channel::Channel;
use uwgate_sys::listener;
use uwgate_sys::process::{Pid, inherited};
use uwgate_sys::record_locks::RecordLocks;
use uwgate_sys::{memory, process};

use super::annals::Annals;
use super::lord::{Lord, Way};
use super::veterans::Veteran;
use crate::listen::Listening;
use crate::log::{LeftPipes, Originals, Pipe, Pipes};

/// What the former self has left.
#[derive(Debug, Default)]
pub struct Heritage {
    pub(super) listeners: Vec<Listening>,
    pub(super) veterans: Vec<Veteran>,
    /// Pids and commands.
    pub(super) daemons: Vec<(Pid, String)>,
    /// The application's; absent in what an older version leaves.
    pub(super) locks: Option<RecordLocks>,
    /// How often the instance was reloaded, this time included.
    pub(super) reloads: u64,
    pub(super) log_pipes: Option<LeftPipes>,
    /// How many applications they serve.
    pub(super) apps: u32,
    /// New connections wait.
    pub(super) paused: bool,
    /// The way to the emperor.
    pub(super) lord: Way,
    pub(super) files: Files,
    pub(super) annals: Annals,
}

/// Files that an instance has made, and that go away when they are not wanted any more.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The `master-fifo` that is read.
    pub(super) fifo: Option<PathBuf>,
    pub(super) pidfiles: Vec<PathBuf>,
}

impl Heritage {
    /// Takes what lies behind a descriptor that [`leave`] has named.
    ///
    /// # Errors
    /// When this process is not the successor of a master.
    pub fn take(fd: RawFd) -> io::Result<Self> {
        let text = memory::read_all(inherited(fd)?)?;
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        let mut heritage = Self::default();
        for line in text.lines() {
            heritage.take_line(line)?;
        }
        Ok(heritage)
    }

    fn take_line(&mut self, line: &str) -> io::Result<()> {
        if self.annals.take_line(line)? {
            return Ok(());
        }
        let fields: Vec<&str> = line.splitn(4, ' ').collect();
        match fields[..] {
            ["listener", fd, letter, asked] => {
                let protocol = match letter {
                    "h" => Protocol::Http,
                    _ => Protocol::Uwsgi,
                };
                let listener = listener::adopt(inherited(number(fd)?)?)?;
                let listening = Listening::asked_before(protocol, listener, asked.to_owned());
                self.listeners.push(listening);
            }
            ["activated", fd] => {
                let listener = listener::adopt(inherited(number(fd)?)?)?;
                self.listeners.push(Listening::activated(listener));
            }
            ["worker", pid, fd] => {
                let channel = Channel::adopt(inherited(number(fd)?)?)?;
                let pid = Pid::from_raw(number(pid)?);
                let pid = pid.ok_or_else(|| io::Error::other("a worker without a pid"))?;
                self.veterans.push(Veteran { pid, channel });
            }
            ["daemon", pid, ..] => {
                let command = line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
                let daemon = Pid::from_raw(number(pid)?).map(|pid| (pid, command));
                self.daemons.extend(daemon);
            }
            ["locks", fd] => {
                self.locks = Some(RecordLocks::adopt(inherited(number(fd)?)?));
            }
            ["fifo", ..] => self.files.fifo = Some(path(line)),
            ["pidfile", ..] => self.files.pidfiles.push(path(line)),
            ["paused"] => self.paused = true,
            ["emperor", fd] => self.lord.fd = Some(inherited(number(fd)?)?),
            ["outlives"] => self.lord.may_outlive = true,
            ["reloads", count] => self.reloads = count.parse().map_err(io::Error::other)?,
            ["log", lines, lines_in, rest] => {
                let rest: Vec<&str> = rest.split(' ').collect();
                let [requests, requests_in, stdout, stderr] = rest[..] else {
                    return Ok(());
                };
                let take = |fd| inherited(number(fd)?);
                let pipes = Pipes {
                    lines: Pipe {
                        read: take(lines)?,
                        write: take(lines_in)?,
                    },
                    requests: Pipe {
                        read: take(requests)?,
                        write: take(requests_in)?,
                    },
                };
                let originals = Originals {
                    stdout: take(stdout)?,
                    stderr: take(stderr)?,
                };
                self.log_pipes = Some((pipes, originals));
            }
            ["zygote", pid] => {
                // It leaves by itself unless it waits for a thread of the application.
                if let Some(pid) = Pid::from_raw(number(pid)?) {
                    let _ = process::kill(pid, process::Signal::KILL);
                }
            }
            ["apps", count] => self.apps = count.parse().map_err(io::Error::other)?,
            _ => {}
        }
        Ok(())
    }
}

/// All that follows the first word.
fn path(line: &str) -> PathBuf {
    PathBuf::from(line.split_once(' ').unwrap_or_default().1)
}

fn number(field: &str) -> io::Result<RawFd> {
    field.parse().map_err(io::Error::other)
}

/// A second handle of each.
pub(super) fn copy_pipes((pipes, originals): &LeftPipes) -> io::Result<LeftPipes> {
    let copy = |pipe: &Pipe| -> io::Result<Pipe> {
        Ok(Pipe {
            read: pipe.read.try_clone()?,
            write: pipe.write.try_clone()?,
        })
    };
    let pipes = Pipes {
        lines: copy(&pipes.lines)?,
        requests: copy(&pipes.requests)?,
    };
    let originals = Originals {
        stdout: originals.stdout.try_clone()?,
        stderr: originals.stderr.try_clone()?,
    };
    Ok((pipes, originals))
}

/// What there is to leave.
pub(super) struct Estate<'a> {
    pub(super) listeners: &'a [Listening],
    pub(super) workers: &'a [(Pid, &'a Channel)],
    /// Pids and commands.
    pub(super) daemons: &'a [(Pid, &'a str)],
    pub(super) zygotes: &'a [Pid],
    pub(super) apps: u32,
    pub(super) locks: &'a RecordLocks,
    pub(super) reloads: u64,
    pub(super) paused: bool,
    pub(super) lord: &'a Lord,
    pub(super) files: Files,
    pub(super) annals: &'a Annals,
    pub(super) log_pipes: Option<(&'a Pipes, &'a Originals)>,
}

/// Prepares the descriptors for an exec. Returns the one that [`Heritage::take`] wants; what is not to survive a failed
/// exec closes when the result is dropped.
pub(super) fn leave(estate: Estate<'_>) -> io::Result<Vec<OwnedFd>> {
    use std::fmt::Write as _;

    let Estate {
        listeners,
        workers,
        daemons,
        zygotes,
        apps,
        locks,
        reloads,
        paused,
        lord,
        files: Files { fifo, pidfiles },
        annals,
        log_pipes,
    } = estate;

    let mut text = format!("apps {apps}\n");
    if paused {
        text.push_str("paused\n");
    }
    let mut kept = Vec::new();
    for listening in listeners {
        let fd = process::inheritable(listening.listener.fd.as_fd())?;
        let letter = match listening.protocol {
            Protocol::Uwsgi => 'u',
            Protocol::Http => 'h',
        };
        let (raw, asked) = (fd.as_raw_fd(), listening.asked());
        // Writing to a String cannot fail.
        let _ = match listening.is_activated() {
            true => writeln!(text, "activated {raw}"),
            false => writeln!(text, "listener {raw} {letter} {asked}"),
        };
        kept.push(fd);
    }
    for (pid, channel) in workers {
        let fd = process::inheritable(channel.as_fd())?;
        let _ = writeln!(text, "worker {} {}", pid.as_raw(), fd.as_raw_fd());
        kept.push(fd);
    }
    if lord.may_outlive() {
        text.push_str("outlives\n");
    }
    if let Some(lord) = lord.fd() {
        let fd = process::inheritable(lord)?;
        let _ = writeln!(text, "emperor {}", fd.as_raw_fd());
        kept.push(fd);
    }
    let fd = process::inheritable(locks.fd())?;
    let _ = writeln!(text, "locks {}\nreloads {reloads}", fd.as_raw_fd());
    kept.push(fd);
    if let Some((Pipes { lines, requests }, originals)) = log_pipes {
        text.push_str("log");
        let sockets = [&lines.read, &lines.write, &requests.read, &requests.write];
        let streams = [&originals.stdout, &originals.stderr];
        for fd in sockets.into_iter().chain(streams) {
            let fd = process::inheritable(fd.as_fd())?;
            let _ = write!(text, " {}", fd.as_raw_fd());
            kept.push(fd);
        }
        text.push('\n');
    }
    for pid in zygotes {
        let _ = writeln!(text, "zygote {}", pid.as_raw());
    }
    for (pid, command) in daemons {
        // A command of several lines would be read as something else.
        let _ = writeln!(
            text,
            "daemon {pid} {}",
            command.lines().next().unwrap_or_default()
        );
    }
    let pidfiles = pidfiles.into_iter().map(|path| ("pidfile", path));
    for (word, path) in fifo.into_iter().map(|path| ("fifo", path)).chain(pidfiles) {
        // One that cannot be said so stays where it is.
        if let Some(path) = path.to_str().filter(|path| !path.contains('\n')) {
            let _ = writeln!(text, "{word} {path}");
        }
    }
    kept.extend(annals.leave(&mut text)?);
    let list = memory::memfd("uwgate-heritage", text.as_bytes())?;
    kept.insert(0, process::inheritable(list.as_fd())?);
    Ok(kept)
}
