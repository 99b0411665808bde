//! What brings the master wishes besides signals: the FIFO, touched files, watched paths. Each is a task of its own,
//! made anew when a reload brings another configuration.

use std::path::PathBuf;

use tokio::task::JoinHandle;
use uwgate_config::Options;

use super::happenings::{Happening, Happenings};
use super::wish::Wish;
use super::{fifo, touch, watch};

/// The sources of one configuration.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The pipes, which stay as they are while their names do: an operator may be writing.
    fifo_paths: Vec<PathBuf>,
    fifo: Option<Task>,
    /// What is watched, with its meaning. It stays so too: no touch is lost to a reload.
    watched: Vec<(PathBuf, Wish)>,
    watchers: Vec<Task>,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sources {
    /// `keep`: the pipes that are there are our own.
    ///
    /// # Errors
    /// One sentence: the FIFO cannot be made.
    pub(super) fn open(
        options: &Options,
        keep: bool,
        happenings: &Happenings,
    ) -> Result<Self, String> {
        let fifo_paths = fifo_paths(options);
        Ok(Self {
            fifo: open_fifo(&fifo_paths, keep, happenings)?,
            fifo_paths,
            watched: watched(options),
            watchers: watchers(options, happenings),
        })
    }

    /// Takes over another configuration; what is wrong with it is logged.
    pub(super) fn renew(&mut self, options: &Options, happenings: &Happenings) {
        let fifo_paths = fifo_paths(options);
        if fifo_paths != self.fifo_paths {
            match open_fifo(&fifo_paths, false, happenings) {
                Ok(fifo) => {
                    self.fifo = fifo;
                    self.fifo_paths = fifo_paths;
                }
                Err(problem) => tracing::error!("{problem}; the FIFO stays as it was"),
            }
        }
        let watched = watched(options);
        if watched != self.watched {
            self.watchers = watchers(options, happenings);
            self.watched = watched;
        }
    }
}

fn fifo_paths(options: &Options) -> Vec<PathBuf> {
    let paths = options.control.master_fifo.iter();
    paths.map(|path| options.in_chdir(path)).collect()
}

fn open_fifo(
    paths: &[PathBuf],
    keep: bool,
    happenings: &Happenings,
) -> Result<Option<Task>, String> {
    Ok(fifo::open(paths, keep, granter(happenings))?.map(Task))
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
