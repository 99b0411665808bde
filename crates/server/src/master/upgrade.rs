//! Becoming a newer binary: a reload finds that the file this process was started from is another one now.
//!
//! The new file is first asked whether it reads the configuration; then the master becomes it, with its sockets and its
//! workers, and starts a generation of its own as in any reload. Whatever goes wrong, somebody serves.

use std::convert::Infallible;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uwgate_sys::process::{self, Exit, Pid, Signal, Spawn};

use super::happenings::AWAITED;
use super::{Launcher, Master, heritage};

/// The first argument of a master that takes over from its former self; the second is a descriptor.
pub const SUCCESSOR: &str = "--succeed";

/// An upgrade under way.
#[derive(Debug)]
pub(super) struct Upgrade {
    binary: PathBuf,
    /// The process that tries the new binary on the configuration.
    trial: Option<Pid>,
}

/// The file this process was started from, if there is another one in its place now.
fn newer_binary() -> Option<PathBuf> {
    let running = fs::metadata("/proc/self/exe").ok()?;
    let path = started_from()?;
    let there = fs::metadata(&path).ok()?;
    let same = (running.dev(), running.ino()) == (there.dev(), there.ino());
    (!same && there.is_file()).then_some(path)
}

/// The kernel marks the name of a file that was replaced.
fn started_from() -> Option<PathBuf> {
    let name = fs::read_link("/proc/self/exe").ok()?.into_os_string();
    let bytes = name.as_bytes();
    let path = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    Some(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())))
}

impl<L: Launcher> Master<'_, L> {
    /// Begins an upgrade if there is a newer binary; the reload is then its business.
    pub(super) fn upgrade_if_newer(&mut self) -> bool {
        if self.launcher.arguments().is_empty() {
            return false;
        }
        let Some(binary) = newer_binary() else {
            return false;
        };
        self.forget_upgrade();
        match try_out(&binary, self.launcher.arguments()) {
            Ok(trial) => {
                tracing::info!(
                    "{} is a newer binary: trying it on the configuration",
                    binary.display()
                );
                let trial = Some(trial);
                self.upgrade = Some(Upgrade { binary, trial });
                true
            }
            Err(error) => {
                tracing::error!(
                    "UPGRADE FAILED: {}: {error}; reloading with the running binary",
                    binary.display()
                );
                false
            }
        }
    }

    fn forget_upgrade(&mut self) {
        if let Some(trial) = self.upgrade.take().and_then(|upgrade| upgrade.trial) {
            let _ = process::kill(trial, Signal::KILL);
        }
    }

    /// A process was reaped. Whether it was the trial.
    pub(super) fn trial_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(upgrade) = &mut self.upgrade else {
            return false;
        };
        if upgrade.trial != Some(pid) {
            return false;
        }
        upgrade.trial = None;
        if exit != Exit::Code(0) {
            tracing::error!(
                "RELOAD FAILED: {} does not take the configuration ({exit}); the old binary goes on",
                upgrade.binary.display()
            );
            self.upgrade = None;
        }
        true
    }

    /// Becomes the new binary once the trial was a success. Returns when there is nothing to become, or it failed.
    pub(super) async fn upgrade(&mut self) {
        if self.ending.is_some() || self.upgrade.as_ref().is_none_or(|it| it.trial.is_some()) {
            return;
        }
        let Some(Upgrade { binary, .. }) = self.upgrade.take() else {
            return;
        };
        // What comes from here on waits for the successor; what has come already is for us to handle.
        let blocked = uwgate_sys::signals::block(&AWAITED);
        self.handle_what_has_come().await;
        if self.ending.is_none() && blocked.is_ok() {
            let Err(error) = self.become_binary(&binary);
            tracing::error!(
                "UPGRADE FAILED: {}: {error}; the old binary goes on",
                binary.display()
            );
        }
        uwgate_sys::signals::unblock_all();
    }

    async fn handle_what_has_come(&mut self) {
        let soon = Some(uwgate_sys::clock::coarse_now() + Duration::from_millis(1));
        while let Some(happening) = self.happenings.next(soon).await {
            self.handle(happening);
        }
    }

    fn become_binary(&mut self, binary: &Path) -> std::io::Result<Infallible> {
        let workers: Vec<_> = self
            .generations
            .iter()
            .flat_map(super::Generation::processes)
            .chain(self.veterans.processes())
            .collect();
        let kept = heritage::leave(
            &self.listeners,
            &workers,
            &self.locks,
            self.reloads(),
            self.logs.pipes(),
        )?;
        let list = kept.first().map_or(-1, AsRawFd::as_raw_fd);
        tracing::info!("binary reloading uwgate: becoming {}", binary.display());
        let mut args = vec![SUCCESSOR.into(), list.to_string().into()];
        args.extend_from_slice(self.launcher.arguments());
        self.logs.pause();
        let error = process::replace(binary, &args);
        self.logs.resume();
        Err(error)
    }
}

/// Has a binary read the configuration; what it has to say goes to the log.
fn try_out(binary: &Path, args: &[std::ffi::OsString]) -> std::io::Result<Pid> {
    let null = fs::File::options().write(true).open("/dev/null")?;
    let mut all = vec!["config".into()];
    all.extend_from_slice(args);
    Spawn {
        args: all,
        fds: vec![(null.into(), 1)],
        ..Spawn::new(binary)
    }
    .spawn()
}
