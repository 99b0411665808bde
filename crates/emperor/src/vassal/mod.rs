//! What an order comes to: a process, a byte, a signal.

mod cgroup;
mod chore;
mod command;
mod confinement;
mod dialogue;
mod door;
mod doors;
mod launch;
mod output;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::sync::mpsc::UnboundedSender;
use uwgate_sys::process::{Namespaces, Pid};

pub(crate) use self::chore::Chore;
use self::command::Ends;
pub(crate) use self::command::Manner;
pub(crate) use self::confinement::Confinement;
use self::dialogue::Dialogue;
use self::door::Door;
pub(crate) use self::doors::Doors;
pub(crate) use self::launch::command as hook_command;
pub use self::launch::{LAUNCH, launch};
pub(crate) use self::output::Outputs;
use crate::happenings::Happening;
use crate::reconcile::ToVassal;
use crate::spec::{ConfigFrom, Name, VassalSpec};

/// The emperor's ends of what leads to the live process of a vassal.
pub(crate) struct Line {
    dialogue: Dialogue,
    /// On which it gets its configuration.
    config: Option<OwnedFd>,
}

/// Starts a vassal. `printed` gets what it prints, `stdin` is its standard input.
///
/// # Errors
/// Why there is no process.
pub(crate) fn start(
    manner: &Manner,
    spec: &VassalSpec,
    life: u64,
    (stdin, printed): (OwnedFd, OwnedFd),
    sender: &UnboundedSender<Happening>,
) -> io::Result<(Pid, Line)> {
    let (dialogue, theirs) = dialogue::pair()?;
    let (config, their_config) = match &spec.config {
        ConfigFrom::File { .. } | ConfigFrom::Output { .. } => (None, None),
        ConfigFrom::Bytes { .. } => {
            let (ours, theirs) = dialogue::pair()?;
            (Some(ours), Some(theirs))
        }
    };
    // What a text needs is in the socket before anybody waits for it.
    if let (Some(config), ConfigFrom::Bytes { text, .. }) = (&config, &spec.config) {
        dialogue::send_config(config, text)?;
    }
    let ends = Ends {
        stdin,
        printed,
        dialogue: theirs,
        config: their_config,
    };
    let command = manner.command(spec, ends)?;
    let namespaces = command.namespaces;
    let pid = command
        .spawn()
        .map_err(|error| explain(error, namespaces))?;
    let dialogue = Dialogue::follow(dialogue, spec.name.clone(), life, sender.clone())?;
    Ok((pid, Line { dialogue, config }))
}

fn explain(error: io::Error, namespaces: Namespaces) -> io::Error {
    if namespaces.is_empty() {
        return error;
    }
    let names: Vec<&str> = namespaces.names().collect();
    let names = names.join(",");
    let what_to_do = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; the emperor has to be root, and a container it runs in has to allow namespaces"
        }
        _ => "",
    };
    io::Error::other(format!("emperor-use-clone = {names}: {error}{what_to_do}"))
}

/// Says one thing to whoever has handed over this end of a dialogue.
///
/// # Errors
/// When it cannot hear.
pub(crate) fn say_once(dialogue: OwnedFd, word: ToVassal) -> io::Result<()> {
    uwgate_sys::socket::send(dialogue.as_fd(), &[word.byte()]).map(drop)
}

impl Line {
    /// The line of a vassal that the former self of this emperor has started. Must be called in a runtime.
    ///
    /// # Errors
    /// When it is no socket.
    pub(crate) fn adopt(
        dialogue: OwnedFd,
        config: Option<OwnedFd>,
        name: Name,
        life: u64,
        sender: UnboundedSender<Happening>,
    ) -> io::Result<Self> {
        let dialogue = Dialogue::follow(dialogue, name, life, sender)?;
        Ok(Self { dialogue, config })
    }

    /// For a successor.
    pub(crate) fn dialogue(&self) -> BorrowedFd<'_> {
        self.dialogue.fd()
    }

    /// For a successor.
    pub(crate) fn config(&self) -> Option<BorrowedFd<'_>> {
        self.config.as_ref().map(AsFd::as_fd)
    }

    /// # Errors
    /// When it cannot hear any more.
    pub(crate) fn say(&self, word: ToVassal) -> io::Result<()> {
        self.dialogue.say(word.byte())
    }

    /// # Errors
    /// When there is no way for it, or nobody reads.
    pub(crate) fn send_config(&self, spec: &VassalSpec) -> io::Result<()> {
        match (&self.config, &spec.config) {
            (Some(config), ConfigFrom::Bytes { text, .. }) => dialogue::send_config(config, text),
            _ => Ok(()),
        }
    }
}
