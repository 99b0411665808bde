//! Becoming a newer binary: a reload finds that the file this process was started from is another one now.
//!
//! The new file is first asked whether it could ([`try_to_succeed`]); then the master becomes it, with its sockets and
//! its workers, and starts a generation of its own as in any reload. Whatever goes wrong, somebody serves.

use std::convert::Infallible;
use std::io::{self, PipeReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process::{self, Exit, Pid, Signal};

use super::{Launcher, Master, heritage};
use crate::sent_config;
use crate::successor::{Succession, newer_binary};

/// A master and the one that takes over from it.
pub const SUCCESSION: Succession = Succession {
    flag: "--succeed",
    i_could: "uwgate could take over\n",
};

/// How long a binary may think about it.
const TRIAL: Duration = Duration::from_secs(30);

/// An upgrade under way.
#[derive(Debug)]
pub(super) struct Upgrade {
    binary: PathBuf,
    trial: Trial,
}

/// What a new binary says.
#[derive(Debug)]
enum Trial {
    /// Nothing yet.
    Awaited {
        pid: Pid,
        answer: PipeReader,
        until: Millis,
    },
    /// It could take over.
    Passed,
}

/// Says whether a master of this binary could run the configuration: what a trial runs.
///
/// # Errors
/// Why it could not, one sentence each.
pub fn try_to_succeed<L: Launcher>(
    loaded: &uwgate_config::Loaded,
    launcher: &L,
) -> Result<(), Vec<String>> {
    let options = &loaded.options;
    crate::privileges::resolve(&options.process).map_err(|problem| vec![problem])?;
    let command = launcher.command(options, "-");
    command.map_err(|problem| vec![problem])?;
    if let Some(code) = loaded.exit {
        return Err(vec![format!(
            "the configuration ends the instance with code {code}"
        )]);
    }
    let said = SUCCESSION.say_that_it_could();
    said.map_err(|error| vec![error.to_string()])
}

impl<L: Launcher> Master<'_, L> {
    /// Begins an upgrade if there is a newer binary; the reload is then its business.
    pub(super) fn upgrade_if_newer(&mut self) -> bool {
        if self.launcher.arguments().is_empty() {
            return false;
        }
        let Some(binary) = newer_binary(self.binary.as_ref()).cloned() else {
            return false;
        };
        if sent_config::is_sent() {
            // Only this process can ask for it, so a trial could not read it.
            tracing::info!(
                "{} is a newer binary: for a configuration that the emperor sends it waits until the vassal is started anew; reloading with the running one",
                binary.display()
            );
            return false;
        }
        self.forget_upgrade();
        match SUCCESSION.ask(&binary, self.launcher.arguments()) {
            Ok((pid, answer)) => {
                tracing::info!(
                    "{} is a newer binary: trying it on the configuration",
                    binary.display()
                );
                let until = coarse_now() + TRIAL;
                let trial = Trial::Awaited { pid, answer, until };
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

    /// Gives an upgrade up that has not come to more than a trial.
    pub(super) fn forget_upgrade(&mut self) {
        if let Some(Upgrade {
            trial: Trial::Awaited { pid, .. },
            ..
        }) = self.upgrade.take()
        {
            let _ = process::kill(pid, Signal::KILL);
        }
    }

    /// When the trial takes too long.
    pub(super) fn upgrade_deadline(&self) -> Option<Millis> {
        match self.upgrade.as_ref()?.trial {
            Trial::Awaited { until, .. } => Some(until),
            Trial::Passed => None,
        }
    }

    /// Ends a trial that takes too long.
    pub(super) fn hurry_upgrade(&mut self, now: Millis) {
        if self.upgrade_deadline().is_some_and(|until| until <= now) {
            self.forget_upgrade();
            self.reload_failed("the new binary does not answer; the old binary goes on");
        }
    }

    /// A process was reaped. Whether it was the trial.
    pub(super) fn trial_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(upgrade) = &mut self.upgrade else {
            return false;
        };
        let Trial::Awaited {
            pid: trial, answer, ..
        } = &mut upgrade.trial
        else {
            return false;
        };
        if *trial != pid {
            return false;
        }
        if exit.success() && SUCCESSION.could(answer) {
            upgrade.trial = Trial::Passed;
            return true;
        }
        let binary = upgrade.binary.display();
        let why =
            format!("{binary} does not take the configuration ({exit}); the old binary goes on");
        self.upgrade = None;
        self.reload_failed(&why);
        true
    }

    /// Becomes the new binary once the trial was a success. Returns when there is nothing to become, or it failed.
    pub(super) async fn upgrade(&mut self) {
        let passed = |it: &Upgrade| matches!(it.trial, Trial::Passed);
        if self.ending.is_some() || !self.upgrade.as_ref().is_some_and(passed) {
            return;
        }
        let Some(Upgrade { binary, .. }) = self.upgrade.take() else {
            return;
        };
        // What comes from here on waits for the successor, whichever signals it knows; what has come already is for us
        // to handle.
        uwgate_sys::signals::block_all();
        self.handle_what_has_come().await;
        self.forget_upgrade();
        if self.ending.is_none() {
            let Err(error) = self.become_binary(&binary);
            tracing::error!(
                "UPGRADE FAILED: {}: {error}; the old binary goes on",
                binary.display()
            );
        }
        uwgate_sys::signals::unblock_all();
    }

    async fn handle_what_has_come(&mut self) {
        let soon = Some(coarse_now() + Duration::from_millis(1));
        while let Some(happening) = self.happenings.next(soon).await {
            self.handle(happening);
        }
    }

    fn become_binary(&mut self, binary: &Path) -> io::Result<Infallible> {
        let workers: Vec<_> = self
            .generations
            .iter()
            .flat_map(super::Generation::processes)
            .chain(self.veterans.processes())
            .collect();
        let daemons: Vec<_> = self.surroundings.daemons.processes().collect();
        let zygotes = self
            .generations
            .iter()
            .filter_map(super::Generation::live_zygote);
        let zygotes: Vec<Pid> = zygotes.collect();
        let annals = self.annals();
        let kept = heritage::leave(heritage::Estate {
            listeners: &self.listeners,
            workers: &workers,
            daemons: &daemons,
            zygotes: &zygotes,
            apps: self.apps(),
            locks: &self.locks,
            reloads: self.reloads(),
            paused: self.paused,
            lord: &self.lord,
            files: heritage::Files {
                fifo: self.sources.active_fifo(),
                pidfiles: self.pidfiles.paths().map(Path::to_owned).collect(),
            },
            annals: &annals,
            log_pipes: self.logs.pipes(),
        })?;
        tracing::info!("binary reloading uwgate: becoming {}", binary.display());
        self.logs.pause();
        let failed = SUCCESSION.become_binary(binary, &kept, self.launcher.arguments());
        self.logs.resume();
        failed
    }
}
