//! What can be wanted of a running instance, whoever asks: a signal, the FIFO, a touched file, the application.

use uwgate_config::options::SignalAction;

use super::generation::{Hands, Manner};
use super::{Launcher, Master};

/// A wish of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// New code and configuration beside the old, which then finishes what it has.
    Reload,
    /// As `Reload`, but once the new code serves the old is killed.
    BrutalReload,
    /// New worker processes of the same code, all at once.
    ReloadWorkers,
    /// As `ReloadWorkers`, but a worker with a successor is killed.
    BrutalReloadWorkers,
    /// New worker processes of the same code, one after the other.
    ChainReload,
    /// Finish what there is, then end.
    Stop,
    /// End within seconds.
    Kill,
    /// Leave new connections waiting, or take them again.
    TogglePause,
    /// One worker more (cheaper).
    MoreWorkers,
    /// One worker less (cheaper).
    FewerWorkers,
    /// No workers until somebody connects (cheap).
    Cheap,
    /// Open the log files by their names again.
    ReopenLogs,
    /// Begin new log files beside the old ones.
    RotateLogs,
    /// Configuration and counters to the log.
    LogStats,
    /// What every worker is doing to the log.
    LogActivity,
    /// Write the pid to all pidfiles again.
    RewritePidfiles,
    /// Do what the touch of a file means, by its place among the options.
    TouchHook(usize),
}

impl From<SignalAction> for Wish {
    fn from(action: SignalAction) -> Self {
        match action {
            SignalAction::Stop => Self::Stop,
            SignalAction::Kill => Self::Kill,
            SignalAction::Reload => Self::Reload,
            SignalAction::BrutalReload => Self::BrutalReload,
            SignalAction::LogStats => Self::LogStats,
        }
    }
}

impl<L: Launcher> Master<'_, L> {
    pub(super) fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Reload if self.exit_on_reload => self.stop(None),
            Wish::BrutalReload if self.exit_on_reload => self.stop(Some(self.reload_mercy)),
            Wish::Reload => self.reload(Manner::Graceful),
            Wish::BrutalReload => self.reload(Manner::Brutal),
            Wish::ReloadWorkers => self.reload_workers(Manner::Graceful),
            Wish::BrutalReloadWorkers => self.reload_workers(Manner::Brutal),
            Wish::ChainReload => self.chain_reload(),
            Wish::Stop => self.stop(None),
            Wish::Kill => self.stop(Some(self.reload_mercy)),
            Wish::TogglePause => self.toggle_pause(),
            Wish::MoreWorkers => self.change_workforce(1),
            Wish::FewerWorkers => self.change_workforce(-1),
            Wish::Cheap => self.go_cheap(),
            Wish::ReopenLogs => self.logs.reopen(),
            Wish::RotateLogs => self.logs.rotate(),
            Wish::LogStats => self.log_stats(),
            Wish::LogActivity => self.log_activity(),
            Wish::RewritePidfiles => self.pidfiles.rewrite(),
            Wish::TouchHook(number) => self.surroundings.chores.touched(number),
        }
    }

    /// The words are uWSGI's.
    fn toggle_pause(&mut self) {
        self.paused = !self.paused;
        match self.paused {
            true => tracing::info!(
                "*** PAUSE (press start to resume, if you do not have a joypad send SIGTSTP) ***"
            ),
            false => tracing::info!("*** resuming workers ***"),
        }
        let paused = self.paused;
        for generation in &mut self.generations {
            generation.pause(paused);
        }
    }

    /// As uWSGI: first the configuration, then the counters.
    fn log_stats(&self) {
        tracing::info!(";uWSGI instance configuration");
        for line in uwgate_config::as_ini(&self.served.entries).lines() {
            tracing::info!("{line}");
        }
        let serving = self.generations.iter().filter(|it| !it.is_leaving());
        serving.for_each(super::Generation::log_stats);
    }

    fn log_activity(&self) {
        let state = if self.paused { "paused" } else { "accepting" };
        tracing::info!("SIGUSR2: the instance is {state}");
        for generation in &self.generations {
            generation.log_activity();
        }
    }

    fn reload_workers(&mut self, manner: Manner) {
        tracing::info!("...reloading workers: each leaves when its successor is ready");
        self.with_serving(|generation, hands| {
            generation.replace_all(manner, &"workers reload", hands);
        });
    }

    fn chain_reload(&mut self) {
        tracing::info!("chain reload starting...");
        self.with_serving(|generation, hands| generation.chain_reload(hands));
    }

    /// Does something with the generation that serves, if there is one.
    pub(super) fn with_serving(
        &mut self,
        act: impl FnOnce(&mut super::Generation, &mut Hands<'_>),
    ) {
        use super::generation::Change;

        if let Some(number) = self.serving().map(super::Generation::number) {
            self.with(number, |generation, hands| {
                act(generation, hands);
                Change::Nothing
            });
        }
    }
}
