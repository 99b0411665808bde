//! Hooks of the emperor around a vassal, in a process of their own: the emperor waits for nobody.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uwgate_config::options::{EnvChange, Hook, Phase};
use uwgate_config::{Located, Options, Origin};
use uwgate_server::hooks;
use uwgate_sys::process::{Pid, SELF, Spawn};

use super::launch::LAUNCH;

/// The second argument of a process that does a [`Chore`], which is the third.
pub(super) const CHORE: &str = "chore";

/// What is to be done, and about whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Chore {
    pub(crate) hooks: Vec<Located<Hook>>,
    /// `as-emperor`, or else for a vassal on demand.
    pub(crate) as_emperor: bool,
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) pid: Option<i32>,
    pub(crate) owner: (u32, u32),
}

impl Chore {
    /// # Errors
    /// Why there is no process.
    pub(crate) fn start(&self) -> io::Result<Pid> {
        let chore = serde_json::to_string(self).map_err(io::Error::other)?;
        Spawn {
            arg0: Some("uwgate".into()),
            args: vec![LAUNCH.into(), CHORE.into(), chore.into()],
            cwd: Some(self.directory.clone()),
            process_group: true,
            ..Spawn::new(SELF)
        }
        .spawn()
    }

    fn run(&self) -> Result<(), String> {
        let (uid, gid) = self.owner;
        let mut about = vec![("CONFIG", self.name.clone())];
        if let Some(pid) = self.pid {
            about.push(("PID", pid.to_string()));
            about.push(("UID", uid.to_string()));
            about.push(("GID", gid.to_string()));
        }
        let phase = match self.as_emperor {
            true => Phase::AsEmperor,
            false => Phase::AsOnDemandVassal,
        };
        run_hooks(&self.hooks, phase, &about)
    }
}

/// Does it; the exit code of its process.
pub(super) fn do_chore(chore: &OsStr) -> i32 {
    let chore = chore.to_str().and_then(|it| serde_json::from_str(it).ok());
    let done = chore.map_or_else(
        || Err(format!("{LAUNCH} is for an emperor")),
        |chore: Chore| chore.run(),
    );
    match done {
        Ok(()) => 0,
        Err(problem) => {
            tracing::error!("{problem}");
            1
        }
    }
}

/// Does hooks one after the other, with these in their environment as `UWSGI_VASSAL_...`.
pub(super) fn run_hooks(
    hooks: &[Located<Hook>],
    phase: Phase,
    about: &[(&str, String)],
) -> Result<(), String> {
    let mut options = Options::default();
    for (name, value) in about {
        let change = EnvChange::Set {
            name: format!("UWSGI_VASSAL_{name}"),
            value: value.clone(),
        };
        let origin = Origin::file(LAUNCH, 0);
        options.python.env.push(Located::new(change, origin));
    }
    hooks
        .iter()
        .try_for_each(|hook| hooks::run_one(hook, phase, &options, None))
}
