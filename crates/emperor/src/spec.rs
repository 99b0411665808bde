//! What a source says of a vassal.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What a vassal is known by: in the log, in statistics, in `uwgate ctl`. Of a file, its name in the directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One vassal that is wanted.
///
/// What of it differs from one time to the next decides what is to be done: only the [`stamp`](Self::stamp), then the
/// configuration was touched and the vassal reloads; anything else, then it is another vassal under the same name and
/// is started anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VassalSpec {
    /// Its name, unique in its source.
    pub name: Name,
    /// Where its configuration is.
    pub config: ConfigFrom,
    /// Which version of the configuration.
    pub stamp: Stamp,
    /// Who it is to run as; `None` as the emperor.
    pub owner: Option<Owner>,
    /// The directory it starts in, which is also its `UWSGI_VASSALS_DIR`.
    pub directory: PathBuf,
    /// The socket on which somebody has to connect before it is started.
    pub on_demand: Option<String>,
    /// What it says about how it is to be run: names and values of its `[emperor]` section.
    pub attributes: Vec<(String, String)>,
}

impl VassalSpec {
    /// Whether a vassal of the other version has to be started anew, instead of being told to reload.
    pub fn is_other_than(&self, other: &Self) -> bool {
        let Self {
            name,
            config,
            stamp: _,
            owner,
            directory,
            on_demand,
            attributes,
        } = self;
        // Bytes are asked for anew with each reload.
        let other_place = match (config, &other.config) {
            (ConfigFrom::Bytes { suffix, .. }, ConfigFrom::Bytes { suffix: before, .. }) => {
                suffix != before
            }
            (now, before) => now != before,
        };
        other_place
            || *name != other.name
            || *owner != other.owner
            || *directory != other.directory
            || *on_demand != other.on_demand
            || *attributes != other.attributes
    }
}

/// Where a configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFrom {
    /// A file that the vassal reads itself, seen from its directory.
    File {
        /// What the vassal is told.
        path: PathBuf,
    },
    /// A program whose output it is, seen from its directory.
    Output {
        /// The program.
        path: PathBuf,
    },
    /// A text that the emperor sends it, in uWSGI's form (`emperor://`).
    Bytes {
        /// The text, at most [`MAX_BYTES`].
        text: Arc<[u8]>,
        /// Its language, as the ending of a file: `ini`, `yaml`, `json`.
        suffix: String,
    },
}

/// The longest text that uWSGI's form can carry.
pub const MAX_BYTES: usize = u16::MAX as usize;

/// A version of a configuration. Two are only ever compared for being the same: a file that was replaced by an older
/// one has changed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Stamp {
    /// When it was changed, in seconds since 1970, which is what statistics show.
    pub seconds: u64,
    /// Whatever else tells versions apart: fractions of a second, inode and size, a hash, a serial number.
    pub rest: u64,
}

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}
