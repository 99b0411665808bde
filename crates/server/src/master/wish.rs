//! What can be wanted of a running instance, whoever asks: a signal, the FIFO, a touched file, the application.

use super::generation::{Hands, Manner};
use super::{Launcher, Master, QUICK_STOP};

/// A wish of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the sources of some come next")]
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
}

impl<L: Launcher> Master<'_, L> {
    pub(super) fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Reload => self.reload(Manner::Graceful),
            Wish::BrutalReload => self.reload(Manner::Brutal),
            Wish::ReloadWorkers => self.reload_workers(Manner::Graceful),
            Wish::BrutalReloadWorkers => self.reload_workers(Manner::Brutal),
            Wish::ChainReload => self.chain_reload(),
            Wish::Stop => self.stop(None),
            Wish::Kill => self.stop(Some(QUICK_STOP)),
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
        use super::generation::{Change, Standing};

        let serving = self
            .generations
            .iter()
            .find(|it| it.standing() == Standing::Serving);
        if let Some(number) = serving.map(super::Generation::number) {
            self.with(number, |generation, hands| {
                act(generation, hands);
                Change::Nothing
            });
        }
    }
}
