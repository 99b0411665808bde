//! What vassals print where they do not log elsewhere.
//!
//! Each vassal has a file in memory as standard output and error. The emperor copies what is in it to its own log,
//! and keeps the last of it for whoever asks what went wrong. A file, and not a pipe, so that no vassal ever waits for
//! the emperor or dies of its death; what has been copied is given back to the system.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::future::pending;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{FallocateFlags, MemfdFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::sleep;
use uwgate_ctl::protocol::{Line, Reply};

use crate::control::Client;
use crate::race::race;
use crate::spec::Name;

/// So much is kept of what was printed last.
const KEPT: u64 = 16 * 1024;

/// So much more may gather before it is given back.
const SLACK: u64 = 64 * 1024;

/// So much is copied of one vassal before it is another's turn.
const TURN: usize = 256 * 1024;

/// A vassal that prints faster than this can be copied loses what is too much, in the log of the emperor.
const BACKLOG: u64 = 8 * 1024 * 1024;

/// After each round the emperor looks away for so long: a vassal that prints all the time costs it ten rounds a second,
/// and not one for each line.
const PAUSE: Duration = Duration::from_millis(100);

/// What one vassal prints.
#[derive(Debug)]
pub(crate) struct Printed {
    file: File,
    /// Up to where it was copied.
    copied: u64,
    /// Up to where it was given back.
    freed: u64,
}

impl Printed {
    fn new(name: &Name) -> io::Result<Self> {
        let name = format!("uwgate-{name}");
        let fd = rustix::fs::memfd_create(name.as_str(), MemfdFlags::CLOEXEC)?;
        Ok(Self {
            file: fd.into(),
            copied: 0,
            freed: 0,
        })
    }

    /// A descriptor to print to. Opened by name, as the kernel tells nothing of writes to the nameless original.
    pub(crate) fn writer(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = OpenOptions::new()
            .append(true)
            .custom_flags(libc_cloexec())
            .open(path)?;
        Ok(file.into())
    }

    /// What came since the last time, whole lines unless `all`; whether there is more.
    fn copy(&mut self, all: bool) -> io::Result<(Vec<u8>, bool)> {
        let size = self.file.metadata()?.len();
        // It opened its own output anew and emptied it.
        self.copied = self.copied.min(size);
        let mut text = Vec::new();
        if size - self.copied > BACKLOG {
            let lost = size - self.copied - KEPT;
            self.copied += lost;
            text.extend_from_slice(format!("[emperor] {lost} bytes left out\n").as_bytes());
        }
        let before = text.len();
        let length = usize::try_from(size - self.copied)
            .unwrap_or(TURN)
            .min(TURN);
        text.resize(before + length, 0);
        let mut read = 0;
        while let Some(rest) = text.get_mut(before + read..).filter(|it| !it.is_empty()) {
            match self.file.read_at(rest, self.copied + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        text.truncate(before + read);
        let whole = text
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let full = read == TURN;
        if !all && !full {
            text.truncate(whole.max(before));
        }
        self.copied += (text.len() - before) as u64;
        self.give_back();
        Ok((text, full))
    }

    fn give_back(&mut self) {
        let end = self.copied.saturating_sub(KEPT);
        if end.saturating_sub(self.freed) >= SLACK {
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = rustix::fs::fallocate(&self.file, how, self.freed, end - self.freed);
            self.freed = end;
        }
    }

    /// The last lines, oldest first.
    fn last(&self, lines: usize) -> Vec<String> {
        let size = self.file.metadata().map_or(0, |it| it.len());
        let start = size.saturating_sub(KEPT);
        let mut text = vec![0; usize::try_from(size - start).unwrap_or(0)];
        let read = self.file.read_at(&mut text, start).unwrap_or(0);
        text.truncate(read);
        let text = String::from_utf8_lossy(&text);
        // The first may lack its beginning.
        let skip = usize::from(start > 0);
        let all: Vec<&str> = text.lines().skip(skip).collect();
        let from = all.len().saturating_sub(lines);
        all.get(from..)
            .unwrap_or_default()
            .iter()
            .map(|&it| it.to_owned())
            .collect()
    }
}

fn libc_cloexec() -> i32 {
    rustix::fs::OFlags::CLOEXEC.bits().cast_signed()
}

/// What all vassals print.
#[derive(Clone)]
pub(crate) struct Outputs {
    all: Arc<Mutex<All>>,
    /// One was added or is to be copied to its end.
    news: Arc<Notify>,
}

#[derive(Default)]
struct All {
    printed: HashMap<Name, Printed>,
    /// Watched for their next line.
    watched: HashMap<i32, Name>,
    /// To be copied.
    dirty: BTreeSet<Name>,
    followers: Vec<Follower>,
}

/// Somebody who is told what is copied.
struct Follower {
    /// Of these vassals; `None`: of all.
    only: Option<BTreeSet<Name>>,
    client: Client,
}

impl Follower {
    /// Whether it is still there, and can be told more.
    fn tell(&self, name: &Name, text: &str) -> bool {
        if self.only.as_ref().is_some_and(|only| !only.contains(name)) {
            return !self.client.is_closed();
        }
        let mut lines = text.lines().map(|text| Line {
            vassal: name.to_string(),
            text: text.to_owned(),
        });
        lines.all(|line| self.client.try_send(Reply::Line(line)).is_ok())
    }
}

impl All {
    /// Passes on what `name` has printed.
    fn publish(&mut self, name: &Name, text: &[u8]) {
        if !text.is_empty() && !self.followers.is_empty() {
            let text = String::from_utf8_lossy(text);
            self.followers.retain(|follower| follower.tell(name, &text));
        }
    }
}

impl Outputs {
    /// Copies for ever. Must be called in a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let queue = uwgate_sys::readiness::readable(Arc::new(fd))?;
        let outputs = Self {
            all: Arc::default(),
            news: Arc::default(),
        };
        tokio::spawn(outputs.clone().copy(queue));
        Ok(outputs)
    }

    /// A descriptor for a vassal to print to.
    pub(crate) fn writer(&self, name: &Name) -> io::Result<OwnedFd> {
        let mut all = self.lock();
        if !all.printed.contains_key(name) {
            all.printed.insert(name.clone(), Printed::new(name)?);
        }
        let writer = all.printed.get(name).map(Printed::writer);
        all.dirty.insert(name.clone());
        drop(all);
        self.news.notify_one();
        writer.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
    }

    /// For a successor: the file of what a vassal prints, and up to where it was copied.
    pub(crate) fn hand_over(&self, name: &Name) -> io::Result<Option<(OwnedFd, u64)>> {
        let all = self.lock();
        let Some(printed) = all.printed.get(name) else {
            return Ok(None);
        };
        Ok(Some((printed.file.try_clone()?.into(), printed.copied)))
    }

    /// Goes on with the file of a former self.
    pub(crate) fn adopt(&self, name: &Name, file: OwnedFd, copied: u64) {
        let printed = Printed {
            file: file.into(),
            copied,
            freed: copied.saturating_sub(KEPT),
        };
        let mut all = self.lock();
        all.printed.insert(name.clone(), printed);
        all.dirty.insert(name.clone());
        drop(all);
        self.news.notify_one();
    }

    /// Goes on with what a vassal says it prints to; all from `seen` on is new.
    ///
    /// # Errors
    /// When it is no file in memory.
    pub(crate) fn take_up(&self, name: &Name, file: OwnedFd, seen: u64) -> io::Result<()> {
        // Any other file could make us wait for it.
        rustix::fs::fcntl_get_seals(&file)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        self.adopt(name, file.into(), seen);
        Ok(())
    }

    /// What a vassal has printed last, oldest line first.
    pub(crate) fn last(&self, name: &Name, lines: usize) -> Vec<String> {
        let all = self.lock();
        all.printed
            .get(name)
            .map_or_else(Vec::new, |it| it.last(lines))
    }

    /// Tells a client from now on what these vassals print, or all, until it goes or does not keep up.
    pub(crate) fn follow(&self, only: Option<BTreeSet<Name>>, client: Client) {
        self.lock().followers.push(Follower { only, client });
    }

    /// Copies what is there now: a process of it has ended.
    pub(crate) fn flush(&self, name: &Name) {
        loop {
            let mut all = self.lock();
            let copied = all.printed.get_mut(name).map(|it| it.copy(true));
            let Some(Ok((text, more))) = copied else {
                return;
            };
            all.publish(name, &text);
            drop(all);
            write(&text);
            if !more {
                return;
            }
        }
    }

    /// A vassal is gone for good.
    pub(crate) fn forget(&self, name: &Name) {
        self.flush(name);
        let mut all = self.lock();
        all.printed.remove(name);
        all.dirty.remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn copy(self, queue: AsyncFd<Arc<OwnedFd>>) {
        loop {
            race(self.written(&queue), self.news.notified()).await;
            while self.round(queue.get_ref()) {
                tokio::task::yield_now().await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits until somebody has printed.
    async fn written(&self, queue: &AsyncFd<Arc<OwnedFd>>) {
        loop {
            let Ok(mut ready) = queue.readable().await else {
                return pending().await;
            };
            match self.read(queue.get_ref()) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(_) => return pending().await,
                Ok(()) => return,
            }
        }
    }

    fn read(&self, queue: &OwnedFd) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(queue, &mut buffer);
        let mut all = self.lock();
        loop {
            let number = events.next()?.wd();
            if let Some(name) = all.watched.remove(&number) {
                all.dirty.insert(name);
            }
            if events.is_buffer_empty() {
                return Ok(());
            }
        }
    }

    /// Gives each that has printed its turn; whether there is more.
    fn round(&self, queue: &OwnedFd) -> bool {
        let dirty = std::mem::take(&mut self.lock().dirty);
        for name in dirty {
            let mut all = self.lock();
            let Some(printed) = all.printed.get_mut(&name) else {
                continue;
            };
            // Watched first: what comes after the copy is told of.
            let path = format!("/proc/self/fd/{}", printed.file.as_raw_fd());
            let watch = WatchFlags::MODIFY | WatchFlags::ONESHOT;
            let number = inotify::add_watch(queue, path.as_str(), watch);
            let copied = printed.copy(false);
            let more = matches!(copied, Ok((_, true)));
            if let Ok((text, _)) = &copied {
                all.publish(&name, text);
            }
            match number {
                Ok(number) if !more => drop(all.watched.insert(number, name)),
                Ok(_) => drop(all.dirty.insert(name)),
                Err(_) => {}
            }
            drop(all);
            if let Ok((text, _)) = copied {
                write(&text);
            }
        }
        !self.lock().dirty.is_empty()
    }
}

fn write(text: &[u8]) {
    if !text.is_empty() {
        uwgate_server::log::write_lines(text);
    }
}
