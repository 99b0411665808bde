//! `master-fifo`: named pipes on which an operator writes commands of one letter.
//!
//! Of several pipes one is read at a time, as in uWSGI; a digit chooses another. So two instances can have the same
//! list: the one that opens a pipe makes it anew, and with that takes it over.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};
use tokio::net::unix::pipe;

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

/// Makes the pipe of the first slot and reads it. `keep`: a pipe that is there is our own, and somebody may be waiting
/// to write.
///
/// # Errors
/// One sentence: the pipe cannot be made.
pub(super) fn open(
    paths: &[PathBuf],
    keep: bool,
    wish: impl Fn(Wish) + Send + Sync + 'static,
) -> Result<Option<tokio::task::JoinHandle<()>>, String> {
    let Some(first) = paths.first() else {
        return Ok(None);
    };
    let is_pipe = || fs::symlink_metadata(first).is_ok_and(|found| found.file_type().is_fifo());
    let pipe = match keep && is_pipe() {
        true => read(first)?,
        false => make(first)?,
    };
    let fifo = Fifo {
        paths: paths.to_vec(),
        wish,
    };
    Ok(Some(tokio::spawn(fifo.serve(pipe))))
}

struct Fifo<W> {
    paths: Vec<PathBuf>,
    wish: W,
}

impl<W: Fn(Wish)> Fifo<W> {
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
        let Some(path) = self.paths.get(slot) else {
            tracing::warn!("master-fifo: there is no slot {slot}");
            return None;
        };
        match make(path) {
            Ok(pipe) => {
                tracing::info!("active master fifo is now {}", path.display());
                Some(pipe)
            }
            Err(problem) => {
                tracing::error!("{problem}");
                None
            }
        }
    }
}

/// What `echo r > FILE` leaves when there is no pipe yet. Anything larger is somebody's data.
const STRAY_COMMAND: u64 = 64;

/// Makes the pipe anew, for its owner only: whoever can write there can stop the instance.
fn make(path: &Path) -> Result<pipe::Receiver, String> {
    let problem = |what: &str| format!("master-fifo {}: {what}", path.display());
    match fs::symlink_metadata(path) {
        Err(_) => {}
        Ok(found) => {
            let stray = found.is_file() && found.len() <= STRAY_COMMAND;
            if !found.file_type().is_fifo() && !stray {
                return Err(problem("there is something else than a named pipe"));
            }
            fs::remove_file(path).map_err(|error| problem(&error.to_string()))?;
        }
    }
    let made = rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
    made.map_err(|error| problem(&error.to_string()))?;
    read(path)
}

fn read(path: &Path) -> Result<pipe::Receiver, String> {
    pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(path)
        .map_err(|error| format!("master-fifo {}: {error}", path.display()))
}
