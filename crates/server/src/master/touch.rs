//! `touch-reload` and its family: files whose change is a wish. The master looks at them once a second, which also
//! works where no event would tell (network and overlay file systems), and costs nothing worth measuring.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use uwgate_config::{Located, Options};

use super::wish::Wish;

/// A file and what its change means.
#[derive(Debug)]
struct Touch {
    path: PathBuf,
    wish: Wish,
    seen: Option<Stamp>,
}

/// When the file was written last, and which file it is: one that was moved here is a change too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    inode: u64,
}

impl Touch {
    fn new((path, wish): (PathBuf, Wish)) -> Self {
        let mut touch = Self {
            path,
            wish,
            seen: None,
        };
        touch.seen = touch.stamp();
        if touch.seen.is_none() {
            tracing::info!(
                "unable to stat() {}, events will be triggered as soon as the file is created",
                touch.path.display()
            );
        }
        touch
    }

    fn stamp(&self) -> Option<Stamp> {
        let found = fs::metadata(&self.path).ok()?;
        Some(Stamp {
            modified: (found.mtime(), found.mtime_nsec()),
            inode: found.ino(),
        })
    }

    /// Whether `now` is a change for which something is to be done. That a file goes is none: it may come back.
    fn is_touched(&mut self, now: Option<Stamp>) -> bool {
        let before = std::mem::replace(&mut self.seen, now);
        now.is_some() && now != before
    }
}

/// What the options name, and what its touch means.
pub(super) fn watched(options: &Options) -> Vec<(PathBuf, Wish)> {
    let control = &options.control;
    let wishes = [
        (&control.touch_reload, Wish::Reload),
        (&control.touch_workers_reload, Wish::ReloadWorkers),
        (&control.touch_chain_reload, Wish::ChainReload),
        (&control.touch_logreopen, Wish::ReopenLogs),
        (&control.touch_logrotate, Wish::RotateLogs),
    ];
    let named = wishes.into_iter().flat_map(|(paths, wish)| {
        let in_chdir = |path: &Located<PathBuf>| (options.in_chdir(path), wish);
        paths.iter().map(in_chdir).collect::<Vec<_>>()
    });
    let hooks = options.hooks.touch.iter().enumerate();
    let hooks = hooks.map(|(number, (file, _))| (options.in_chdir(file), Wish::TouchHook(number)));
    named.chain(hooks).collect()
}

/// Looks at the files for ever; `None` when there are none.
pub(super) fn watch(
    files: Vec<(PathBuf, Wish)>,
    grant: impl Fn(Wish) + Send + Sync + 'static,
) -> Option<tokio::task::JoinHandle<()>> {
    let touches: Vec<Touch> = files.into_iter().map(Touch::new).collect();
    (!touches.is_empty()).then(|| tokio::spawn(look_every_second(touches, grant)))
}

async fn look_every_second(mut touches: Vec<Touch>, grant: impl Fn(Wish)) {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        for touch in &mut touches {
            let now = touch.stamp();
            if touch.is_touched(now) {
                let (path, cry) = (touch.path.display(), cry(touch.wish));
                tracing::info!("*** {path} has been touched... {cry} ***");
                grant(touch.wish);
            }
        }
    }
}

/// uWSGI's words.
fn cry(wish: Wish) -> &'static str {
    match wish {
        Wish::ReloadWorkers => "workers reload !!!",
        Wish::ChainReload => "chain reload !!!",
        Wish::ReopenLogs => "reopening log",
        Wish::RotateLogs => "rotating log",
        Wish::TouchHook(_) => "running its hook",
        _ => "grace them all !!!",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(seconds: i64, inode: u64) -> Option<Stamp> {
        Some(Stamp {
            modified: (seconds, 0),
            inode,
        })
    }

    #[test]
    fn what_is_a_touch() {
        let mut touch = Touch {
            path: PathBuf::new(),
            wish: Wish::Reload,
            seen: None,
        };
        for (now, touched, why) in [
            (None, false, "still missing"),
            (stamp(5, 1), true, "created"),
            (stamp(5, 1), false, "the same"),
            (stamp(6, 1), true, "touched"),
            (stamp(4, 1), true, "an older version was put there"),
            (stamp(4, 2), true, "replaced"),
            (None, false, "removed"),
            (stamp(4, 2), true, "back again"),
        ] {
            assert_eq!(touch.is_touched(now), touched, "{why}");
        }
    }
}
