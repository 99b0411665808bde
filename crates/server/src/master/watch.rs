//! `fs-reload`: files and directories that the kernel watches for the master.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};
use uwgate_config::{Located, Options};

use super::wish::Wish;

/// What counts as a change, of the file or of what lies directly in the directory.
const CHANGES: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO);

/// A change is often many (a checkout, a copy): the wish waits until nothing has changed for so long.
const QUIET: Duration = Duration::from_millis(200);

/// How long to wait for something that is not there (yet, or for the moment).
const ABSENT: Duration = Duration::from_secs(1);

/// What the options name, and what its change means.
pub(super) fn watched(options: &Options) -> Vec<(PathBuf, Wish)> {
    let control = &options.control;
    let wishes = [
        (&control.fs_reload, Wish::Reload),
        (&control.fs_brutal_reload, Wish::BrutalReload),
    ];
    let named = wishes.into_iter().flat_map(|(paths, wish)| {
        let in_chdir = |path: &Located<PathBuf>| (options.in_chdir(path), wish);
        paths.iter().map(in_chdir).collect::<Vec<_>>()
    });
    named.collect()
}

/// Wishes whenever something changes at `path`, for ever.
pub(super) fn watch(
    path: PathBuf,
    wish: Wish,
    grant: impl Fn(Wish) + Send + Sync + 'static,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut was_there = true;
        loop {
            match changes(&path) {
                Ok(changes) => {
                    if !was_there {
                        tell(&path, wish, &grant);
                    }
                    was_there = true;
                    follow(&changes, || tell(&path, wish, &grant)).await;
                }
                Err(error) if was_there => {
                    tracing::warn!("{}: {error}; waiting for it", path.display());
                    was_there = false;
                }
                Err(_) => sleep(ABSENT).await,
            }
        }
    })
}

fn tell(path: &Path, wish: Wish, grant: impl Fn(Wish)) {
    tracing::info!("*** {} has changed ***", path.display());
    grant(wish);
}

fn changes(path: &Path) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&fd, path, CHANGES)?;
    uwgate_sys::readiness::readable(Arc::new(fd))
}

/// Calls `changed` for every burst of changes until what is watched is gone: another file may have its name then.
async fn follow(changes: &AsyncFd<Arc<OwnedFd>>, changed: impl Fn()) {
    loop {
        let Ok(mut gone) = next(changes).await else {
            return;
        };
        while let Ok(more) = timeout(QUIET, next(changes)).await {
            match more {
                Ok(more) => gone |= more,
                Err(_) => return,
            }
        }
        changed();
        if gone {
            return;
        }
    }
}

/// Waits for changes; whether one of them is the end of what is watched.
async fn next(changes: &AsyncFd<Arc<OwnedFd>>) -> io::Result<bool> {
    loop {
        let mut ready = changes.readable().await?;
        match drain(changes.get_ref()) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(error) => return Err(error.into()),
            Ok(gone) => return Ok(gone),
        }
    }
}

fn drain(fd: &OwnedFd) -> Result<bool, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(fd, &mut buffer);
    let end = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED;
    let mut gone = events.next()?.events().intersects(end);
    while !events.is_buffer_empty() {
        gone |= events.next()?.events().intersects(end);
    }
    Ok(gone)
}
