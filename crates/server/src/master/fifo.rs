//! `master-fifo`: named pipes on which an operator writes commands of one letter.
//!
//! Of several pipes one is read at a time, as in uWSGI; a digit chooses another. So two instances can have the same
//! list: the one that opens a pipe makes it anew, and with that takes it over.

use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, FileType, Mode};
use tokio::net::unix::pipe;
use uwgate_config::{Located, Options};

use super::sources::Task;
use super::wish::Wish;

/// What one byte asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Wish(Wish),
    /// Read the pipe of this slot from now on.
    Slot(usize),
    /// Of uWSGI's things that are not here.
    Needless(&'static str),
    /// The end of a line that `echo` wrote.
    Blank,
    Unknown,
}

impl Command {
    fn of(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Self::Slot(usize::from(byte - b'0')),
            b'+' => Self::Wish(Wish::MoreWorkers),
            b'-' => Self::Wish(Wish::FewerWorkers),
            b'B' => Self::Needless("no broodlord to ask for reinforcements"),
            b'c' => Self::Wish(Wish::ChainReload),
            b'C' => Self::Wish(Wish::Cheap),
            b'E' => Self::Needless("no emperor to rescan"),
            b'f' => Self::Needless(
                "the master is not forked again; a reload replaces all that can be replaced",
            ),
            b'l' => Self::Wish(Wish::ReopenLogs),
            b'L' => Self::Wish(Wish::RotateLogs),
            b'p' => Self::Wish(Wish::TogglePause),
            b'P' => Self::Wish(Wish::RewritePidfiles),
            b'q' => Self::Wish(Wish::Stop),
            b'Q' => Self::Wish(Wish::Kill),
            b'r' => Self::Wish(Wish::Reload),
            b'R' => Self::Wish(Wish::BrutalReload),
            b's' => Self::Wish(Wish::LogStats),
            b'S' => Self::Needless("no subscriptions to block"),
            b'w' => Self::Wish(Wish::ReloadWorkers),
            b'W' => Self::Wish(Wish::BrutalReloadWorkers),
            b'\n' | b'\r' | b' ' => Self::Blank,
            _ => Self::Unknown,
        }
    }
}

/// A pipe as the options name it, seen from `chdir`.
pub(super) type Named = Located<PathBuf>;

/// The pipes of an instance.
#[derive(Debug)]
pub(super) struct Fifo {
    names: Arc<Mutex<Names>>,
    reader: Task,
}

/// Shared by the master, to whom a reload brings other names, and the task that reads.
#[derive(Debug)]
struct Names {
    slots: Vec<Named>,
    active: Active,
}

/// The pipe that is read.
#[derive(Debug, Clone)]
struct Active {
    path: PathBuf,
    /// Device and inode: at its path there may be another instance's by now.
    id: (u64, u64),
}

/// Every pipe of the options.
pub(super) fn named(options: &Options) -> Vec<Named> {
    let slots = options.control.master_fifo.iter();
    slots
        .map(|it| Located::new(options.in_chdir(it), it.origin.clone()))
        .collect()
}

/// Finds out, before anything is started, whether something else is in the place of a pipe.
///
/// # Errors
/// One sentence for each.
pub(super) fn check(options: &Options) -> Result<(), Vec<String>> {
    let slots = named(options);
    let problems: Vec<_> = slots.iter().filter_map(|it| vacant(it).err()).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems),
    }
}

impl Fifo {
    /// Makes the pipe of the first slot and reads it; `former`: a pipe that our former self has read, and to which
    /// somebody may be waiting to write. It is read on if it is one of the slots, and removed if not.
    ///
    /// # Errors
    /// One sentence: the pipe cannot be made.
    pub(super) fn open(
        slots: Vec<Named>,
        former: Option<&Path>,
        wish: impl Fn(Wish) + Send + Sync + 'static,
    ) -> Result<Option<Self>, String> {
        let kept = former.and_then(|path| slots.iter().find(|it| it.value == path));
        let opened = match (kept, slots.first()) {
            (Some(kept), _) if is_pipe(&kept.value) => read(kept)?,
            (_, Some(first)) => make(first)?,
            (_, None) => {
                remove_former(former);
                return Ok(None);
            }
        };
        if kept.is_none() {
            remove_former(former);
        }
        let (pipe, active) = opened;
        let names = Arc::new(Mutex::new(Names { slots, active }));
        let reader = Reader {
            names: Arc::clone(&names),
            wish,
        };
        let reader = Task(tokio::spawn(reader.serve(pipe)));
        Ok(Some(Self { names, reader }))
    }

    /// The path of the pipe that is read.
    pub(super) fn active(&self) -> PathBuf {
        lock(&self.names).active.path.clone()
    }

    /// Takes over other names if the pipe that is read is one of them: a command that is on its way is not lost.
    pub(super) fn takes(&self, slots: &[Named]) -> bool {
        let mut names = lock(&self.names);
        let stays = slots.iter().any(|it| it.value == names.active.path);
        if stays {
            names.slots = slots.to_vec();
        }
        stays
    }

    /// Reads no more, and leaves no pipe behind on which nobody listens.
    pub(super) fn remove(self) {
        self.reader.0.abort();
        let active = &lock(&self.names).active;
        match id(&active.path) {
            Some(id) if id == active.id => remove_former(Some(&active.path)),
            _ => {}
        }
    }
}

fn lock(names: &Mutex<Names>) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_former(path: Option<&Path>) {
    if let Some(path) = path.filter(|path| is_pipe(path))
        && let Err(error) = fs::remove_file(path)
    {
        tracing::warn!(
            "master-fifo {} is not read any more, and cannot be removed: {error}",
            path.display()
        );
    }
}

struct Reader<W> {
    names: Arc<Mutex<Names>>,
    wish: W,
}

impl<W: Fn(Wish)> Reader<W> {
    async fn serve(self, mut pipe: pipe::Receiver) {
        loop {
            let mut bytes = [0; 64];
            if let Err(error) = pipe.readable().await {
                return tracing::error!("master-fifo cannot be read any more: {error}");
            }
            // Opened for writing as well, so it has no end.
            let read = match pipe.try_read(&mut bytes) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => {
                    return tracing::error!("master-fifo cannot be read any more: {error}");
                }
            };
            for byte in bytes.iter().take(read) {
                if let Some(other) = self.obey(*byte) {
                    pipe = other;
                }
            }
        }
    }

    /// Does what the byte asks for; another pipe may be what is to be read then.
    fn obey(&self, byte: u8) -> Option<pipe::Receiver> {
        let shown = char::from(byte).escape_default();
        match Command::of(byte) {
            Command::Wish(wish) => (self.wish)(wish),
            Command::Slot(slot) => return self.switch_to(slot),
            Command::Needless(why) => tracing::info!("master-fifo: '{shown}' has no effect: {why}"),
            Command::Blank => {}
            Command::Unknown => tracing::warn!("master-fifo: unknown command '{shown}' ignored"),
        }
        None
    }

    fn switch_to(&self, slot: usize) -> Option<pipe::Receiver> {
        let mut names = lock(&self.names);
        let Some(named) = names.slots.get(slot) else {
            tracing::warn!("master-fifo: there is no slot {slot}");
            return None;
        };
        match make(named) {
            Ok((pipe, active)) => {
                tracing::info!("active master fifo is now {}", active.path.display());
                names.active = active;
                Some(pipe)
            }
            Err(problem) => {
                tracing::error!("{problem}");
                None
            }
        }
    }
}

fn is_pipe(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether a pipe can be made: there is nothing, or another pipe.
fn vacant(named: &Named) -> Result<(), String> {
    let there = fs::symlink_metadata(&named.value);
    match there.is_ok_and(|found| !found.file_type().is_fifo()) {
        true => Err(problem(
            named,
            &"there is something else than a named pipe, which is left alone; remove it, or choose another name",
        )),
        false => Ok(()),
    }
}

/// Makes the pipe anew, for its owner only: whoever can write there can stop the instance.
fn make(named: &Named) -> Result<(pipe::Receiver, Active), String> {
    vacant(named)?;
    let path = &named.value;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(problem(named, &error));
        }
        _ => {}
    }
    let made = rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
    made.map_err(|error| problem(named, &error))?;
    read(named)
}

fn read(named: &Named) -> Result<(pipe::Receiver, Active), String> {
    let path = named.value.clone();
    let pipe = pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(&path)
        .map_err(|error| problem(named, &error))?;
    let id = id(&path).ok_or_else(|| problem(named, &"it was taken away"))?;
    Ok((pipe, Active { path, id }))
}

fn problem(named: &Named, what: &dyn Display) -> String {
    let Located { value, origin } = named;
    format!("{origin}: master-fifo {}: {what}", value.display())
}
