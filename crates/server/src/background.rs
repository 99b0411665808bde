//! `daemonize`: an instance that leaves its terminal, but not before its caller knows whether it started.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use uwgate_config::Located;
use uwgate_config::options::Process;
use uwgate_sys::process::{Caller, to_background};

/// Who waits for the start of this instance, and for what. The default: nobody.
#[derive(Debug, Default)]
pub struct Background {
    caller: Option<Caller>,
    /// The caller waits until the application serves, and sees what is logged meanwhile (`daemonize2`).
    to_the_end: bool,
}

/// Whether the options ask for it.
pub fn is_asked(options: &Process) -> bool {
    asked(options).is_some()
}

/// The log, and whether the caller waits until the application serves.
fn asked(options: &Process) -> Option<(&Located<PathBuf>, bool)> {
    let early = options.daemonize.as_ref().map(|file| (file, false));
    early.or(options.daemonize2.as_ref().map(|file| (file, true)))
}

/// Goes to the background if the options say so: this process is a new one then, with all its output in the log, and
/// the one that was called waits in the foreground.
///
/// # Errors
/// One sentence, when the log cannot be opened or the process not be forked.
pub fn enter(options: &Process) -> Result<Background, String> {
    let Some((file, to_the_end)) = asked(options) else {
        return Ok(Background::default());
    };
    let log = open(file)?;
    let follower = File::open(&file.value).ok().filter(|_| to_the_end);
    let mut follower = follower.and_then(Follower::at_end);
    let caller = to_background(|| follower.iter_mut().for_each(Follower::copy))
        .map_err(|error| format!("{}: cannot go to the background: {error}", file.origin))?;
    let mut background = Background {
        caller: Some(caller),
        to_the_end,
    };
    if let Err(error) = leave_terminal(&log) {
        let problem = format!("{}: cannot go to the background: {error}", file.origin);
        background.failed(1, std::slice::from_ref(&problem));
        return Err(problem);
    }
    Ok(background)
}

fn open(file: &Located<PathBuf>) -> Result<File, String> {
    let path: &Path = &file.value;
    if looks_like_address(path) {
        return Err(format!(
            "{}: daemonize = {}: logs go to a file only; the service manager or syslog can send them on",
            file.origin,
            path.display()
        ));
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| format!("{}: cannot log to {}: {error}", file.origin, path.display()))
}

/// uWSGI sends the log to a UDP address that stands there.
fn looks_like_address(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    !text.contains('/') && matches!(port, Some(Ok(_)))
}

fn leave_terminal(log: &File) -> io::Result<()> {
    rustix::stdio::dup2_stdin(&File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(log)?;
    Ok(rustix::stdio::dup2_stderr(log)?)
}

impl Background {
    /// Sockets and logs are open and privileges are dropped: the rest of the start is the log's business.
    pub(crate) fn opened(&mut self) {
        if !self.to_the_end {
            self.serving();
        }
    }

    /// The application serves.
    pub(crate) fn serving(&mut self) {
        if let Some(caller) = self.caller.take() {
            caller.succeeded();
        }
    }

    /// The start has failed, with this exit code, for reasons that were logged.
    pub(crate) fn failed(&mut self, code: i32, problems: &[String]) {
        let Some(caller) = self.caller.take() else {
            return;
        };
        let code = u8::try_from(code).unwrap_or(1);
        // Who follows the log has read them.
        let words = match self.to_the_end {
            true => String::new(),
            false => problems.join("\n"),
        };
        caller.failed(code, &words);
    }
}

/// Copies what is added to a file to standard error.
struct Follower {
    file: File,
}

impl Follower {
    /// Nothing when the file has no end to seek: a pipe, a terminal.
    fn at_end(mut file: File) -> Option<Self> {
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Self { file })
    }

    fn copy(&mut self) {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = self.file.read(&mut piece) {
            let _ = io::stderr().write_all(piece.get(..length).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn udp_addresses_are_no_files() {
        for address in ["127.0.0.1:1717", ":1717", "log.example.org:514"] {
            assert!(looks_like_address(Path::new(address)), "{address}");
        }
        for file in ["true", "uwsgi.log", "/var/log/a:1/x", "./a:1", "a:b"] {
            assert!(!looks_like_address(Path::new(file)), "{file}");
        }
    }
}
