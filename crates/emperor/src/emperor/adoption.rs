//! Vassals that this emperor has not started: those of its former self, and those that have outlived another.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use uwgate_server::homage::Homage;
use uwgate_sys::clock::coarse_now;
use uwgate_sys::process::{Exit, Pid, inherited};

use super::Emperor;
use crate::heritage::{Heir, Heritage};
use crate::reconcile::{Event, Report, Standing, ToVassal};
use crate::spec::{Name, VassalSpec};
use crate::vassal::Line;

impl Emperor {
    /// Goes on with the vassals of its former self.
    pub(super) fn inherit(&mut self, heritage: Heritage) {
        let Heritage {
            vassals,
            held,
            doors,
            started,
        } = heritage;
        self.started = started;
        self.realm.hold(held.iter().map(|it| it.as_str().into()));
        for (heir, fd) in doors {
            let name = heir.name.as_str().into();
            self.is_free(name);
            let spec = Arc::new(heir.spec());
            if let Err(error) = inherited(fd).and_then(|fd| self.doors.adopt(&spec, fd)) {
                tracing::error!("[emperor] the socket of {} is lost: {error}", heir.name);
            }
        }
        for heir in vassals {
            self.go_on_with(heir);
        }
    }

    /// It was wanted before, whatever new ones have to wait for.
    fn is_free(&mut self, name: Name) {
        if self.realm.waits_for_command(&name) {
            self.realm.wait_for_command([name]);
        }
    }

    fn go_on_with(&mut self, heir: Heir) {
        let Some(pid) = Pid::from_raw(heir.pid) else {
            return;
        };
        let spec = heir.spec();
        let name = spec.name.clone();
        let life = self.realm.adopt(spec, pid, heir.accepting, coarse_now());
        // Others are found in the notes.
        if !heir.foreign {
            self.roster.expect();
            let _ = self.roster.spawned(pid, name.clone());
        }
        let config = heir.config.and_then(|fd| inherited(fd).ok());
        let sender = self.happenings.sender();
        let line = inherited(heir.dialogue)
            .and_then(|fd| Line::adopt(fd, config, name.clone(), life, sender));
        match line {
            Ok(line) => drop(self.lines.insert(name.clone(), line)),
            Err(error) => tracing::error!("[emperor] {name} does not hear any more: {error}"),
        }
        if let Some(file) = heir.printed.and_then(|fd| inherited(fd).ok()) {
            self.outputs.adopt(&name, file, heir.copied);
        }
    }

    /// Takes those for its own that the notes of an emperor before this one name and that live. Before any source says
    /// what is wanted, so that nothing is started in their place.
    pub(super) fn find_again(&mut self) {
        let Some(kept) = &self.kept else { return };
        let entries: Vec<_> = kept.ledger.entries().cloned().collect();
        let held: Vec<Name> = kept
            .ledger
            .held()
            .iter()
            .map(|it| it.as_str().into())
            .collect();
        self.realm.hold(held);
        for entry in entries {
            let Some(process) = entry.process() else {
                continue;
            };
            let (pid, spec) = (process.pid, entry.heir.spec());
            let name = spec.name.clone();
            if self.roster.find(pid) == Some(&name) {
                self.kept_before(&name);
                continue;
            }
            match process.hold() {
                Ok(Some(handle)) => {
                    let sender = self.happenings.sender();
                    let kept = self.kept.as_mut();
                    let watched = kept.map(|it| it.watch(name.clone(), pid, handle, sender));
                    if let Some(Err(error)) = watched {
                        tracing::error!("[emperor] {name}: its end will not be seen: {error}");
                    }
                    if self.realm.vassal(&name).and_then(|it| it.pid()) == Some(pid) {
                        self.kept_before(&name);
                    } else {
                        self.is_free(name.clone());
                        self.note_killed(&name);
                        self.realm.find_again(spec, pid, coarse_now());
                        self.report(&name, &Report::FoundAgain(pid));
                    }
                }
                Ok(None) => self.forget_process(pid),
                Err(error) => {
                    tracing::error!("[emperor] nothing is known of {name} (pid: {pid}): {error}");
                    self.forget_process(pid);
                }
            }
        }
    }

    fn kept_before(&mut self, name: &Name) {
        if let Some(life) = self.realm.vassal(name).map(|it| it.life()) {
            let name = name.clone();
            self.tell(Event::Kept { name, life });
        }
    }

    /// Notes that a vassal may go on without this emperor.
    pub(super) fn keep(&mut self, name: Name, pid: Pid, spec: &VassalSpec, life: u64) {
        let Some(kept) = &mut self.kept else { return };
        let heir = Heir {
            pid: pid.as_raw(),
            ..Heir::of(spec)
        };
        match kept.ledger.keep(heir) {
            Ok(()) => self.answers.push(Event::Kept { name, life }),
            Err(error) => {
                tracing::error!("[emperor] vassal {name} will end with this emperor: {error}");
            }
        }
    }

    /// A process has ended: the next emperor need not look for it.
    pub(super) fn forget_process(&mut self, pid: Pid) {
        if let Some(kept) = &mut self.kept {
            kept.ledger.forget(pid);
        }
    }

    /// Which vassals the operator has stopped, for the next emperor.
    pub(super) fn note_held(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        let held = |it: &crate::reconcile::Vassal| it.standing() == Standing::Held;
        let vassals = self.realm.vassals().filter(|(_, vassal)| held(vassal));
        let held: BTreeSet<String> = vassals.map(|(name, _)| name.to_string()).collect();
        kept.ledger.hold(held);
    }

    /// A process that is not a child has ended.
    pub(super) fn ended(&mut self, pid: Pid) {
        if let Some(name) = self.kept.as_mut().and_then(|kept| kept.ended(pid)) {
            self.gone(name, pid, Exit::Unseen);
        }
    }

    /// Somebody calls as a vassal that has lost its emperor.
    pub(super) fn called(&mut self, pid: Pid, homage: Homage) {
        let foreign = self.kept.as_ref().and_then(|kept| kept.find(pid));
        let Some(name) = foreign.or_else(|| self.roster.find(pid)).cloned() else {
            tracing::warn!(
                "[emperor] process {pid} calls as a vassal and is none: it is told to finish"
            );
            let _ = crate::vassal::say_once(homage.dialogue, ToVassal::StopGracefully);
            return;
        };
        match self.take_up(&name, homage) {
            Ok(()) => self.tell(Event::Returned(name)),
            // It calls again when it is not heard.
            Err(error) => tracing::error!("[emperor] vassal {name} calls in vain: {error}"),
        }
    }

    fn take_up(&mut self, name: &Name, homage: Homage) -> io::Result<()> {
        let Homage {
            dialogue,
            config,
            printed,
            door,
        } = homage;
        let vassal = self.realm.vassal(name).ok_or(io::ErrorKind::NotFound)?;
        let (life, spec) = (vassal.life(), vassal.started_with().cloned());
        let sender = self.happenings.sender();
        let line = Line::adopt(dialogue, config, name.clone(), life, sender)?;
        self.lines.insert(name.clone(), line);
        if let Some((file, seen)) = printed
            && let Err(error) = self.outputs.take_up(name, file, seen)
        {
            tracing::warn!("[emperor] what {name} prints is lost: {error}");
        }
        if let (Some(door), Some(spec)) = (door, spec)
            && let Err(error) = self.doors.adopt(&spec, door)
        {
            tracing::error!("[emperor] the socket of {name} is lost: {error}");
        }
        Ok(())
    }
}
