//! A log file: opened with the owner and mode that the options say, reopened, rotated.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Uid};

/// What all log files of an instance have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manners {
    /// `logfile-chown`: user and group, applied while we may.
    pub(crate) owner: Option<(u32, u32)>,
    /// `logfile-chmod`
    pub(crate) mode: Option<u32>,
}

/// One file by name.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    path: PathBuf,
    manners: Manners,
    /// Rotated at so many bytes; 0 is never.
    maxsize: u64,
    backup: Option<PathBuf>,
}

/// As uWSGI's: others may not read what is logged.
const DEFAULT_MODE: u32 = 0o640;

impl LogFile {
    /// Relative names start from the directory of now.
    pub(crate) fn new(path: &Path, maxsize: u64, backup: Option<&Path>, manners: Manners) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            path: absolute(path),
            manners,
            maxsize,
            backup: backup.map(absolute),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for appending, and makes it if need be.
    pub(crate) fn open(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(DEFAULT_MODE)
            .open(&self.path)?;
        if let Some(mode) = self.manners.mode {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        if let Some((user, group)) = self.manners.owner {
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            match rustix::fs::fchown(&file, Some(user), Some(group)) {
                // Made by us after privileges were dropped, it is ours already.
                Ok(()) | Err(rustix::io::Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(file)
    }

    /// Empties it.
    pub(crate) fn truncate(&self) -> io::Result<()> {
        match OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&self.path)
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Whether it has reached its size.
    pub(crate) fn is_full(&self) -> bool {
        self.maxsize > 0 && self.size() >= self.maxsize
    }

    /// Whether it is watched for its size.
    pub(crate) fn has_maxsize(&self) -> bool {
        self.maxsize > 0
    }

    /// Bytes of the file that has the name now.
    pub(crate) fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |data| data.size())
    }

    /// Gives it the name of an older one; whoever has it open goes on writing to it.
    pub(crate) fn move_away(&self, unix_seconds: u64) -> io::Result<PathBuf> {
        let backup = self.backup.clone();
        let backup = backup.unwrap_or_else(|| self.free_name(unix_seconds));
        std::fs::rename(&self.path, &backup)?;
        Ok(backup)
    }

    /// The seconds behind the name, as in uWSGI. Two rotations may fall into one of them.
    fn free_name(&self, unix_seconds: u64) -> PathBuf {
        let with = |end: String| {
            let mut name = self.path.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        let mut names = std::iter::once(with(format!(".{unix_seconds}")))
            .chain((1..1000).map(|again| with(format!(".{unix_seconds}.{again}"))));
        let free = names.find(|name| !name.exists());
        free.unwrap_or_else(|| with(format!(".{unix_seconds}.last")))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn rotated_files_do_not_overwrite_each_other() {
        let dir = std::env::temp_dir().join(format!("uwgate-log-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let manners = Manners {
            mode: Some(0o600),
            ..Manners::default()
        };
        let log = LogFile::new(&dir.join("a"), 2, None, manners);
        for text in ["one", "two", "three"] {
            log.open().unwrap().write_all(text.as_bytes()).unwrap();
            assert!(log.is_full());
            log.move_away(7).unwrap();
            assert!(!log.is_full());
        }
        for (name, text) in [("a.7", "one"), ("a.7.1", "two"), ("a.7.2", "three")] {
            assert_eq!(std::fs::read_to_string(dir.join(name)).unwrap(), text);
            let mode = std::fs::metadata(dir.join(name)).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
