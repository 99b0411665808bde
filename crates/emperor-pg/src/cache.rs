//! The last good answer, in a file, for a host that starts while its database is away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::rows::Row;

/// What was answered, and by which table.
#[derive(Debug, Serialize, Deserialize)]
struct Answer<R> {
    /// As in the log.
    place: String,
    rows: R,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    place: String,
    /// What was said of it last.
    said: Option<String>,
}

/// What it holds.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) rows: Vec<Row>,
    /// How long ago the database has said so.
    pub(crate) age: Duration,
}

impl Cache {
    pub(crate) fn new(path: &Path, place: &str) -> Self {
        Self {
            path: path.to_owned(),
            place: place.to_owned(),
            said: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the database has answered now. `changed`: it is other than before.
    pub(crate) fn keep(&mut self, rows: &[Row], changed: bool) {
        let kept = match changed {
            true => self.write(rows),
            false => File::open(&self.path).and_then(|it| it.set_modified(SystemTime::now())),
        };
        // Somebody has removed it.
        let kept = kept.or_else(|_| self.write(rows));
        let trouble = kept.err().map(|error| error.to_string());
        if trouble != self.said {
            if let Some(trouble) = &trouble {
                let (place, path) = (&self.place, self.path.display());
                tracing::error!("[emperor] {place}: cache={path} cannot be written: {trouble}");
            }
            self.said = trouble;
        }
    }

    /// Written beside and moved: there is always a whole one.
    fn write(&self, rows: &[Row]) -> io::Result<()> {
        let answer = Answer {
            place: self.place.clone(),
            rows,
        };
        let text = serde_json::to_vec(&answer).map_err(io::Error::other)?;
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&text)?;
        fs::rename(&beside, &self.path)
    }

    /// What it holds; nothing when there is none.
    ///
    /// # Errors
    /// Why it is not to be trusted, or not to be understood.
    pub(crate) fn read(&self) -> Result<Option<Cached>, String> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path);
        let mut file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| error.to_string())?,
        };
        let found = file.metadata().map_err(|error| error.to_string())?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || found.mode() & 0o022 != 0 {
            return Err("somebody else can write it".into());
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .map_err(|error| error.to_string())?;
        let answer: Answer<Vec<Row>> =
            serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if answer.place != self.place {
            return Err(format!("it is of {}", answer.place));
        }
        let modified = found.modified().map_err(|error| error.to_string())?;
        Ok(Some(Cached {
            rows: answer.rows,
            age: modified.elapsed().unwrap_or_default(),
        }))
    }
}

/// In the two largest units: `3 h 12 min`.
pub(crate) fn words(age: Duration) -> String {
    let seconds = age.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("uwgate-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir(&dir).expect("a new directory");
            Self(dir)
        }

        fn cache(&self, place: &str) -> Cache {
            Cache::new(&self.0.join("rows"), place)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn row() -> Row {
        Row {
            name: "a.ini".into(),
            config: "[uwsgi]\nä=1\n".as_bytes().into(),
            seconds: 5,
            serial: u64::MAX,
            uid: Some("www".into()),
            gid: None,
            socket: None,
            hosts: vec!["web1".into()],
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let place = Place::new("cache");
        let mut cache = place.cache("pg://x/y");
        assert!(cache.read().expect("none is fine").is_none());
        cache.keep(&[row()], true);
        cache.keep(&[row()], false);
        let mode = fs::metadata(cache.path()).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let cached = cache.read().expect("it is good").expect("it is there");
        assert_eq!(cached.rows, [row()]);
        assert!(cached.age < Duration::from_secs(60));
        assert!(place.cache("pg://other/y").read().is_err());
    }

    #[test]
    fn what_others_can_write_is_not_trusted() {
        let place = Place::new("cache-open");
        let mut cache = place.cache("pg://x/y");
        cache.keep(&[row()], true);
        let mode = fs::Permissions::from_mode(0o660);
        fs::set_permissions(cache.path(), mode).expect("it is ours");
        assert!(cache.read().is_err());
    }

    #[test]
    fn half_a_file_is_none() {
        let place = Place::new("cache-half");
        let mut cache = place.cache("pg://x/y");
        cache.keep(&[row()], true);
        let text = fs::read(cache.path()).expect("it is there");
        let file = OpenOptions::new()
            .write(true)
            .open(cache.path())
            .expect("it is ours");
        file.set_len(text.len() as u64 / 2).expect("it is shorter");
        assert!(cache.read().is_err());
    }

    #[test]
    fn ages_in_words() {
        for (seconds, expected) in [
            (5, "5 s"),
            (65, "1 min 5 s"),
            (11_520, "3 h 12 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), expected);
        }
    }
}
