//! What an emperor leaves to itself when it becomes a newer binary: its vassals, who do not notice.
//!
//! JSON in a memfd, with the numbers of descriptors that stay open over the exec. What a version does not know it skips,
//! and what it misses it does without.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uwgate_sys::memory;
use uwgate_sys::process::{self, inherited};

use crate::spec::{ConfigFrom, Owner, Stamp, VassalSpec};

/// What the former self has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heritage {
    /// Live vassals.
    pub(crate) vassals: Vec<Heir>,
    /// Names of those that the operator has stopped.
    pub(crate) held: Vec<String>,
    /// Sockets of vassals on demand, each with its vassal as it was when it was bound, and its descriptor.
    pub(crate) doors: Vec<(Heir, RawFd)>,
    /// When the first of these emperors was started.
    pub(crate) started: u64,
}

/// A vassal that goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Heir {
    pub(crate) name: String,
    pub(crate) pid: i32,
    pub(crate) accepting: bool,
    /// It is no child of the emperor's.
    pub(crate) foreign: bool,
    /// Descriptors: of the dialogue, of the way its configuration takes, of the file of what it prints.
    pub(crate) dialogue: RawFd,
    pub(crate) config: Option<RawFd>,
    pub(crate) printed: Option<RawFd>,
    /// Up to where that was copied.
    pub(crate) copied: u64,
    pub(crate) directory: PathBuf,
    /// Of its configuration: a file, a program, or a text and its language.
    pub(crate) file: Option<PathBuf>,
    pub(crate) program: Option<PathBuf>,
    pub(crate) text: Option<(Vec<u8>, String)>,
    pub(crate) stamp: (u64, u64),
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) on_demand: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Heir {
    pub(crate) fn of(spec: &VassalSpec) -> Self {
        let VassalSpec {
            name,
            config,
            stamp,
            owner,
            directory,
            on_demand,
            attributes,
        } = spec;
        let mut heir = Self {
            name: name.to_string(),
            directory: directory.clone(),
            stamp: (stamp.seconds, stamp.rest),
            owner: owner.map(|it| (it.uid, it.gid)),
            on_demand: on_demand.clone(),
            attributes: attributes.clone(),
            ..Self::default()
        };
        match config {
            ConfigFrom::File { path } => heir.file = Some(path.clone()),
            ConfigFrom::Output { path } => heir.program = Some(path.clone()),
            ConfigFrom::Bytes { text, suffix } => heir.text = Some((text.to_vec(), suffix.clone())),
        }
        heir
    }

    pub(crate) fn spec(&self) -> VassalSpec {
        let config = match (&self.file, &self.program, &self.text) {
            (_, Some(path), _) => ConfigFrom::Output { path: path.clone() },
            (_, _, Some((text, suffix))) => ConfigFrom::Bytes {
                text: text.as_slice().into(),
                suffix: suffix.clone(),
            },
            (file, ..) => ConfigFrom::File {
                path: file.clone().unwrap_or_default(),
            },
        };
        VassalSpec {
            name: self.name.as_str().into(),
            config,
            stamp: Stamp {
                seconds: self.stamp.0,
                rest: self.stamp.1,
            },
            owner: self.owner.map(|(uid, gid)| Owner { uid, gid }),
            directory: self.directory.clone(),
            on_demand: self.on_demand.clone(),
            attributes: self.attributes.clone(),
        }
    }
}

impl Heritage {
    /// Takes what lies behind a descriptor that [`leave`](Self::leave) has named.
    ///
    /// # Errors
    /// When this process is not the successor of an emperor.
    pub fn take(fd: RawFd) -> io::Result<Self> {
        serde_json::from_slice(&memory::read_all(inherited(fd)?)?).map_err(io::Error::other)
    }

    /// Prepares for an exec; the descriptor to tell the successor comes first. What is not to survive a failed exec
    /// closes when the result is dropped.
    pub(crate) fn leave(&self, mut kept: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        let list = memory::memfd("uwgate-emperor", &text)?;
        kept.insert(0, process::inheritable(list.as_fd())?);
        Ok(kept)
    }
}

/// Keeps a descriptor open over the exec; its number there.
pub(crate) fn keep(fd: BorrowedFd<'_>, kept: &mut Vec<OwnedFd>) -> io::Result<RawFd> {
    let fd = process::inheritable(fd)?;
    let number = fd.as_raw_fd();
    kept.push(fd);
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vassal_is_the_same_afterwards() {
        let configs = [
            ConfigFrom::File {
                path: "a.ini".into(),
            },
            ConfigFrom::Output {
                path: "a.ini".into(),
            },
            ConfigFrom::Bytes {
                text: b"[uwsgi]\n".as_slice().into(),
                suffix: "ini".into(),
            },
        ];
        for config in configs {
            let spec = VassalSpec {
                name: "a.ini".into(),
                config,
                stamp: Stamp {
                    seconds: 5,
                    rest: u64::MAX,
                },
                owner: Some(Owner { uid: 1, gid: 2 }),
                directory: "/v".into(),
                on_demand: Some("/x.sock".into()),
                attributes: vec![("a".into(), "b".into())],
            };
            let text = serde_json::to_string(&Heir::of(&spec)).unwrap();
            let heir: Heir = serde_json::from_str(&text).unwrap();
            assert_eq!(heir.spec(), spec);
        }
    }

    #[test]
    fn what_another_version_says_is_skipped() {
        let heritage: Heritage =
            serde_json::from_str(r#"{"new":1,"vassals":[{"name":"a.ini","more":2}]}"#).unwrap();
        assert_eq!(heritage.vassals.len(), 1);
    }
}
