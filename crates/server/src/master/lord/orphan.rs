//! An instance that has outlived its emperor: it serves on, and looks for the next one.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::FallocateFlags;
use rustix::process::geteuid;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use uwgate_sys::channel::Channel;
use uwgate_sys::meeting;
use uwgate_sys::process;

use super::Lord;
use crate::homage::{Homage, VARIABLE};
use crate::master::happenings::Happening;
use crate::master::wish::Wish;
use crate::master::{Launcher, Master};
use crate::sent_config;

/// How long to wait before a call, first and at last.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(1);

/// What an emperor has not seen of what was printed may be so long, in memory.
const PRINTED: u64 = 1024 * 1024;

/// What leads to the next emperor.
#[derive(Debug, Default)]
pub(super) struct Orphan {
    place: Option<PathBuf>,
    /// The file in memory that the emperor reads.
    printed: Option<File>,
}

impl Orphan {
    pub(super) fn new() -> Self {
        Self {
            place: std::env::var_os(VARIABLE).map(PathBuf::from),
            printed: [1, 2].into_iter().find_map(in_memory),
        }
    }

    /// Whether the place can be reached by what this process has become: it may have another user and another root by
    /// now.
    pub(super) fn is_possible(&self) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| meeting::call(place).is_ok())
    }

    /// Calls until somebody answers. Must be called in a runtime.
    pub(super) fn wait(&self, sender: UnboundedSender<Happening>) {
        let Some(place) = self.place.clone() else {
            return;
        };
        let printed = self.printed.as_ref().and_then(|it| it.try_clone().ok());
        let mut printed = printed.map(|file| Printed {
            seen: file.metadata().map_or(0, |it| it.len()),
            freed: 0,
            file,
        });
        tokio::spawn(async move {
            let mut pause = SOON;
            loop {
                sleep(pause).await;
                pause = (pause * 2).min(LATER);
                if let Some(printed) = &mut printed {
                    printed.give_back();
                }
                // Nobody but the emperor's user is handed anything.
                let Ok((channel, peer)) = meeting::call(&place) else {
                    continue;
                };
                if peer.uid == 0 || peer.uid == geteuid().as_raw() {
                    let printed = printed.map(|it| (it.file.into(), it.seen));
                    let _ = sender.send(Happening::EmperorFound { channel, printed });
                    return;
                }
            }
        });
    }
}

/// What is printed while nobody reads it.
struct Printed {
    file: File,
    /// What the emperor has seen of it, or nobody ever will.
    seen: u64,
    freed: u64,
}

impl Printed {
    /// Keeps the end only.
    fn give_back(&mut self) {
        let size = self.file.metadata().map_or(0, |it| it.len());
        let end = size.saturating_sub(PRINTED);
        if end >= self.freed + PRINTED {
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = rustix::fs::fallocate(&self.file, how, self.freed, end - self.freed);
            self.freed = end;
            self.seen = self.seen.max(end);
        }
    }
}

/// A second handle of a descriptor, if it is a file in memory as the emperor gives one to print to.
fn in_memory(number: RawFd) -> Option<File> {
    let fd = match number {
        1 => io::stdout().as_fd().try_clone_to_owned(),
        _ => io::stderr().as_fd().try_clone_to_owned(),
    };
    let file = File::from(fd.ok()?);
    let name = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let is_memory = name.to_string_lossy().starts_with("/memfd:");
    (is_memory && file.metadata().is_ok_and(|it| it.nlink() == 0)).then_some(file)
}

impl Lord {
    /// The emperor will tell the next one of this instance.
    pub(super) fn allowed(&mut self) {
        // It was a promise to go with it.
        if let Err(error) = process::outlive_parent() {
            return tracing::error!("this instance will end with its emperor: {error}");
        }
        self.may_outlive = true;
    }
}

impl<L: Launcher> Master<'_, L> {
    /// As uWSGI does, an instance ends with its emperor, unless that has arranged for another.
    pub(super) fn go_on_alone(&mut self) {
        if !self.lord.may_outlive {
            return self.grant(Wish::Stop);
        }
        if self.ending.is_none() {
            tracing::warn!("serving on until there is an emperor again");
            self.lord.orphan.wait(self.happenings.sender());
        }
    }

    /// There is an emperor: it gets all that leads to this instance.
    pub(in crate::master) fn found_emperor(
        &mut self,
        channel: &Channel,
        printed: Option<(OwnedFd, u64)>,
    ) {
        if self.ending.is_some() {
            return;
        }
        match self.pay_homage(channel, printed) {
            Ok(()) => tracing::info!("there is an emperor again"),
            Err(error) => {
                tracing::warn!("cannot reach the emperor: {error}; trying again");
                self.lord.orphan.wait(self.happenings.sender());
            }
        }
    }

    fn pay_homage(&mut self, to: &Channel, printed: Option<(OwnedFd, u64)>) -> io::Result<()> {
        let (ours, dialogue) = Socket::pair()?;
        let configs = match sent_config::is_sent() {
            true => Some(Socket::pair()?),
            false => None,
        };
        let (config, other) = configs.unzip();
        let door = self.listeners.iter().find(|it| it.is_activated());
        let homage = Homage {
            dialogue: emperors(dialogue)?,
            config: other.map(emperors).transpose()?,
            printed,
            door: door
                .map(|it| it.listener.try_clone())
                .transpose()?
                .map(|it| it.fd),
        };
        homage.send(to)?;
        if let Some(config) = config {
            sent_config::renew(config.into())?;
        }
        self.lord.listen(ours.into(), &self.happenings)?;
        self.speak_again();
        Ok(())
    }

    /// Says what an emperor has to know that was not there before.
    fn speak_again(&mut self) {
        if self.is_serving() {
            self.lord.accepting();
        }
        if self.lord.is_loyal {
            self.lord.loyal();
        }
        if self.lord.bored {
            self.lord.ask_to_be_stopped();
        }
    }
}

fn emperors(end: Socket) -> io::Result<OwnedFd> {
    end.set_nonblocking(true)?;
    Ok(end.into())
}
