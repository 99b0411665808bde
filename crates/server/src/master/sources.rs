//! What brings the master wishes besides signals: the FIFO, touched files, watched paths. Each is a task of its own,
//! made anew when a reload brings another configuration.

use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;
use uwgate_config::Options;

use super::fifo::{Fifo, Named};
use super::happenings::{Happening, Happenings};
use super::wish::Wish;
use super::{fifo, touch, watch};

/// The sources of one configuration.
#[derive(Debug, Default)]
pub(super) struct Sources {
    fifo: Option<Fifo>,
    /// What is watched, with its meaning. It stays so too: no touch is lost to a reload.
    watched: Vec<(PathBuf, Wish)>,
    watchers: Vec<Task>,
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(super) struct Task(pub(super) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sources {
    /// `former_fifo`: the pipe that our former self has read.
    ///
    /// # Errors
    /// One sentence: the FIFO cannot be made.
    pub(super) fn open(
        options: &Options,
        former_fifo: Option<&Path>,
        happenings: &Happenings,
    ) -> Result<Self, String> {
        Ok(Self {
            fifo: Fifo::open(fifo::named(options), former_fifo, granter(happenings))?,
            watched: watched(options),
            watchers: watchers(options, happenings),
        })
    }

    /// The pipe that is read.
    pub(super) fn active_fifo(&self) -> Option<PathBuf> {
        self.fifo.as_ref().map(Fifo::active)
    }

    /// Takes over another configuration; what is wrong with it is logged.
    pub(super) fn renew(&mut self, options: &Options, happenings: &Happenings) {
        self.renew_fifo(fifo::named(options), happenings);
        let watched = watched(options);
        if watched != self.watched {
            self.watchers = watchers(options, happenings);
            self.watched = watched;
        }
    }

    fn renew_fifo(&mut self, slots: Vec<Named>, happenings: &Happenings) {
        if self.fifo.as_ref().is_some_and(|fifo| fifo.takes(&slots)) {
            return;
        }
        match Fifo::open(slots, None, granter(happenings)) {
            Ok(fifo) => {
                if let Some(old) = std::mem::replace(&mut self.fifo, fifo) {
                    old.remove();
                }
            }
            Err(problem) => tracing::error!("{problem}; the FIFO stays as it was"),
        }
    }
}

fn watched(options: &Options) -> Vec<(PathBuf, Wish)> {
    let mut all = touch::watched(options);
    all.extend(watch::watched(options));
    all
}

fn watchers(options: &Options, happenings: &Happenings) -> Vec<Task> {
    let touches = touch::watch(touch::watched(options), granter(happenings));
    let changes = watch::watched(options)
        .into_iter()
        .map(|(path, wish)| watch::watch(path, wish, granter(happenings)));
    touches.into_iter().chain(changes).map(Task).collect()
}

fn granter(happenings: &Happenings) -> impl Fn(Wish) + Send + Sync + 'static {
    let sender = happenings.sender();
    // The master is gone when nobody receives.
    move |wish| drop(sender.send(Happening::Wish(wish)))
}
