//! What a command line asks of an instance that runs already.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::{self, Address};
use crate::finding::{Finding, Severity};
use crate::load::argv;
use crate::value;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Signal the process whose pid is in the file.
    Tell {
        /// What it is to do.
        order: Order,
        /// Where its pid is.
        pidfile: PathBuf,
    },
    /// Send a uwsgi ping and wait for the answer.
    Ping {
        /// A uwsgi socket.
        address: Address,
        /// How long to wait.
        patience: Duration,
    },
    /// Print what a socket sends until it closes.
    ConnectAndRead {
        /// A socket of any kind.
        address: Address,
    },
}

/// What a signal can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `--reload`
    Reload,
    /// `--stop`
    Stop,
    /// `--pause`, `--suspend` and `--resume`, which are one.
    TogglePause,
}

impl Command {
    /// The first command in `args` (without the program's name); `None` when they describe an instance.
    ///
    /// # Errors
    /// When its argument is of no use.
    pub fn find(args: &[OsString]) -> Option<Result<Self, Finding>> {
        let options = argv::parse(args).options;
        let tell = |order, file: &str| {
            let pidfile = file.into();
            Ok(Self::Tell { order, pidfile })
        };
        options.iter().find_map(|(name, text, origin)| {
            let text = text.as_deref().unwrap_or_default();
            let command = match name.as_str() {
                "reload" => tell(Order::Reload, text),
                "stop" => tell(Order::Stop, text),
                "pause" | "suspend" | "resume" => tell(Order::TogglePause, text),
                "ping" => address::parse(text, false).and_then(|address| {
                    let patience = patience(&options)?;
                    Ok(Self::Ping { address, patience })
                }),
                "connect-and-read" => {
                    address::parse(text, false).map(|address| Self::ConnectAndRead { address })
                }
                _ => return None,
            };
            Some(command.map_err(|problem| Finding {
                help: problem.help,
                ..Finding::at(
                    Severity::Error,
                    "command-line",
                    origin.clone(),
                    format!("--{name}: {}", problem.message),
                )
            }))
        })
    }
}

const PING_TIMEOUT: u64 = 3;

fn patience(options: &[argv::Given]) -> Result<Duration, value::Problem> {
    let given = options.iter().rfind(|(name, ..)| name == "ping-timeout");
    let seconds = match given {
        Some((_, text, _)) => value::number(text.as_deref(), "seconds")?.value,
        None => 0,
    };
    // As in uWSGI, 0 is not given.
    let seconds = if seconds == 0 { PING_TIMEOUT } else { seconds };
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn find(line: &str) -> Option<Result<Command, Finding>> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Command::find(&args)
    }

    fn tell(order: Order) -> Command {
        Command::Tell {
            order,
            pidfile: Path::new("/run/a.pid").to_owned(),
        }
    }

    fn ping(seconds: u64) -> Command {
        Command::Ping {
            address: Address::Unix("/run/a.sock".into()),
            patience: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn each_command() {
        for (line, command) in [
            ("--reload /run/a.pid", tell(Order::Reload)),
            ("--reload=/run/a.pid", tell(Order::Reload)),
            ("--master --stop /run/a.pid", tell(Order::Stop)),
            ("--pause /run/a.pid", tell(Order::TogglePause)),
            ("--suspend /run/a.pid", tell(Order::TogglePause)),
            ("--resume /run/a.pid", tell(Order::TogglePause)),
            ("--ping /run/a.sock", ping(3)),
            ("--ping /run/a.sock --ping-timeout 7", ping(7)),
            ("--ping-timeout=7 --ping /run/a.sock", ping(7)),
        ] {
            assert_eq!(find(line).unwrap().unwrap(), command, "{line}");
        }
    }

    #[test]
    fn an_instance_is_no_command() {
        for line in [
            "",
            "--master app.ini",
            "--module reload",
            "app.ini -- --reload",
        ] {
            assert!(find(line).is_none(), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        for line in [
            "--ping :port",
            "--connect-and-read fd://0",
            "--ping :1 --ping-timeout soon",
        ] {
            assert!(find(line).unwrap().is_err(), "{line}");
        }
    }
}
