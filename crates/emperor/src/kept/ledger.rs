//! The notes of an emperor for the next one: which process runs which vassal.
//!
//! A file of lines of JSON, one for each piece of news, that is written anew when it holds more old than new. A line is
//! written before the vassal is told that it may go on alone, so there is never one that the notes do not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{Gid, Uid, geteuid};
use serde::{Deserialize, Serialize};
use uwgate_sys::process::{self, Identified, Pid};

use crate::heritage::Heir;

/// A vassal that goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    /// When its process was started, which with the pid tells it from all others of this boot.
    started: u64,
    pub(crate) heir: Heir,
}

impl Entry {
    pub(crate) fn process(&self) -> Option<Identified> {
        Some(Identified {
            pid: Pid::from_raw(self.heir.pid)?,
            started: self.started,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Note {
    /// All that follows is of this boot.
    Boot(String),
    Keep(Box<Entry>),
    Gone(i32),
    /// Those that the operator has stopped, all of them.
    Held(BTreeSet<String>),
}

/// The notes.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    /// Held for as long as this emperor lives.
    _lock: File,
    boot: String,
    entries: BTreeMap<i32, Entry>,
    held: BTreeSet<String>,
    lines: usize,
}

/// So many lines beyond those that are needed are left until the file is written anew.
const SLACK: usize = 256;

/// How long another emperor may take to go.
const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);

impl Ledger {
    /// Opens the notes in this directory, for as long as no other emperor has them. `owner`: who this process is about
    /// to become.
    ///
    /// # Errors
    /// One sentence.
    pub(crate) fn open(directory: &Path, owner: Option<(u32, u32)>) -> Result<Self, String> {
        let lock = enter(directory, owner).map_err(|error| error.to_string())?;
        if !is_ours(&lock, owner).map_err(|error| error.to_string())? {
            return Err("somebody else can write there: it has to be the emperor's alone".into());
        }
        if !take(&lock) {
            return Err("another emperor keeps its vassals there".into());
        }
        let path = directory.join("vassals");
        let boot = process::boot().map_err(|error| error.to_string())?;
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => text.map_err(|error| error.to_string())?,
        };
        let (entries, held) = read(&text, &boot);
        let file = written(&path, &boot, &entries, &held).map_err(|error| error.to_string())?;
        give(&file, owner).map_err(|error| error.to_string())?;
        Ok(Self {
            path,
            file,
            _lock: lock,
            boot,
            lines: entries.len(),
            entries,
            held,
        })
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(crate) fn held(&self) -> &BTreeSet<String> {
        &self.held
    }

    /// # Errors
    /// When it cannot be written, or the process has gone.
    pub(crate) fn keep(&mut self, heir: Heir) -> io::Result<()> {
        let pid = Pid::from_raw(heir.pid).ok_or(io::ErrorKind::InvalidInput)?;
        let Identified { started, .. } = Identified::of(pid)?;
        let entry = Entry { started, heir };
        self.note(&Note::Keep(Box::new(entry.clone())))?;
        self.entries.insert(pid.as_raw(), entry);
        Ok(())
    }

    /// A process has ended.
    pub(crate) fn forget(&mut self, pid: Pid) {
        if self.entries.remove(&pid.as_raw()).is_some() {
            // The next emperor would see it too.
            let _ = self.note(&Note::Gone(pid.as_raw()));
        }
    }

    /// The operator has stopped these, and no others.
    pub(crate) fn hold(&mut self, held: BTreeSet<String>) {
        if held != self.held {
            if let Err(error) = self.note(&Note::Held(held.clone())) {
                tracing::warn!("{}: {error}", self.path.display());
            }
            self.held = held;
        }
    }

    fn note(&mut self, note: &Note) -> io::Result<()> {
        if self.lines > self.entries.len() + SLACK {
            self.file = written(&self.path, &self.boot, &self.entries, &self.held)?;
            self.lines = self.entries.len();
        }
        self.lines += 1;
        self.file.write_all(&line(note)?)
    }
}

/// The directory, made if need be.
fn enter(directory: &Path, owner: Option<(u32, u32)>) -> io::Result<File> {
    // Vassals of other users call there, and have no business with the rest.
    match fs::DirBuilder::new().mode(0o711).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(directory),
        made => {
            made?;
            let directory = File::open(directory)?;
            rustix::fs::fchmod(&directory, rustix::fs::Mode::from_raw_mode(0o711))?;
            give(&directory, owner)?;
            Ok(directory)
        }
    }
}

fn give(file: &File, owner: Option<(u32, u32)>) -> io::Result<()> {
    let Some((uid, gid)) = owner.filter(|_| geteuid().is_root()) else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::fchown(file.as_fd(), Some(uid), Some(gid))?)
}

/// Whoever could write there could have this emperor signal any process.
fn is_ours(directory: &File, owner: Option<(u32, u32)>) -> io::Result<bool> {
    let found = directory.metadata()?;
    let me = geteuid().as_raw();
    let is_known = found.uid() == me || owner.is_some_and(|(uid, _)| found.uid() == uid);
    Ok(found.is_dir() && is_known && found.mode() & 0o022 == 0)
}

/// Whether we have it now: an emperor that is just ending is waited for.
fn take(lock: &File) -> bool {
    let mut waited = Duration::ZERO;
    loop {
        if rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return true;
        }
        if waited >= PATIENCE {
            return false;
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
}

fn line(note: &Note) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(note).map_err(io::Error::other)?;
    text.push(b'\n');
    Ok(text)
}

/// What lines say, of this boot. One that another version wrote, or nobody has finished, says nothing.
fn read(text: &[u8], boot: &str) -> (BTreeMap<i32, Entry>, BTreeSet<String>) {
    let (mut entries, mut held) = (BTreeMap::new(), BTreeSet::new());
    let mut is_this_boot = false;
    for line in text.split(|&byte| byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Note::Boot(of)) => is_this_boot = of == boot,
            Ok(Note::Keep(entry)) if is_this_boot => {
                entries.insert(entry.heir.pid, *entry);
            }
            Ok(Note::Gone(pid)) => drop(entries.remove(&pid)),
            Ok(Note::Held(names)) => held = names,
            Ok(Note::Keep(_)) | Err(_) => {}
        }
    }
    (entries, held)
}

/// The file with just these, open for more.
fn written(
    path: &Path,
    boot: &str,
    entries: &BTreeMap<i32, Entry>,
    held: &BTreeSet<String>,
) -> io::Result<File> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let mut text = line(&Note::Boot(boot.to_owned()))?;
    for entry in entries.values() {
        text.extend(line(&Note::Keep(Box::new(entry.clone())))?);
    }
    if !held.is_empty() {
        text.extend(line(&Note::Held(held.clone()))?);
    }
    file.write_all(&text)?;
    fs::rename(&beside, path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("uwgate-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            Self(dir)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn heir(name: &str) -> Heir {
        Heir {
            name: name.into(),
            pid: process::this().as_raw(),
            ..Heir::default()
        }
    }

    fn names(ledger: &Ledger) -> Vec<String> {
        ledger.entries().map(|it| it.heir.name.clone()).collect()
    }

    #[test]
    fn the_next_emperor_reads_what_was_kept() {
        let place = Place::new("ledger");
        let mut ledger = Ledger::open(&place.0, None).unwrap();
        ledger.keep(heir("a.ini")).unwrap();
        ledger.hold(["b.ini".to_owned()].into());
        drop(ledger);
        // Killed in the middle of a line.
        let mut file = OpenOptions::new()
            .append(true)
            .open(place.0.join("vassals"))
            .unwrap();
        file.write_all(b"{\"gone\":").unwrap();
        let ledger = Ledger::open(&place.0, None).unwrap();
        assert_eq!(names(&ledger), ["a.ini"]);
        assert!(ledger.held().contains("b.ini"));
        let process = ledger.entries().next().unwrap().process().unwrap();
        assert!(process.hold().unwrap().is_some());
    }

    #[test]
    fn many_lines_become_few() {
        let place = Place::new("ledger-long");
        let mut ledger = Ledger::open(&place.0, None).unwrap();
        for _ in 0..SLACK {
            ledger.keep(heir("a.ini")).unwrap();
            ledger.forget(process::this());
        }
        ledger.keep(heir("last.ini")).unwrap();
        drop(ledger);
        let text = fs::read_to_string(place.0.join("vassals")).unwrap();
        assert!(
            text.lines().count() < SLACK + 10,
            "{}",
            text.lines().count()
        );
        let ledger = Ledger::open(&place.0, None).unwrap();
        assert_eq!(names(&ledger), ["last.ini"]);
    }

    #[test]
    fn notes_of_another_boot_are_none() {
        let place = Place::new("ledger-boot");
        let mut ledger = Ledger::open(&place.0, None).unwrap();
        ledger.keep(heir("a.ini")).unwrap();
        drop(ledger);
        let path = place.0.join("vassals");
        let text = fs::read_to_string(&path).unwrap();
        let boot = process::boot().unwrap();
        fs::write(&path, text.replace(&boot, "another")).unwrap();
        assert!(names(&Ledger::open(&place.0, None).unwrap()).is_empty());
    }

    #[test]
    fn one_emperor_at_a_time() {
        let place = Place::new("ledger-two");
        let first = Ledger::open(&place.0, None).unwrap();
        assert!(Ledger::open(&place.0, None).is_err());
        drop(first);
        assert!(Ledger::open(&place.0, None).is_ok());
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let place = Place::new("ledger-open");
        fs::create_dir(&place.0).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&place.0, mode).unwrap();
        assert!(Ledger::open(&place.0, None).is_err());
    }
}
