//! Vassals that outlive an emperor, and find the next one.
//!
//! A vassal that could go on alone says so. Its process is noted in the [`Ledger`], and only then it is told that it may:
//! until that moment it dies with the emperor. The next emperor takes those in the notes that live for its own, starts
//! no other in their place, and waits for them to [call](calls); only a process of the notes is listened to.

mod calls;
mod ledger;

use std::collections::HashMap;
use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use uwgate_config::Options;
use uwgate_sys::meeting::Meeting;
use uwgate_sys::process::{Handle, Pid, Signal};
use uwgate_sys::readiness::readable;

pub(crate) use self::ledger::Ledger;
use crate::happenings::Happening;
use crate::spec::Name;

/// What it takes to keep vassals.
pub(crate) struct Kept {
    pub(crate) ledger: Ledger,
    /// Where they call.
    pub(crate) place: PathBuf,
    meeting: Option<Meeting>,
    /// Live processes that are not children of this one.
    foreign: HashMap<Pid, Foreign>,
}

struct Foreign {
    name: Name,
    handle: Handle,
    end: JoinHandle<()>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.end.abort();
    }
}

impl Kept {
    /// If the options ask for it. `owner`: who this process is about to become.
    ///
    /// # Errors
    /// One sentence with the line that asks for what cannot be.
    pub(crate) fn open(
        options: &Options,
        owner: Option<(u32, u32)>,
    ) -> Result<Option<Self>, String> {
        let Some(asked) = &options.emperor.emperor_keep_vassals else {
            return Ok(None);
        };
        let problem = |why: String| {
            let directory = asked.value.display();
            format!(
                "{}: emperor-keep-vassals = {directory}: {why}",
                asked.origin
            )
        };
        let directory = std::path::absolute(&asked.value).map_err(|it| problem(it.to_string()))?;
        let ledger = Ledger::open(&directory, owner).map_err(problem)?;
        let place = directory.join("call");
        let meeting = Meeting::open(&place).map_err(|error| problem(error.to_string()))?;
        Ok(Some(Self {
            ledger,
            place,
            meeting: Some(meeting),
            foreign: HashMap::new(),
        }))
    }

    /// Hears callers from now on. Must be called in a runtime.
    pub(crate) fn listen(&mut self, sender: UnboundedSender<Happening>) -> std::io::Result<()> {
        match self.meeting.take() {
            Some(meeting) => calls::follow(meeting, sender),
            None => Ok(()),
        }
    }

    /// Tells of the end of a process that is not a child. Must be called in a runtime.
    pub(crate) fn watch(
        &mut self,
        name: Name,
        pid: Pid,
        handle: Handle,
        sender: UnboundedSender<Happening>,
    ) -> std::io::Result<()> {
        let end = readable(std::sync::Arc::clone(handle.fd()))?;
        let end = tokio::spawn(async move {
            if end.readable().await.is_ok() {
                let _ = sender.send(Happening::Ended(pid));
            }
        });
        self.foreign.insert(pid, Foreign { name, handle, end });
        Ok(())
    }

    /// Whose process this is, if it is one that is not a child.
    pub(crate) fn find(&self, pid: Pid) -> Option<&Name> {
        self.foreign.get(&pid).map(|it| &it.name)
    }

    /// Sends a signal to a process that is not a child, and to no other.
    pub(crate) fn signal(&self, pid: Pid, signal: Signal) {
        if let Some(it) = self.foreign.get(&pid) {
            let _ = it.handle.signal(signal);
        }
    }

    /// A process that is not a child has ended: whose it was.
    pub(crate) fn ended(&mut self, pid: Pid) -> Option<Name> {
        self.foreign.remove(&pid).map(|it| it.name.clone())
    }
}
