//! From options to a running instance: what can be refused is refused before anything is started.

use std::io;

use uwgate_config::{Loaded, Options};
use uwgate_sys::process::{self, Identity, Signal};

use super::{Heritage, Launcher, scoreboard, supervise};
use crate::listen::{self, Listening};

/// Returns the exit code of an instance that ran, or why it does not.
pub(super) fn start<L: Launcher>(
    loaded: &Loaded,
    launcher: &L,
    heritage: Option<Heritage>,
) -> Result<i32, Vec<String>> {
    let options = &loaded.options;
    let is_successor = heritage.is_some();
    let Heritage {
        listeners: open,
        veterans,
    } = heritage.unwrap_or_default();
    // From the first socket on there is something to clean up: a signal waits until it can be obeyed.
    let signals = [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP];
    uwgate_sys::signals::block(&signals).map_err(|error| vec![error.to_string()])?;
    // Found out now rather than after the fork: neither a user nor an interpreter that does not exist.
    let identity = identity(options).map_err(|problem| vec![problem])?;
    launcher
        .command(options, "-")
        .map_err(|problem| vec![problem])?;
    if !is_successor {
        crate::log::redirect(&options.log.logto).map_err(|problem| vec![problem])?;
    }
    let listeners = listen::rebind(options, &open)?;
    drop(open);
    for listening in &listeners {
        tracing::info!("{listening}");
    }
    // A successor is what its former self has become.
    if !is_successor {
        become_identity(identity.as_ref()).map_err(|problem| vec![problem])?;
        crate::log::redirect(&options.log.logto2).map_err(|problem| vec![problem])?;
    }
    tracing::info!("*** Operational MODE: {} ***", mode(options));
    let result = match wants_master(options) || is_successor {
        true => supervise(loaded, listeners, launcher, veterans),
        false => alone(loaded, &listeners, launcher),
    };
    result.map_err(|error| vec![error.to_string()])
}

/// Several workers need somebody who replaces a dead one; in uWSGI they would just become fewer.
fn wants_master(options: &Options) -> bool {
    options.workers.master || options.workers.processes != 1
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

fn identity(options: &Options) -> Result<Option<Identity>, String> {
    let (uid, gid) = (&options.process.uid, &options.process.gid);
    let Some(asked) = uid.as_ref().or(gid.as_ref()) else {
        return Ok(None);
    };
    let user = match uid {
        Some(uid) => uid.value.clone(),
        None => rustix::process::getuid().as_raw().to_string(),
    };
    let group = gid.as_ref().map(|gid| gid.value.as_str());
    process::resolve(&user, group)
        .map(Some)
        .map_err(|error| format!("{}: {error}", asked.origin))
}

fn become_identity(identity: Option<&Identity>) -> Result<(), String> {
    let Some(identity) = identity else {
        return Ok(());
    };
    if !rustix::process::geteuid().is_root() {
        tracing::warn!("not started as root: uid and gid stay as they are");
        return Ok(());
    }
    process::drop_to(identity).map_err(|error| format!("cannot drop privileges: {error}"))
}

/// Without a master this process becomes the worker.
fn alone<L: Launcher>(loaded: &Loaded, listeners: &[Listening], launcher: &L) -> io::Result<i32> {
    let scoreboard = scoreboard(&loaded.options)?;
    let legacy = crate::inherit::bequeath(None, &loaded.entries, &scoreboard, listeners)?;
    let mut command = launcher
        .command(&loaded.options, &legacy.word)
        .map_err(io::Error::other)?;
    command.fds = legacy.fds;
    let program = command.program.clone();
    let error = command.exec();
    Err(io::Error::other(format!(
        "cannot run {}: {error}",
        program.display()
    )))
}
