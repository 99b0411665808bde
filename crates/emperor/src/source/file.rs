//! From a file to a vassal.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use uwgate_config::options::Emperor;

use crate::spec::{ConfigFrom, Name, Owner, Stamp, VassalSpec};

/// Endings of files that are vassals. `.xml` is uWSGI's too; whoever starts one learns why it is not read.
const ENDINGS: [&str; 6] = [".xml", ".ini", ".yml", ".yaml", ".json", ".js"];

/// uWSGI's limit for a name.
const LONGEST_NAME: usize = 255;

/// What makes a file a vassal.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    extra: Vec<String>,
    nofollow: bool,
    /// The owner of a file is who its vassal runs as; whether that of a link counts.
    tyrant: Option<bool>,
    magic_exec: bool,
}

/// What a file is.
pub(crate) enum Found {
    /// Something else.
    Nothing,
    /// A vassal that must not run as its owner.
    Refused(Stamp),
    /// A vassal.
    Vassal(VassalSpec),
}

impl Rules {
    pub(crate) fn new(options: &Emperor) -> Self {
        let extra = options.emperor_extra_extension.iter();
        Self {
            extra: extra.map(|it| it.value.clone()).collect(),
            nofollow: options.emperor_nofollow,
            tyrant: options
                .emperor_tyrant
                .then_some(options.emperor_tyrant_nofollow),
            magic_exec: options.emperor_magic_exec,
        }
    }

    /// What a file named `name` in `directory` is.
    ///
    /// # Errors
    /// When the file cannot be looked at: it may be gone by now.
    pub(crate) fn look(&self, directory: &Path, name: &str) -> io::Result<Found> {
        if !is_vassal(name, &self.extra) {
            return Ok(Found::Nothing);
        }
        let path = directory.join(name);
        let found = fs::metadata(&path)?;
        if !found.is_file() {
            return Ok(Found::Nothing);
        }
        let owner = match self.tyrant {
            None => None,
            Some(nofollow) => {
                let owned = match nofollow {
                    true => &fs::symlink_metadata(&path)?,
                    false => &found,
                };
                if owned.uid() == 0 || owned.gid() == 0 {
                    return Ok(Found::Refused(stamp(owned)));
                }
                Some(Owner {
                    uid: owned.uid(),
                    gid: owned.gid(),
                })
            }
        };
        let executable = self.magic_exec && found.mode() & 0o111 != 0;
        // What a link leads to may have been replaced as well.
        let marked = match self.nofollow {
            true => fs::symlink_metadata(&path)?,
            false => found,
        };
        Ok(Found::Vassal(VassalSpec {
            name: name.into(),
            config: match executable {
                true => ConfigFrom::Output { path: name.into() },
                false => ConfigFrom::File { path: name.into() },
            },
            stamp: stamp(&marked),
            owner,
            directory: directory.to_owned(),
            on_demand: None,
            attributes: Vec::new(),
        }))
    }
}

/// Whether a file of this name is a vassal. Hidden ones are an editor's, half of an rsync, somebody's backup.
pub(crate) fn is_vassal(name: &str, extra: &[String]) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let endings = ENDINGS
        .iter()
        .copied()
        .chain(extra.iter().map(String::as_str));
    !file.starts_with('.') && name.len() <= LONGEST_NAME && {
        let mut endings = endings;
        endings.any(|ending| file.len() > ending.len() && file.ends_with(ending))
    }
}

/// The version of a file: when it was written, and which file it is.
fn stamp(found: &fs::Metadata) -> Stamp {
    let mut hasher = DefaultHasher::new();
    (found.mtime_nsec(), found.ino(), found.dev(), found.size()).hash(&mut hasher);
    Stamp {
        seconds: u64::try_from(found.mtime()).unwrap_or(0),
        rest: hasher.finish(),
    }
}

/// Names in order, whatever the directory's.
pub(crate) fn by_name(set: &mut [VassalSpec]) {
    let name = |spec: &VassalSpec| -> Name { spec.name.clone() };
    set.sort_by_key(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_files_are_vassals() {
        let extra = vec![".conf".to_owned()];
        for name in ["a.ini", "a.b.yml", "x.conf", "a.json", "a.js", "a.yaml"] {
            assert!(is_vassal(name, &extra), "{name}");
        }
        for name in [
            ".a.ini",
            "a.ini~",
            "a.ini.swp",
            ".ini",
            "a.inix",
            "a.ini.dpkg-new",
            "4913",
        ] {
            assert!(!is_vassal(name, &extra), "{name}");
        }
        assert!(!is_vassal("x.conf", &[]));
    }
}
