//! What can be asked of `uwgate ctl`, and how it is written.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::engine::ArgValueCompleter;

use crate::complete::vassals_like;
use crate::protocol::{Request, default_socket};

/// What an operator has written.
#[derive(Debug, PartialEq)]
pub(crate) struct Order {
    /// Where the emperor listens.
    pub(crate) socket: PathBuf,
    /// For a program instead of a person.
    pub(crate) json: bool,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq)]
pub(crate) enum What {
    Ask(Request),
    /// `status` of everything.
    Summary,
    /// The lines that make a shell complete.
    Completion(String),
}

/// The environment's word for `--socket`.
const SOCKET_VARIABLE: &str = "UWGATE_CTL_SOCKET";

/// The whole program as far as a shell completes it; the server's own options are too many.
pub(crate) fn program() -> Command {
    Command::new("uwgate")
        .disable_help_subcommand(true)
        .subcommand(ctl())
        .subcommand(
            Command::new("check").about("Checks configuration files without starting anything"),
        )
        .subcommand(Command::new("config").about("Shows the configuration as it is understood"))
        .subcommand(Command::new("help").about("Explains options"))
}

/// `uwgate ctl`.
pub(crate) fn ctl() -> Command {
    Command::new("ctl")
        .bin_name("uwgate ctl")
        .about("Looks at the vassals of a running emperor and tells them what to do")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .arg(socket())
        .arg(
            Arg::new("json")
                .long("json")
                .global(true)
                .action(ArgAction::SetTrue)
                .help("Answers in JSON, for programs"),
        )
        .subcommand(Command::new("list").visible_alias("ls").about("All vassals, a line each"))
        .subcommand(
            Command::new("status")
                .about("One vassal with the reason for its state and its last log lines; without a name, how many are in which state and which are in trouble")
                .arg(names().action(ArgAction::Set).num_args(0..=1))
                .arg(lines("10")),
        )
        .subcommand(Command::new("rescan").about("Has all sources look for changes now"))
        .subcommand(told("reload", "Reloads vassals gracefully"))
        .subcommand(told("stop", "Stops vassals gracefully, until they are started again"))
        .subcommand(told("start", "Starts vassals that were stopped, and tries at once those that are held back"))
        .subcommand(
            Command::new("tail")
                .about("The end of the log of vassals, of all when none is named")
                .arg(names().num_args(0..))
                .arg(lines("10"))
                .arg(
                    Arg::new("follow")
                        .long("follow")
                        .short('f')
                        .action(ArgAction::SetTrue)
                        .help("Goes on with what comes"),
                ),
        )
        .subcommand(
            Command::new("completion")
                .about("Prints what makes a shell complete commands and the names of vassals")
                .arg(
                    Arg::new("shell")
                        .required(true)
                        .value_parser(["bash", "elvish", "fish", "zsh"]),
                ),
        )
}

fn told(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(names().num_args(1..).required(true))
}

fn names() -> Arg {
    Arg::new("vassal")
        .value_name("VASSAL")
        .help("Its name as `list` shows it, or how the name begins when no other begins like that")
        .action(ArgAction::Append)
        .add(ArgValueCompleter::new(vassals_like))
}

fn lines(default: &'static str) -> Arg {
    Arg::new("lines")
        .long("lines")
        .short('n')
        .value_name("N")
        .value_parser(value_parser!(usize))
        .default_value(default)
        .help("How many lines of the log")
}

fn socket() -> Arg {
    Arg::new("socket")
        .long("socket")
        .short('s')
        .global(true)
        .value_name("PATH")
        .env(SOCKET_VARIABLE)
        .value_parser(value_parser!(PathBuf))
        .help("The control socket of the emperor (its option emperor-control-socket)")
}

/// The socket when nothing is written.
pub(crate) fn usual_socket() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    default_socket(rustix::process::geteuid().is_root(), own.map(PathBuf::from))
}

/// The socket for a completion, where what is written is not looked at: the environment's, or the usual.
pub(crate) fn socket_of_environment() -> PathBuf {
    let named = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
    named.map_or_else(usual_socket, PathBuf::from)
}

/// Understands what was written after `uwgate ctl`.
pub(crate) fn read(words: &[OsString]) -> Result<Order, clap::Error> {
    let words = std::iter::once(OsString::from("ctl")).chain(words.iter().cloned());
    let matches = ctl().try_get_matches_from(words)?;
    let Some((name, given)) = matches.subcommand() else {
        return Err(ctl().error(
            clap::error::ErrorKind::MissingSubcommand,
            "nothing is asked",
        ));
    };
    let socket = given.get_one::<PathBuf>("socket").cloned();
    Ok(Order {
        socket: socket.unwrap_or_else(usual_socket),
        json: given.get_flag("json"),
        what: what(name, given),
    })
}

fn what(name: &str, given: &ArgMatches) -> What {
    let vassals = || -> Vec<String> {
        let names = given.get_many::<String>("vassal");
        names.into_iter().flatten().cloned().collect()
    };
    let lines = || given.get_one("lines").copied().unwrap_or_default();
    What::Ask(match name {
        "status" => match vassals().pop() {
            None => return What::Summary,
            Some(vassal) => Request::Status {
                vassal,
                lines: lines(),
            },
        },
        "rescan" => Request::Rescan,
        "reload" => Request::Reload { vassals: vassals() },
        "stop" => Request::Stop { vassals: vassals() },
        "start" => Request::Start { vassals: vassals() },
        "tail" => Request::Tail {
            vassals: vassals(),
            lines: lines(),
            follow: given.get_flag("follow"),
        },
        "completion" => {
            let shell = given.get_one::<String>("shell");
            return What::Completion(shell.cloned().unwrap_or_default());
        }
        _ => Request::List,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Result<Order, String> {
        let words: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
        read(&words).map_err(|error| error.to_string())
    }

    fn asked(text: &str) -> Request {
        match order(text).map(|order| order.what) {
            Ok(What::Ask(request)) => request,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_description_is_consistent() {
        program().debug_assert();
    }

    #[test]
    fn what_is_written_is_what_is_asked() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        assert_eq!(asked("list"), Request::List);
        assert_eq!(asked("ls"), Request::List);
        assert_eq!(
            asked("status shop.ini -n 3"),
            Request::Status {
                vassal: "shop.ini".to_owned(),
                lines: 3
            }
        );
        assert_eq!(
            asked("stop a b"),
            Request::Stop {
                vassals: names(&["a", "b"])
            }
        );
        assert_eq!(
            asked("tail -f"),
            Request::Tail {
                vassals: names(&[]),
                lines: 10,
                follow: true
            }
        );
        assert_eq!(order("status").unwrap().what, What::Summary);
    }

    #[test]
    fn the_socket_may_stand_before_and_behind_the_command() {
        for text in [
            "--socket /x list --json",
            "list -s /x --json",
            "--json -s /x ls",
        ] {
            let order = order(text).unwrap();
            assert_eq!(order.socket, PathBuf::from("/x"), "{text}");
            assert!(order.json, "{text}");
        }
    }

    #[test]
    fn a_slip_is_explained() {
        assert!(order("lst").unwrap_err().contains("list"));
        assert!(order("stop").unwrap_err().contains("VASSAL"));
        assert!(order("tail -n many").unwrap_err().contains("many"));
    }
}
