//! From a start that has succeeded to a master that lives.

use std::io;

use std::sync::Arc;
use std::time::Duration;

use uwgate_config::{Loaded, Options};
use uwgate_supervisor::Roster;
use uwgate_supervisor::recycling::Recycling;
use uwgate_sys::process::{self, Pid};
use uwgate_sys::record_locks::RecordLocks;

use super::annals::Annals;
use super::cheaper::Workforce;
use super::generation::Manner;
use super::happenings::Happenings;
use super::heritage::Files;
use super::lord::{Lord, Way};
use super::pidfile::Pidfiles;
use super::reload::ZYGOTE_WAIT;
use super::rest::Rest;
use super::sources::Sources;
use super::stats::Stats;
use super::surroundings::Surroundings;
use super::tick::Tick;
use super::veterans::Veterans;
use super::{Launcher, Master, fifo, memory, recycling};
use crate::background::Background;
use crate::listen::Listening;
use crate::log::Logs;

/// What a master begins with.
pub(super) struct Beginning {
    pub(super) listeners: Vec<Listening>,
    /// Of a successor.
    pub(super) veterans: Veterans,
    /// Of a successor: pids and commands.
    pub(super) daemons: Vec<(Pid, String)>,
    /// The configuration cannot be served: the veterans have to go on.
    pub(super) refused: bool,
    /// The application's.
    pub(super) locks: RecordLocks,
    /// How often the instance was reloaded before.
    pub(super) reloads: u64,
    /// Of a successor: new connections wait.
    pub(super) paused: bool,
    /// The way to the emperor.
    pub(super) lord: Way,
    /// Of a successor: what its former self has made.
    pub(super) files: Files,
    /// Of a successor: what was counted before.
    pub(super) annals: Annals,
}

pub(super) fn supervise<L: Launcher>(
    loaded: &Loaded,
    beginning: Beginning,
    logs: Logs,
    launcher: &L,
    background: &mut Background,
) -> io::Result<i32> {
    process::become_subreaper()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let happenings = Happenings::subscribe(&loaded.options.hooks.signals)?;
        // What came meanwhile is handled now.
        uwgate_sys::signals::unblock_all();
        tracing::info!(
            "spawned uWSGI master process (pid: {})",
            process::this().as_raw()
        );
        let options = &loaded.options;
        let Beginning {
            listeners,
            veterans,
            daemons,
            refused,
            locks,
            reloads,
            paused,
            lord,
            files,
            annals,
        } = beginning;
        // An older version does not say which it has read.
        let first = fifo::named(options).into_iter().next();
        let first = first.filter(|_| veterans.are_serving()).map(|it| it.value);
        let former_fifo = files.fifo.or(first);
        let sources = match Sources::open(options, former_fifo.as_deref(), &happenings) {
            Err(problem) if veterans.are_serving() => {
                tracing::error!("{problem}");
                Sources::default()
            }
            sources => sources.map_err(io::Error::other)?,
        };
        let is_successor = veterans.are_serving();
        let mut lord = Lord::follow(lord, &happenings)?;
        lord.renew(options);
        if !is_successor {
            lord.spawned();
        }
        let mut master = Master {
            launcher,
            listeners: listeners.into(),
            vacuum: options.sockets.vacuum,
            exit_on_reload: options.control.exit_on_reload,
            reload_mercy: reload_mercy(options),
            pidfiles: Pidfiles::new(options).after(files.pidfiles),
            paused,
            served: Arc::new(loaded.clone()),
            rising: None,
            sources,
            locks,
            reloads_before: reloads,
            stats: Stats::open(options, annals, &happenings).map_err(io::Error::other)?,
            happenings,
            generations: Vec::new(),
            next_number: 1,
            raised_at: Duration::ZERO,
            roster: Roster::default(),
            zygotes: Roster::default(),
            reload_at: None,
            zygote_wait: ZYGOTE_WAIT,
            reload_when_risen: false,
            manner: Manner::Graceful,
            tick: Tick::new(&loaded.options),
            rest: Rest::default(),
            workforce: Workforce::new(&loaded.options),
            recycling: Recycling::new(recycling::limits(&loaded.options)),
            memory_is_wanted: memory::is_wanted(&loaded.options),
            veterans,
            binary: crate::successor::started_from(),
            upgrade: None,
            surroundings: Surroundings::new(background, is_successor),
            lord,
            logs,
            ending: None,
        };
        master.surroundings.begin(options, &daemons);
        // Of those who ended while nobody listened.
        master.reap();
        if refused {
            master.reload_failed("the old configuration goes on");
        } else if let Err(error) = master.raise(loaded, Arc::clone(&master.listeners)) {
            if !master.veterans.are_serving() {
                return Err(error);
            }
            master.reload_failed(&format!("{error}; the old code goes on"));
        }
        let code = master.live().await;
        master.surroundings.chores.finish();
        Ok(code)
    })
}

pub(super) fn reload_mercy(options: &Options) -> Duration {
    Duration::from_secs(options.control.reload_mercy.into())
}
