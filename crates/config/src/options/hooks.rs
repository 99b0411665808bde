//! What is done at the turning points of an instance's life.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SignalAction;
use crate::origin::Located;

/// What is done at the turning points of an instance's life, and what its start waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Hooks {
    /// All of them, in order.
    pub hooks: Vec<(Phase, Located<Hook>)>,
    /// What to do when a file is touched.
    pub touch: Vec<(PathBuf, Located<Hook>)>,
    /// What signals to the master mean instead.
    pub signals: Vec<Located<(i32, SignalAction)>>,
    /// What has to be there before the start goes on.
    pub wait_for: Vec<Located<Awaited>>,
    /// Seconds to wait for network interfaces.
    pub wait_for_interface_timeout: u32,
    /// Seconds to wait for files, directories and mountpoints.
    pub wait_for_fs_timeout: u32,
    /// Seconds to wait for servers.
    pub wait_for_socket_timeout: u32,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            hooks: Vec::new(),
            touch: Vec::new(),
            signals: Vec::new(),
            wait_for: Vec::new(),
            wait_for_interface_timeout: 60,
            wait_for_fs_timeout: 60,
            wait_for_socket_timeout: 60,
        }
    }
}

/// A turning point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The very beginning.
    Asap,
    /// Before [`Phase::InJail`].
    PreJail,
    /// Before [`Phase::AsRoot`].
    InJail,
    /// Before sockets are opened and privileges dropped.
    AsRoot,
    /// Privileges are dropped.
    AsUser,
    /// Before the app is loaded.
    PreApp,
    /// The app is loaded.
    PostApp,
    /// A new worker.
    PostFork,
    /// A worker is about to take requests.
    Accepting,
    /// As `Accepting`, at the start only.
    AcceptingOnce,
    /// The workers of a generation take requests.
    Accepting1,
    /// As `Accepting1`, at the start only.
    Accepting1Once,
    /// The master runs.
    MasterStart,
    /// The very end.
    AsUserAtexit,
    /// The emperor has said that this instance is to end.
    EmperorStop,
    /// The emperor has said that this instance is to reload.
    EmperorReload,
    /// The emperor is gone.
    EmperorLost,
    /// An emperor begins.
    EmperorStart,
    /// A vassal's process, before it becomes the vassal's user.
    AsVassalBeforeDrop,
    /// A vassal's process, before it becomes the vassal's program.
    AsVassal,
    /// An emperor has started a vassal.
    AsEmperor,
    /// A vassal waits for a connection.
    AsOnDemandVassal,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub action: Action,
}

/// What a hook does. Paths are relative to where the app runs, once that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Runs a line in a shell and waits for its end.
    Exec {
        /// The line.
        command: String,
        /// Another exit code than 0 is a failure.
        must_succeed: bool,
    },
    /// Writes a line to the log.
    Print(String),
    /// Writes text into a file, which is made if it is not there.
    Write {
        /// The file.
        file: PathBuf,
        /// The text.
        text: String,
        /// Behind what is there, instead of in its place.
        append: bool,
    },
    /// Writes text into a named pipe that somebody reads.
    WriteFifo {
        /// The pipe.
        fifo: PathBuf,
        /// The text.
        text: String,
    },
    /// Makes an empty file, or empties one.
    Create(PathBuf),
    /// Removes a file.
    Unlink(PathBuf),
    /// Makes a directory.
    Mkdir(PathBuf),
    /// Changes a mode.
    Chmod {
        /// Of what.
        path: PathBuf,
        /// The new mode.
        mode: u32,
    },
    /// Sets the sticky bit.
    Sticky(PathBuf),
    /// Changes an owner; names or numbers.
    Chown {
        /// Of what.
        path: PathBuf,
        /// The new user.
        user: String,
        /// The new group.
        group: String,
    },
    /// Ends the process with this exit code.
    Exit(u8),
    /// Waits.
    Wait(Awaited),
}

/// Something that a start waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Awaited {
    /// A network interface that is up.
    Interface(String),
    /// Anything at this path.
    Any(PathBuf),
    /// A file.
    File(PathBuf),
    /// A directory.
    Directory(PathBuf),
    /// A directory where something is mounted.
    Mountpoint(PathBuf),
    /// A server that takes connections.
    Socket(String),
}
