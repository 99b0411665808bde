//! What the kernel tells of changes in directories (inotify).

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout, timeout_at};

/// What can make a file another one. A file that is merely read tells nothing.
const CHANGES: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Directories under watch.
pub(crate) struct Watch {
    /// `None`: the kernel has no more of them for us.
    queue: Option<AsyncFd<Arc<OwnedFd>>>,
    watched: BTreeMap<PathBuf, i32>,
    /// Some directory could not be watched.
    incomplete: bool,
    complained: bool,
}

impl Watch {
    /// Must be called in a runtime.
    pub(crate) fn new(directories: BTreeSet<PathBuf>) -> Self {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .and_then(|fd| uwgate_sys::readiness::readable(Arc::new(fd)));
        if let Err(error) = &queue {
            tracing::warn!("[emperor] cannot watch directories ({error}): looking at them instead");
        }
        let mut watch = Self {
            queue: queue.ok(),
            watched: BTreeMap::new(),
            incomplete: false,
            complained: false,
        };
        watch.cover(directories);
        watch
    }

    /// Watches exactly these from now on.
    pub(crate) fn cover(&mut self, directories: BTreeSet<PathBuf>) {
        let Some(queue) = &self.queue else { return };
        let queue = queue.get_ref();
        self.watched.retain(|directory, number| {
            let keep = directories.contains(directory);
            if !keep {
                // It is gone already when the directory is.
                let _ = inotify::remove_watch(queue, *number);
            }
            keep
        });
        self.incomplete = false;
        for directory in directories {
            if self.watched.contains_key(&directory) {
                continue;
            }
            match inotify::add_watch(queue, &directory, CHANGES) {
                Ok(number) => drop(self.watched.insert(directory, number)),
                Err(_) => self.incomplete = true,
            }
        }
        self.complained = false;
    }

    /// Whether every change is told.
    pub(crate) fn is_complete(&self) -> bool {
        self.queue.is_some() && !self.incomplete && !self.watched.is_empty()
    }

    /// What is watched cannot be read (any more).
    pub(crate) fn lost(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            let shown = self.watched.keys().next();
            let shown = shown.map_or(Path::new("vassals"), |it| it);
            tracing::error!(
                "[emperor] cannot look for vassals in {}: {error}; those there are go on",
                shown.display()
            );
        }
        // Another directory may have the name when it is back.
        self.forget_all();
    }

    fn forget_all(&mut self) {
        if let Some(queue) = &self.queue {
            for number in std::mem::take(&mut self.watched).into_values() {
                let _ = inotify::remove_watch(queue.get_ref(), number);
            }
        }
        self.incomplete = true;
    }

    /// Waits until something has changed.
    pub(crate) async fn changed(&mut self) {
        let Some(queue) = &self.queue else {
            return pending().await;
        };
        loop {
            let Ok(mut ready) = queue.readable().await else {
                return pending().await;
            };
            match drain(queue.get_ref()) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                // An end of a watch: the directory is another one, or none.
                Ok(true) => return self.forget_all(),
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// Waits until nothing has changed for a while, but not for ever.
    pub(crate) async fn rest(&mut self, quiet: Duration, at_most: Duration) {
        let end = Instant::now() + at_most;
        let settled = async { while timeout(quiet, self.changed()).await.is_ok() {} };
        let _ = timeout_at(end, settled).await;
    }
}

/// Reads all there is; whether a watched directory is gone.
fn drain(fd: &OwnedFd) -> Result<bool, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(fd, &mut buffer);
    let end = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT;
    let mut gone = events.next()?.events().intersects(end);
    while !events.is_buffer_empty() {
        gone |= events.next()?.events().intersects(end);
    }
    Ok(gone)
}
