//! What is said over an emperor's control socket.
//!
//! The operator sends one [`Request`]; the emperor answers with one [`Reply`], or with any number of them to
//! [`Request::Tail`], and closes. Each is a JSON text on a line. Who follows a log keeps its half of the socket open until
//! it has seen enough.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The longest line that either side accepts, in bytes.
pub const LONGEST_LINE: usize = 16 << 20;

/// The longest request that an emperor reads, in bytes.
pub const LONGEST_REQUEST: usize = 1 << 20;

/// Where the socket is when nobody says: below `/run` for root, in the user's own run-time directory for others.
pub fn default_socket(is_root: bool, runtime_directory: Option<PathBuf>) -> PathBuf {
    match (is_root, runtime_directory) {
        (false, Some(own)) => own.join("uwgate-emperor.sock"),
        _ => PathBuf::from("/run/uwgate-emperor.sock"),
    }
}

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// All vassals.
    List,
    /// All sources are to look for changes now.
    Rescan,
    /// One vassal, with the end of its log.
    Status {
        /// Its name.
        vassal: String,
        /// How many lines of its log.
        lines: usize,
    },
    /// A graceful reload of each of them.
    Reload {
        /// Their names.
        vassals: Vec<String>,
    },
    /// A graceful stop. They stay away until they are started again, whatever happens to their configuration.
    Stop {
        /// Their names.
        vassals: Vec<String>,
    },
    /// A start, of those that were stopped and of those that are being held back; an end of their back-off.
    Start {
        /// Their names.
        vassals: Vec<String>,
    },
    /// The end of the log of each of them (of all when none is named), and what comes.
    Tail {
        /// Their names.
        vassals: Vec<String>,
        /// How many lines of what was.
        lines: usize,
        /// Whether to go on with what comes.
        follow: bool,
    },
}

/// What an emperor answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To `list`.
    Vassals {
        /// Who answers.
        emperor: Emperor,
        /// In the order of their names.
        vassals: Vec<Vassal>,
    },
    /// To `status`.
    Vassal(Box<Vassal>),
    /// To `reload`, `stop`, `start`: what was done about each.
    Done(Vec<Deed>),
    /// To `tail`, any number of them.
    Line(Line),
    /// Nothing was done, and why.
    Error(String),
}

/// The emperor itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emperor {
    /// Its process.
    pub pid: u32,
    /// When it was started, in seconds since 1970.
    pub since: u64,
    /// Its version.
    pub version: String,
    /// Where it finds vassals, as its options say.
    pub sources: Vec<String>,
}

/// What was done about one vassal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Its name.
    pub vassal: String,
    /// What happens now.
    pub done: String,
}

/// A line of a vassal's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Whose.
    pub vassal: String,
    /// What it wrote, without the end of line.
    pub text: String,
}

/// One vassal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vassal {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Its master process, if it has one.
    pub pid: Option<u32>,
    /// When its process was started (the last, if it has none), in seconds since 1970.
    pub since: Option<u64>,
    /// Whether it has said that it is ready since its last start.
    pub loyal: bool,
    /// Why it is not as it should be, in a sentence.
    pub reason: Option<String>,
    /// When it will be tried again, in seconds since 1970.
    pub next_try: Option<u64>,
    /// How often it was started again after a failure.
    pub respawns: u32,
    /// When it has last sent a heartbeat, in seconds since 1970.
    pub heartbeat: Option<u64>,
    /// Which source named it.
    pub source: String,
    /// Where its configuration is, if that is a file.
    pub config: Option<PathBuf>,
    /// Who it runs as, if not as the emperor.
    pub uid: Option<u32>,
    /// The same of its group.
    pub gid: Option<u32>,
    /// The socket that starts it.
    pub on_demand: Option<String>,
    /// Resident memory of its master in bytes, if it has a process.
    pub rss: Option<u64>,
    /// Its limits, as `NAME:VALUE`: of its processes, and of its control group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// Its control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// Namespaces of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// The only capabilities it can have, where that is restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// What its configuration says to the emperor, of what that has asked for: names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
    /// The end of its log; only in an answer to `status`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// What a vassal is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was started and has not said that it serves.
    Starting,
    /// It serves.
    Running,
    /// It serves and loads its new configuration.
    Reloading,
    /// It was told to go.
    Stopping,
    /// It has no process; the first connection to its socket starts it.
    OnDemand,
    /// It has failed and is tried again after a while.
    Cursed,
    /// It fails whenever it is tried, so that it has to wait for as long as any ever has to.
    Blacklisted,
    /// An operator has stopped it, or it has left by itself.
    Stopped,
}

impl State {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Reloading => "reloading",
            Self::Stopping => "stopping",
            Self::OnDemand => "on-demand",
            Self::Cursed => "cursed",
            Self::Blacklisted => "blacklisted",
            Self::Stopped => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_documentation_says() {
        let spoken = |request: &Request| serde_json::to_string(request).unwrap();
        assert_eq!(spoken(&Request::List), r#"{"do":"list"}"#);
        let tail = Request::Tail {
            vassals: vec!["a.ini".to_owned()],
            lines: 3,
            follow: true,
        };
        assert_eq!(
            spoken(&tail),
            r#"{"do":"tail","vassals":["a.ini"],"lines":3,"follow":true}"#
        );
        assert!(serde_json::from_str::<Request>(r#"{"do":"dance"}"#).is_err());
        assert!(serde_json::from_str::<Request>(r#"{"do":"stop","vassal":"a"}"#).is_err());
    }

    #[test]
    fn the_word_of_a_state_is_that_of_its_json() {
        for state in [
            State::Starting,
            State::Running,
            State::Reloading,
            State::Stopping,
            State::OnDemand,
            State::Cursed,
            State::Blacklisted,
            State::Stopped,
        ] {
            let json = serde_json::to_value(state).unwrap();
            assert_eq!(json, state.word());
        }
    }

    #[test]
    fn the_socket_is_the_users_own_but_for_root() {
        let own = || Some(PathBuf::from("/run/user/7"));
        let socket = |is_root, dir| default_socket(is_root, dir).display().to_string();
        assert_eq!(socket(true, own()), "/run/uwgate-emperor.sock");
        assert_eq!(socket(false, own()), "/run/user/7/uwgate-emperor.sock");
        assert_eq!(socket(false, None), "/run/uwgate-emperor.sock");
    }
}
