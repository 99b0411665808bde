//! What every long-lived process of ours needs around it, whether it serves an application or looks after those that
//! do: a log, privileges, pidfiles, a caller and a service manager who want to be told.

use uwgate_config::Options;
use uwgate_sys::clock::Millis;
use uwgate_sys::process::{self, Identity};

use crate::background::Background;
use crate::log::Logs;
use crate::master::{Notifier, Pidfiles};
use crate::{privileges, title};

/// The surroundings of a process that is not a master.
pub struct Station {
    identity: Option<Identity>,
    logs: Logs,
    pidfiles: Pidfiles,
    notifier: Notifier,
    background: Background,
    vacuum: bool,
}

impl Station {
    /// The first half, with the privileges of the start: title, user, log. Sockets are opened after it.
    ///
    /// # Errors
    /// One sentence with the line that asks for what cannot be had.
    pub fn open(
        options: &Options,
        part: title::Part,
        background: &mut Background,
    ) -> Result<Self, String> {
        title::show(&options.process.titles, part);
        if let Some(mask) = options.process.umask {
            process::umask(mask);
        }
        if let Some(nice) = options.process.prio
            && let Err(error) = process::set_nice(nice)
        {
            tracing::warn!("prio = {nice} has no effect: {error}");
        }
        let identity = privileges::resolve(&options.process)?;
        let logs = Logs::open(options, identity.as_ref(), None)?;
        logs.truncate(options)?;
        Ok(Self {
            identity,
            logs,
            pidfiles: Pidfiles::new(options),
            notifier: Notifier::of_environment(),
            background: std::mem::take(background),
            vacuum: options.sockets.vacuum,
        })
    }

    /// Whom the process is to become.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The second half: pidfiles, privileges, the rest of the log. From here on the process is what it will be.
    ///
    /// # Errors
    /// As [`Station::open`].
    pub fn settle(&mut self, options: &Options) -> Result<(), String> {
        self.pidfiles.write_early()?;
        privileges::assume(self.identity.as_ref(), &options.process)?;
        self.pidfiles.write_late()?;
        self.logs.settle(options)?;
        self.background.opened();
        Ok(())
    }

    /// The process does its work.
    pub fn serving(&mut self, status: &str) {
        self.pidfiles.write_safe();
        self.notifier.ready(status);
        self.background.serving();
    }

    /// The process is about to end.
    pub fn stopping(&mut self) {
        self.notifier.stopping();
    }

    /// The start has failed, for reasons that were logged.
    pub fn failed(&mut self, code: i32, problems: &[String]) {
        self.background.failed(code, problems);
    }

    /// When the service manager wants a sign of life.
    pub fn deadline(&self) -> Option<Millis> {
        self.notifier.deadline()
    }

    /// Gives it, if it is time to.
    pub fn handle_time(&mut self, now: Millis) {
        self.notifier.handle_time(now);
    }

    /// Opens log files anew by their names.
    pub fn reopen_logs(&mut self) {
        self.logs.reopen();
    }

    /// Lines wait from now on, as this process may be about to become another one.
    pub fn pause_logs(&mut self) {
        self.logs.pause();
    }

    /// It has not: lines go on.
    pub fn resume_logs(&mut self) {
        self.logs.resume();
    }

    /// Leaves nothing behind that the options want removed.
    pub fn leave(&mut self) {
        if self.vacuum {
            self.pidfiles.remove();
        }
    }
}
