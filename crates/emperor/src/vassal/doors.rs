//! The sockets of all vassals on demand.
//!
//! A socket's file may be removed, or its name be taken by somebody else. The kernel tells of changes in the
//! directories; what cannot be bound now is tried again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use uwgate_config::Options;
use uwgate_server::listen::how_to_bind;
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::listener::Bind;

use super::Door;
use crate::happenings::Happening;
use crate::race::{First, race};
use crate::source::Watch;
use crate::spec::{Name, VassalSpec};

/// How often a socket that could not be bound is tried again.
const AGAIN: Duration = Duration::from_secs(3);

/// As uWSGI: a web server of any user may start a vassal, unless the emperor's `chmod-socket` says otherwise.
const MODE: u32 = 0o666;

/// Sockets by vassal.
pub(crate) struct Doors {
    how: Bind,
    sender: UnboundedSender<Happening>,
    open: HashMap<Name, Door>,
    /// Those that could not be bound, and why.
    shut: BTreeMap<Name, (Arc<VassalSpec>, String)>,
    again: Option<Millis>,
    guard: Guard,
}

impl Doors {
    /// # Errors
    /// One sentence about an option.
    pub(crate) fn new(
        options: &Options,
        sender: UnboundedSender<Happening>,
    ) -> Result<Self, String> {
        let how = how_to_bind(options, None)?;
        Ok(Self {
            how: Bind {
                chmod: how.chmod.or(Some(MODE)),
                ..how
            },
            guard: Guard::new(sender.clone()),
            sender,
            open: HashMap::new(),
            shut: BTreeMap::new(),
            again: None,
        })
    }

    /// Waits for somebody to connect, from the moment on at which the socket can be bound.
    pub(crate) fn wait(&mut self, name: &Name, spec: &Arc<VassalSpec>) {
        let sender = self.sender.clone();
        let waits = self
            .open(name, spec)
            .and_then(|door| door.wait(name.clone(), sender));
        let asked = spec.on_demand.as_deref().unwrap_or_default();
        match waits {
            Ok(()) => {
                if self.shut.remove(name).is_some() {
                    tracing::info!("[emperor] vassal {name}: socket {asked} is open now");
                }
            }
            Err(error) => {
                let why = error.to_string();
                let before = self.shut.get(name).map(|(_, why)| why);
                if before != Some(&why) {
                    tracing::error!(
                        "[emperor] vassal {name} cannot be started on demand: socket {asked}: {why}; trying again"
                    );
                }
                self.shut.insert(name.clone(), (Arc::clone(spec), why));
                self.again = Some(coarse_now() + AGAIN);
            }
        }
    }

    /// Waits no more; the socket stays open.
    pub(crate) fn stop_waiting(&mut self, name: &Name) {
        self.shut.remove(name);
        if let Some(door) = self.open.get_mut(name) {
            door.stop_waiting();
        }
    }

    /// What a vassal gets as standard input: its socket, or nothing if it is none on demand.
    ///
    /// # Errors
    /// When its socket cannot be bound.
    pub(crate) fn lend(&mut self, name: &Name, spec: &Arc<VassalSpec>) -> io::Result<OwnedFd> {
        let Some(asked) = &spec.on_demand else {
            self.close(name);
            return Ok(File::open("/dev/null")?.into());
        };
        let lent = self.open(name, spec).and_then(|door| {
            door.stop_waiting();
            door.lend()
        });
        lent.map_err(|error| io::Error::new(error.kind(), format!("socket {asked}: {error}")))
    }

    /// Turns away whoever connects.
    pub(crate) fn close(&mut self, name: &Name) {
        self.shut.remove(name);
        if let Some(door) = self.open.remove(name) {
            self.guard.leave(door.directory());
        }
    }

    /// Lets go of a socket that its vassal goes on with.
    pub(crate) fn leave_open(&mut self, name: &Name) {
        self.shut.remove(name);
        if let Some(door) = self.open.remove(name) {
            self.guard.leave(door.directory());
            door.leave_open();
        }
    }

    /// For a successor: every socket, with its vassal as it was when it was bound.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn hand_over(&self) -> io::Result<Vec<(Arc<VassalSpec>, OwnedFd)>> {
        let doors = self.open.values();
        doors
            .map(|door| Ok((Arc::clone(door.spec()), door.lend()?)))
            .collect()
    }

    /// Goes on with a socket of a former self.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn adopt(&mut self, spec: &Arc<VassalSpec>, fd: OwnedFd) -> io::Result<()> {
        let door = Door::adopt(spec, fd)?;
        self.guard.enter(door.directory());
        self.open.insert(spec.name.clone(), door);
        Ok(())
    }

    /// When something has to be tried again.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.again.filter(|_| !self.shut.is_empty())
    }

    /// Tries it if it is time to.
    pub(crate) fn handle_time(&mut self, now: Millis) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.again = None;
            self.try_again();
        }
    }

    fn try_again(&mut self) {
        for (name, (spec, _)) in self.shut.clone() {
            self.wait(&name, &spec);
        }
    }

    /// Something has changed in a directory with sockets. What waits gets a new socket if it has lost its own.
    /// Returns the vassals that have been lent one that is gone. A file that somebody else has put there is left to
    /// them: it may be the vassal's own.
    pub(crate) fn inspect(&mut self) -> Vec<Name> {
        let out_of_place = self.open.iter().filter(|(_, door)| !door.is_in_place());
        let (waiting, lent): (Vec<_>, Vec<_>) = out_of_place.partition(|(_, it)| it.is_waiting());
        let lent = lent.into_iter().filter(|(_, door)| door.is_missing());
        let lost = lent.map(|(name, _)| name.clone()).collect();
        let again: Vec<_> = waiting
            .into_iter()
            .map(|(name, door)| (name.clone(), Arc::clone(door.spec())))
            .collect();
        for (name, spec) in again {
            self.wait(&name, &spec);
        }
        self.try_again();
        lost
    }

    fn open(&mut self, name: &Name, spec: &Arc<VassalSpec>) -> io::Result<&mut Door> {
        let door = self.open.get(name);
        if !door.is_some_and(|door| door.is_of(spec) && door.is_in_place()) {
            if let Some(door) = self.open.remove(name) {
                self.guard.leave(door.directory());
            }
            let owner = spec.owner.map(|it| (it.uid, it.gid));
            let how = Bind {
                owner: self.how.owner.or(owner),
                ..self.how.clone()
            };
            let door = Door::bind(spec, &how)?;
            self.guard.enter(door.directory());
            self.open.insert(name.clone(), door);
        }
        let door = self.open.get_mut(name);
        door.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Watches the directories.
struct Guard {
    sender: UnboundedSender<Happening>,
    /// How many sockets are in each.
    directories: BTreeMap<PathBuf, usize>,
    /// There is nobody to tell as long as there are no sockets.
    watched: Option<watch::Sender<BTreeSet<PathBuf>>>,
}

impl Guard {
    fn new(sender: UnboundedSender<Happening>) -> Self {
        Self {
            sender,
            directories: BTreeMap::new(),
            watched: None,
        }
    }

    fn enter(&mut self, directory: Option<PathBuf>) {
        let Some(directory) = directory else { return };
        let count = self.directories.entry(directory).or_default();
        *count += 1;
        if *count == 1 {
            self.tell();
        }
    }

    fn leave(&mut self, directory: Option<PathBuf>) {
        let Some(directory) = directory else { return };
        let Some(count) = self.directories.get_mut(&directory) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.directories.remove(&directory);
            self.tell();
        }
    }

    fn tell(&mut self) {
        let directories: BTreeSet<PathBuf> = self.directories.keys().cloned().collect();
        match &self.watched {
            Some(watched) => drop(watched.send_replace(directories)),
            None => {
                let (sender, receiver) = watch::channel(directories);
                tokio::spawn(guard(receiver, self.sender.clone()));
                self.watched = Some(sender);
            }
        }
    }
}

/// Several changes at once are one.
const SETTLE: Duration = Duration::from_millis(20);
const RESTLESS: Duration = Duration::from_millis(200);

async fn guard(
    mut directories: watch::Receiver<BTreeSet<PathBuf>>,
    sender: UnboundedSender<Happening>,
) {
    let mut watch = Watch::new(directories.borrow_and_update().clone());
    loop {
        // Also of what is new: its socket may have gone before anybody watched.
        if sender.send(Happening::Doors).is_err() {
            return;
        }
        match race(watch.changed(), directories.changed()).await {
            First::One(()) => watch.rest(SETTLE, RESTLESS).await,
            First::Other(Ok(())) => {}
            First::Other(Err(_)) => return,
        }
        // A directory that was another one for a moment as well.
        watch.cover(directories.borrow_and_update().clone());
    }
}
