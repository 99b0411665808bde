//! The log of an instance as its master sees it: where everybody's lines go, and how that changes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;

use uwgate_config::options::LogTo;
use uwgate_config::{Located, Options};
use uwgate_sys::clock::coarse_realtime;
use uwgate_sys::process::Identity;

use super::collector::{Collector, Originals, Pipes, at, logto_file};
use super::file::{LogFile, Manners};
use super::share::LogShare;
use super::{lines, outlet};

/// What children are handed; kept beside the master, since it is a matter of the whole process like descriptor 2.
static LEGACY: Mutex<Option<Legacy>> = Mutex::new(None);

struct Legacy {
    share: LogShare,
    requests: Option<OwnedFd>,
}

/// The descriptors that a Python process inherits for its log.
#[derive(Debug)]
pub(crate) struct LogFds {
    /// The [`LogShare`].
    pub(crate) share: OwnedFd,
    /// Where request lines go, if they travel apart.
    pub(crate) requests: Option<OwnedFd>,
}

/// What to hand over to a Python process.
///
/// # Errors
/// What the kernel says about descriptors.
pub(crate) fn bequeath() -> io::Result<LogFds> {
    let legacy = LEGACY
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(legacy) = &*legacy else {
        let share = LogShare::create()?.fd().try_clone_to_owned()?;
        let requests = None;
        return Ok(LogFds { share, requests });
    };
    Ok(LogFds {
        share: legacy.share.fd().try_clone_to_owned()?,
        requests: legacy
            .requests
            .as_ref()
            .map(OwnedFd::try_clone)
            .transpose()?,
    })
}

/// The log of a running instance.
pub(crate) struct Logs {
    share: LogShare,
    originals: Originals,
    manners: Manners,
    way: Way,
}

enum Way {
    /// Every process writes to what it has as standard error, perhaps this file.
    Direct(Option<LogFile>),
    /// Every process writes to the collector.
    Collected(Collector),
}

/// Sockets of lines that a master has left to its successor.
pub(crate) type LeftPipes = (Pipes, Originals);

/// Where everything goes, unless loggers say otherwise.
fn destination(options: &Options) -> Option<Located<LogTo>> {
    let (log, process) = (&options.log, &options.process);
    let background = process.daemonize.as_ref().or(process.daemonize2.as_ref());
    let background =
        background.map(|file| Located::new(LogTo::File(file.value.clone()), file.origin.clone()));
    let first = || background.or_else(|| log.logto.clone());
    log.logto2.clone().or_else(first)
}

/// The file that processes write to themselves, if there is one.
pub(super) fn direct_file(options: &Options, manners: Manners) -> Option<LogFile> {
    match options.log.collects() {
        true => None,
        false => logto_file(&options.log, &destination(options)?, &manners),
    }
}

impl Logs {
    /// Opens what the options name, while we may. From here on all lines go there.
    ///
    /// # Errors
    /// One sentence with the line that names what cannot be opened.
    pub(crate) fn open(
        options: &Options,
        identity: Option<&Identity>,
        left: Option<LeftPipes>,
    ) -> Result<Self, String> {
        let log = &options.log;
        let system = |error: io::Error| format!("cannot set up the log: {error}");
        let (left, originals) = left.unzip();
        let originals = originals.map_or_else(Originals::keep, Ok).map_err(system)?;
        let owner = identity.filter(|_| log.logfile_chown);
        let manners = Manners {
            owner: owner.map(|identity| (identity.uid, identity.gid)),
            mode: log.logfile_chmod,
        };
        let share = LogShare::create().map_err(system)?;
        outlet::set_up(None, share.try_clone().map_err(system)?, None, false);
        lines::adopt(log);
        let mut logs = Self {
            share,
            originals,
            manners,
            way: Way::Direct(None),
        };
        match log.collects() || left.is_some() {
            true => logs.collect(options, left)?,
            false if log.logto2.is_none() => logs.redirect(options)?,
            // Not yet ours to open.
            false => {}
        }
        Ok(logs)
    }

    /// Goes on with what is to be opened once privileges are dropped.
    ///
    /// # Errors
    /// As [`Logs::open`].
    pub(crate) fn settle(&mut self, options: &Options) -> Result<(), String> {
        match &mut self.way {
            Way::Direct(_) if options.log.logto2.is_some() => self.redirect(options),
            Way::Direct(_) => Ok(()),
            Way::Collected(collector) => collector
                .start()
                .map_err(|error| format!("cannot start the log thread: {error}")),
        }
    }

    /// Empties the file that all lines go to, if the options say so: at a start, not in the middle of a life.
    ///
    /// # Errors
    /// One sentence with the line that names the file.
    pub(crate) fn truncate(&self, options: &Options) -> Result<(), String> {
        let Some(to) = destination(options).filter(|_| options.log.log_truncate) else {
            return Ok(());
        };
        let file = logto_file(&options.log, &to, &self.manners);
        file.map_or(Ok(()), |file| file.truncate())
            .map_err(|error| at(&to.origin, format!("log-truncate: {error}")))
    }

    fn collect(&mut self, options: &Options, left: Option<Pipes>) -> Result<(), String> {
        let system = |error: io::Error| format!("cannot collect log lines: {error}");
        let pipes = left.map_or_else(Pipes::new, Ok).map_err(system)?;
        let log = with_destination(options);
        let collector = Collector::new(pipes, &log, &self.originals, &self.manners)?;
        outlet::over_stdio(collector.pipes().lines.write.as_fd()).map_err(system)?;
        outlet::look(true);
        self.way = Way::Collected(collector);
        self.leave_to_children(options)
    }

    fn redirect(&mut self, options: &Options) -> Result<(), String> {
        let file = direct_file(options, self.manners.clone());
        if let Some(file) = &file {
            let opened = file
                .open()
                .and_then(|opened| outlet::over_stdio(opened.as_fd()));
            let origin = destination(options).map(|to| to.origin.to_string());
            opened.map_err(|error| {
                let origin = origin.unwrap_or_default();
                format!("{origin}: cannot log to {}: {error}", file.path().display())
            })?;
            outlet::look(false);
        }
        self.way = Way::Direct(file);
        self.leave_to_children(options)
    }

    fn leave_to_children(&self, options: &Options) -> Result<(), String> {
        let requests = match &self.way {
            Way::Collected(collector) if options.log.separates_requests() => {
                Some(collector.pipes().requests.write.try_clone())
            }
            _ => None,
        };
        let legacy = || -> io::Result<Legacy> {
            Ok(Legacy {
                share: self.share.try_clone()?,
                requests: requests.transpose()?,
            })
        };
        let legacy = legacy().map_err(|error| format!("cannot share the log: {error}"))?;
        *LEGACY
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(legacy);
        Ok(())
    }

    /// Goes on as new options say. What has been inherited from the old ones stays valid.
    ///
    /// # Errors
    /// As [`Logs::open`]; everything stays as it was then.
    pub(crate) fn adopt(&mut self, options: &Options) -> Result<(), String> {
        self.manners.mode = options.log.logfile_chmod;
        match &self.way {
            Way::Collected(collector) => {
                collector.replace(&with_destination(options), &self.originals, &self.manners)?;
                self.leave_to_children(options)?;
            }
            Way::Direct(_) if options.log.collects() => {
                self.collect(options, None)?;
                self.settle(options)?;
            }
            Way::Direct(old) => {
                let new = direct_file(options, self.manners.clone());
                let moved = old.as_ref().map(LogFile::path) != new.as_ref().map(LogFile::path);
                match moved {
                    true if new.is_none() => self.back_to_originals(),
                    true => self.redirect(options)?,
                    false => self.way = Way::Direct(new),
                }
                if options.log.log_reopen {
                    self.reopen();
                }
            }
        }
        lines::adopt(&options.log);
        Ok(())
    }

    fn back_to_originals(&mut self) {
        let put = rustix::stdio::dup2_stdout(&self.originals.stdout)
            .and_then(|()| rustix::stdio::dup2_stderr(&self.originals.stderr));
        if put.is_ok() {
            outlet::look(false);
        }
        if let Way::Direct(file) = &mut self.way {
            *file = None;
        }
    }

    /// Opens files anew by their names, in all processes.
    pub(crate) fn reopen(&mut self) {
        match &self.way {
            Way::Direct(None) => {
                tracing::info!("there is no log file to reopen: lines go to standard error");
            }
            Way::Direct(Some(file)) => {
                tracing::info!("logsize: {}, triggering log-reopen...", stderr_size());
                if self.begin(file) {
                    tracing::info!("{} reopened.", file.path().display());
                }
            }
            Way::Collected(collector) => collector.reopen(),
        }
    }

    /// Moves files away and begins new ones, in all processes.
    pub(crate) fn rotate(&mut self) {
        match &self.way {
            Way::Direct(None) => {
                tracing::info!("there is no log file to rotate: lines go to standard error");
            }
            Way::Direct(Some(file)) => match file.move_away(coarse_realtime().as_secs()) {
                Ok(backup) => {
                    let (size, backup) = (stderr_size(), backup.display());
                    tracing::info!("logsize: {size}, triggering rotation to {backup}...");
                    self.begin(file);
                }
                Err(error) => tracing::error!("cannot rotate {}: {error}", file.path().display()),
            },
            Way::Collected(collector) => collector.rotate(),
        }
    }

    /// Has all processes write to the file that has the name now. Whether there is one.
    fn begin(&self, file: &LogFile) -> bool {
        match file
            .open()
            .and_then(|opened| outlet::over_stdio(opened.as_fd()))
        {
            Ok(()) => {
                self.share.begin_epoch();
                true
            }
            Err(error) => {
                let path = file.path().display();
                tracing::error!("cannot reopen {path}: {error}; the old file goes on");
                false
            }
        }
    }

    /// Whether somebody has to look at sizes every second. The collector knows without looking.
    pub(crate) fn wants_looks(options: &Options) -> bool {
        options.log.log_maxsize > 0 && !options.log.collects()
    }

    /// Rotates a file that has reached `log-maxsize`.
    pub(crate) fn look_at_size(&mut self) {
        if let Way::Direct(Some(file)) = &self.way
            && file.is_full()
        {
            self.rotate();
        }
    }

    /// Lines wait from now on, as this process may be about to become another one.
    pub(crate) fn pause(&mut self) {
        if let Way::Collected(collector) = &mut self.way {
            collector.pause();
        }
    }

    /// It has not: lines go on.
    pub(crate) fn resume(&mut self) {
        if let Way::Collected(collector) = &mut self.way
            && let Err(error) = collector.start()
        {
            tracing::error!("cannot start the log thread again: {error}");
        }
    }

    /// The sockets that a successor of this master needs, if lines are collected.
    pub(crate) fn pipes(&self) -> Option<(&Pipes, &Originals)> {
        match &self.way {
            Way::Direct(_) => None,
            Way::Collected(collector) => Some((collector.pipes(), &self.originals)),
        }
    }
}

/// Bytes of the file behind standard error.
fn stderr_size() -> i64 {
    rustix::fs::fstat(rustix::stdio::stderr()).map_or(0, |stat| stat.st_size)
}

/// Lines that have come are written before the process ends, and what it still says goes where it went at first.
impl Drop for Logs {
    fn drop(&mut self) {
        if let Way::Collected(collector) = &mut self.way {
            let _ = rustix::stdio::dup2_stdout(&self.originals.stdout);
            let _ = rustix::stdio::dup2_stderr(&self.originals.stderr);
            outlet::look(false);
            collector.pause();
        }
    }
}

/// The log's options, with what `daemonize` says worked in.
fn with_destination(options: &Options) -> uwgate_config::options::Log {
    let mut log = options.log.clone();
    log.logto2 = None;
    log.logto = destination(options);
    log
}
