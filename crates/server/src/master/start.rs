//! From options to a running instance: what can be refused is refused before anything is started.

use std::io;

use uwgate_config::options::{Phase, Process};
use uwgate_config::{Loaded, Options};
use uwgate_sys::process::{self, Spawn};
use uwgate_sys::record_locks::RecordLocks;

use super::begin::{Beginning, supervise};
use super::happenings::AWAITED;
use super::lord::Lord;
use super::pidfile::Pidfiles;
use super::veterans::Veterans;
use super::{Heritage, Launcher, fifo, heritage, scoreboard, systemd};
use crate::background::Background;
use crate::hooks;
use crate::listen::{self, Listening};
use crate::log::{LeftPipes, Logs};
use crate::privileges;
use crate::title::{self, Part};

/// Returns the exit code of an instance that ran, or why it does not.
pub(super) fn start<L: Launcher>(
    loaded: &Loaded,
    launcher: &L,
    heritage: Option<Heritage>,
    caller: &mut Background,
) -> Result<i32, Vec<String>> {
    let options = &loaded.options;
    take_place(&options.process);
    let is_successor = heritage.is_some();
    let Heritage {
        listeners: open,
        veterans,
        apps,
        locks,
        reloads,
        paused,
        log_pipes,
        daemons,
        lord,
        files,
        annals,
    } = heritage.unwrap_or_default();
    let veterans = Veterans::new(veterans, apps, &options.control);
    let locks = locks.map_or_else(RecordLocks::create, Ok);
    let locks = locks.map_err(|error| vec![error.to_string()])?;
    let mut beginning = Beginning {
        listeners: open,
        veterans,
        daemons,
        refused: false,
        locks,
        reloads,
        paused,
        lord: Lord::find(is_successor.then_some(lord)),
        files,
        annals,
    };
    // From the first socket on there is something to clean up: a signal waits until it can be obeyed.
    uwgate_sys::signals::block(&AWAITED).map_err(|error| vec![error.to_string()])?;
    if is_successor {
        let serving = beginning.veterans.are_serving();
        let logs = inherit_logs(options, log_pipes, serving).map_err(|problem| vec![problem])?;
        succeed(options, launcher, &mut beginning)?;
        let result = supervise(loaded, beginning, logs, launcher, caller);
        return result.map_err(|error| vec![error.to_string()]);
    }
    let identity = check(options, launcher)?;
    do_hooks(options, &[Phase::Asap, Phase::PreJail, Phase::InJail])?;
    hooks::wait_for_all(options, false).map_err(|problem| vec![problem])?;
    do_hooks(options, &[Phase::AsRoot])?;
    let logs = Logs::open(options, identity.as_ref(), None);
    let mut logs = logs.map_err(|problem| vec![problem])?;
    logs.truncate(options).map_err(|problem| vec![problem])?;
    let listeners = listen::bind(options, identity.as_ref())?;
    for listening in &listeners {
        tracing::info!("{listening}");
    }
    let pidfiles = Pidfiles::new(options);
    // Not before: a second start that finds its sockets taken must not write over the pid of the first.
    pidfiles.write_early().map_err(|problem| vec![problem])?;
    privileges::assume(identity.as_ref(), &options.process).map_err(|problem| vec![problem])?;
    pidfiles.write_late().map_err(|problem| vec![problem])?;
    do_hooks(options, &[Phase::AsUser])?;
    hooks::wait_for_all(options, true).map_err(|problem| vec![problem])?;
    logs.settle(options).map_err(|problem| vec![problem])?;
    tracing::info!("*** Operational MODE: {} ***", mode(options));
    caller.opened();
    let result = match wants_master(options) {
        true => {
            beginning.listeners = listeners;
            supervise(loaded, beginning, logs, launcher, caller)
        }
        false => {
            // Nobody is left who could tell whether the start succeeds.
            pidfiles.write_safe();
            alone(loaded, &listeners, &beginning.locks, launcher)
        }
    };
    result.map_err(|error| vec![error.to_string()])
}

fn do_hooks(options: &Options, phases: &[Phase]) -> Result<(), Vec<String>> {
    let mut phases = phases.iter();
    phases
        .try_for_each(|phase| hooks::run(options, *phase, None))
        .map_err(|problem| vec![problem])
}

/// Finds out now rather than after the fork: neither a user nor an interpreter that does not exist.
fn check<L: Launcher>(
    options: &Options,
    launcher: &L,
) -> Result<Option<process::Identity>, Vec<String>> {
    let identity = privileges::resolve(&options.process).map_err(|problem| vec![problem])?;
    let command = launcher.command(options, "-");
    command.map_err(|problem| vec![problem])?;
    check_backlog(options.sockets.listen).map_err(|problem| vec![problem])?;
    fifo::check(options)?;
    Ok(identity)
}

/// The kernel would make it less without a word, and connections be turned away that were to wait.
fn check_backlog(listen: u32) -> Result<(), String> {
    match uwgate_sys::listener::somaxconn() {
        Ok(allowed) if listen > allowed => Err(format!(
            "Listen queue size is greater than the system max net.core.somaxconn ({allowed}): listen = {listen}; \
             raise it with `sysctl net.core.somaxconn={listen}`, or ask for less"
        )),
        _ => Ok(()),
    }
}

/// A successor is in all else what its former self has become. There is no way back for it, so a configuration that
/// cannot be served is no reason to end as long as the workers of the former binary serve.
fn succeed<L: Launcher>(
    options: &Options,
    launcher: &L,
    beginning: &mut Beginning,
) -> Result<(), Vec<String>> {
    let open = &beginning.listeners;
    match check(options, launcher).and_then(|_| listen::rebind(options, open)) {
        Ok(listeners) => beginning.listeners = listeners,
        Err(problems) if beginning.veterans.are_serving() => {
            for problem in problems {
                tracing::error!("{problem}");
            }
            beginning.refused = true;
        }
        Err(problems) => return Err(problems),
    }
    for listening in &beginning.listeners {
        tracing::info!("{listening}");
    }
    tracing::info!("*** Operational MODE: {} ***", mode(options));
    Ok(())
}

/// The log of a successor. Where its files cannot be opened any more (the user was dropped since) it goes to where the
/// instance's output went at first: workers of the former binary wait for somebody who reads their lines.
fn inherit_logs(options: &Options, left: Option<LeftPipes>, serving: bool) -> Result<Logs, String> {
    let copy = left.as_ref().map(heritage::copy_pipes).transpose();
    let copy = copy.map_err(|error| error.to_string())?;
    let open = |options: &Options, left| {
        let mut logs = Logs::open(options, None, left)?;
        logs.settle(options).map(|()| logs)
    };
    open(options, left).or_else(|problem| {
        if !serving {
            return Err(problem);
        }
        tracing::error!("{problem}");
        open(&Options::default(), copy)
    })
}

/// What the whole instance inherits from this process.
fn take_place(options: &Process) {
    title::show(&options.titles, Part::Master);
    if let Some(mask) = options.umask {
        process::umask(mask);
    }
    if let Some(nice) = options.prio
        && let Err(error) = process::set_nice(nice)
    {
        tracing::warn!("prio = {nice} has no effect: {error}");
    }
}

/// Several workers need somebody who replaces a dead one (in uWSGI they would just become fewer). A service manager,
/// and whoever waits for `daemonize2`, need somebody who says that the start has succeeded. Some hooks are the master's.
/// Somebody must collect log lines.
fn wants_master(options: &Options) -> bool {
    options.workers.master
        || options.workers.processes != 1
        || options.process.daemonize2.is_some()
        || options.log.collects()
        || systemd::is_there()
        || super::lord::is_there()
        || hooks::want_master(options)
}

fn mode(options: &Options) -> &'static str {
    let workers = &options.workers;
    match (workers.processes, workers.threads) {
        (0, _) => "no-workers",
        (1, 0 | 1) => "single process",
        (1, _) => "threaded",
        (_, 0 | 1) => "preforking",
        (_, _) => "preforking+threaded",
    }
}

/// Tells the application how often the instance was reloaded, as uWSGI does.
pub(super) fn tell_reloads(command: &mut Spawn, reloads: u64) {
    let environment = command
        .env
        .get_or_insert_with(|| std::env::vars_os().collect());
    environment.retain(|(name, _)| name != RELOADS);
    environment.push((RELOADS.into(), reloads.to_string().into()));
}

/// uWSGI's name for it.
const RELOADS: &str = "UWSGI_RELOADS";

/// Without a master this process becomes the worker.
fn alone<L: Launcher>(
    loaded: &Loaded,
    listeners: &[Listening],
    locks: &RecordLocks,
    launcher: &L,
) -> io::Result<i32> {
    let scoreboard = scoreboard(&loaded.options)?;
    let legacy = crate::inherit::bequeath(None, &loaded.entries, &scoreboard, locks, listeners)?;
    let mut command = launcher
        .command(&loaded.options, &legacy.word)
        .map_err(io::Error::other)?;
    command.fds = legacy.fds;
    tell_reloads(&mut command, 0);
    let program = command.program.clone();
    let error = command.exec();
    Err(io::Error::other(format!(
        "cannot run {}: {error}",
        program.display()
    )))
}
