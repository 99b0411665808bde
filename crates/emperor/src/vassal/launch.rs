//! What has to be done in the vassal's process before it is the vassal: its bounds, another user, hooks, a choice of
//! programs.
//!
//! The emperor never forks without exec, so this binary is started once more in this part, does it, and becomes the
//! vassal's program: same process, same parent, same descriptors.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use uwgate_config::Located;
use uwgate_config::options::{Hook, Phase};
use uwgate_sys::process::{self, Capabilities, Identity, Pid, SELF, Signal, Spawn};

use super::Confinement;
use super::chore::{CHORE, do_chore, run_hooks};

/// The first argument of a process in this part; the second is a [`Launch`] as JSON, the others are the program's.
pub const LAUNCH: &str = "--launch-vassal";

/// What is to be done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Launch {
    /// The vassal's name.
    pub(super) name: String,
    /// Who waits for it; 0 where that one is not seen.
    pub(super) emperor: i32,
    /// What it may have and use.
    pub(super) confinement: Confinement,
    /// Hooks for before it becomes its user.
    pub(super) before_drop: Vec<Located<Hook>>,
    /// Hooks for when it has become that.
    pub(super) hooks: Vec<Located<Hook>>,
    /// Whom it runs as.
    pub(super) owner: Option<(u32, u32)>,
    /// The file that says so.
    pub(super) file: Option<PathBuf>,
    /// Of a link, its own owner counts.
    pub(super) nofollow: bool,
    /// A command to run before it.
    pub(super) hook: Option<String>,
    /// Where its program is started.
    pub(super) directory: Option<PathBuf>,
    /// The first that can be started is its program.
    pub(super) programs: Vec<String>,
}

/// Does it. Returns only when it failed, with the exit code.
pub fn launch(args: Vec<OsString>) -> i32 {
    if let [_, word, chore] = args.as_slice()
        && word == CHORE
    {
        return do_chore(chore);
    }
    let problem = match become_vassal(args) {
        Ok(never) => match never {},
        Err(problem) => problem,
    };
    tracing::error!("{problem}");
    1
}

fn become_vassal(mut args: Vec<OsString>) -> Result<Infallible, String> {
    let rest = args.split_off(args.len().min(2));
    let launch = args.get(1).and_then(|it| it.to_str());
    let launch = launch.and_then(|it| serde_json::from_str::<Launch>(it).ok());
    let launch = launch.ok_or_else(|| format!("{LAUNCH} is for an emperor"))?;
    let name = &launch.name;
    let problem = |why| format!("[emperor] cannot start vassal {name}: {why}");
    launch.become_program(&rest).map_err(problem)
}

impl Launch {
    fn become_program(&self, args: &[OsString]) -> Result<Infallible, String> {
        self.confinement.enter()?;
        self.run_hooks(&self.before_drop, Phase::AsVassalBeforeDrop)?;
        self.confinement.bind()?;
        let keep = match self.owner {
            Some(owner) => self.assume(owner)?,
            None => self.confinement.step_down()?,
        };
        if let Some(hook) = &self.hook {
            self.run(hook)?;
        }
        self.run_hooks(&self.hooks, Phase::AsVassal)?;
        if let Some(directory) = &self.directory {
            std::env::set_current_dir(directory)
                .map_err(|error| format!("emperor-chdir-attr: {}: {error}", directory.display()))?;
        }
        Err(self.exec(args, keep))
    }

    /// Becomes the owner, if the file still has that one; which capabilities it has kept.
    fn assume(&self, (uid, gid): (u32, u32)) -> Result<Capabilities, String> {
        let name = &self.name;
        if let Some(file) = &self.file {
            self.check_owner(file, (uid, gid))?;
        }
        tracing::info!("[emperor-tyrant] dropping privileges to {uid} {gid} for instance {name}");
        let groups = vec![gid];
        let permitted = Capabilities::permitted().unwrap_or_default();
        let keep = self.confinement.capabilities().also_in(permitted);
        process::drop_to_keeping(&Identity { uid, gid, groups }, keep)
            .map_err(|error| format!("[emperor-tyrant] cannot become {uid} {gid}: {error}"))?;
        // The kernel has forgotten that with the old user.
        let dies = process::set_death_signal(Signal::KILL);
        match dies.is_ok() && process::parent() == Pid::from_raw(self.emperor) {
            true => Ok(keep),
            false => Err("the emperor is gone".into()),
        }
    }

    fn check_owner(&self, file: &Path, owner: (u32, u32)) -> Result<(), String> {
        let found = open(file, self.nofollow).and_then(|file| file.metadata());
        let found = found.map_err(|error| format!("{}: {error}", file.display()))?;
        let is_right_kind = found.is_file() || self.nofollow && found.is_symlink();
        match (found.uid(), found.gid()) == owner && is_right_kind {
            true => Ok(()),
            false => Err(format!(
                "[emperor-tyrant] !!! permissions of vassal {} changed. it is not started !!!",
                self.name
            )),
        }
    }

    /// As in uWSGI, what the hook returns is told and no more.
    fn run(&self, hook: &str) -> Result<(), String> {
        let name = &self.name;
        tracing::info!("[emperor] running vassal start-hook: {hook} {name}");
        let ended = command(hook, name).spawn().and_then(process::reap);
        let exit = ended.map_err(|error| format!("start-hook {hook}: {error}"))?;
        tracing::info!("[emperor] {name} start-hook {exit}");
        Ok(())
    }

    fn run_hooks(&self, hooks: &[Located<Hook>], phase: Phase) -> Result<(), String> {
        run_hooks(hooks, phase, &[("CONFIG", self.name.clone())])
    }

    /// Says why none of the programs could be started.
    fn exec(&self, args: &[OsString], capabilities: Capabilities) -> String {
        let mut problems = Vec::new();
        for program in &self.programs {
            let named = (program == SELF).then(|| "uwgate".into());
            let spawn = Spawn {
                arg0: named,
                args: args.to_vec(),
                capabilities,
                ..Spawn::new(program)
            };
            problems.push(format!("cannot run {program}: {}", spawn.exec()));
        }
        problems.join("; ")
    }
}

/// A hook's command line, with the vassal's name as its last argument, whatever letters that has.
pub(crate) fn command(hook: &str, name: &str) -> Spawn {
    Spawn {
        args: vec![
            "-c".into(),
            format!("{hook} \"$1\"").into(),
            "sh".into(),
            name.into(),
        ],
        ..Spawn::new("/bin/sh")
    }
}

fn open(path: &Path, nofollow: bool) -> io::Result<File> {
    // A FIFO would hold us up; a link cannot be opened, but looked at.
    let flags = match nofollow {
        true => OFlags::PATH | OFlags::NOFOLLOW,
        false => OFlags::NONBLOCK,
    };
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}
