//! The control socket: lines of JSON over a unix socket, a request and its response.
//!
//! `{"do":"list"}` and the like go in; out comes `{"ok":true,...}` or `{"ok":false,"error":"..."}`. A client may ask
//! several things on one connection. Who may connect is decided by the mode of the socket's file: the emperor's user.

mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uwgate_config::options::{Control, Emperor};

pub(crate) use self::server::Server;
use crate::snapshot::{Snapshot, VassalView};

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Request {
    /// All vassals, without what they printed.
    List,
    /// One vassal, with its last lines.
    Status {
        /// Its name.
        name: String,
        /// How many lines at most.
        #[serde(default = "ten")]
        lines: usize,
    },
    /// It reloads; one that waits is started.
    Reload {
        /// Its name.
        name: String,
    },
    /// It stops and stays so.
    Stop {
        /// Its name.
        name: String,
    },
    /// It starts at once.
    Start {
        /// Its name.
        name: String,
    },
    /// All sources look now.
    Rescan,
}

fn ten() -> usize {
    10
}

/// What the client gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Whether it was done.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// For [`Request::List`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emperor: Option<Snapshot>,
    /// For [`Request::Status`], and how it is at once after what was done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vassal: Option<VassalView>,
}

impl Response {
    pub(crate) fn done() -> Self {
        Self {
            ok: true,
            ..Self::default()
        }
    }

    pub(crate) fn refused(error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::default()
        }
    }
}

/// Where the control socket is: as the options say, or beside the first pidfile. `None`: nowhere.
pub fn path(emperor: &Emperor, control: &Control) -> Option<PathBuf> {
    if let Some(path) = &emperor.emperor_control_socket {
        return Some(path.value.clone());
    }
    let pidfiles = [
        &emperor.emperor_pidfile,
        &control.pidfile,
        &control.safe_pidfile,
        &control.pidfile2,
    ];
    let pidfile = pidfiles.into_iter().flatten().next()?;
    let mut path = pidfile.value.clone().into_os_string();
    path.push(".ctl");
    Some(path.into())
}
