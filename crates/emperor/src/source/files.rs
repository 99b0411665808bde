//! Directories and patterns: vassals that are files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use uwgate_config::Options;

use super::Teller;
use super::attributes::Attributes;
use super::file::{Found, Rules, by_name};
use super::notice::Watch;
use super::on_demand::OnDemand;
use crate::race::{First, race};
use crate::spec::{ConfigFrom, Stamp, VassalSpec};

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Directly in a directory.
    Directory(PathBuf),
    /// Wherever a pattern matches.
    Pattern(String),
}

impl Place {
    /// # Errors
    /// When the name is empty.
    pub(super) fn directory(name: &str) -> Result<Self, String> {
        match name {
            "" => Err("emperor has no directory".into()),
            name => Ok(Self::Directory(absolute(Path::new(name)))),
        }
    }

    /// # Errors
    /// When it is no pattern.
    pub(super) fn pattern(pattern: &str) -> Result<Self, String> {
        glob::Pattern::new(pattern).map_err(|error| format!("emperor = {pattern}: {error}"))?;
        Ok(Self::Pattern(pattern.to_owned()))
    }

    fn find(&self, rules: &Rules, refused: &mut Refused) -> io::Result<Vec<VassalSpec>> {
        let mut finds = Finds {
            rules,
            before: std::mem::take(refused),
            refused: Refused::new(),
            set: Vec::new(),
        };
        match self {
            Self::Directory(directory) => in_directory(directory, &mut finds)?,
            Self::Pattern(pattern) => by_pattern(pattern, &mut finds),
        }
        *refused = finds.refused;
        by_name(&mut finds.set);
        Ok(finds.set)
    }

    /// Whose entries can change what [`find`](Self::find) finds: where the files are, and where links lead to. Of a
    /// pattern, those that could hold more as well; what is deeper is left to the scan.
    fn directories(&self, set: &[VassalSpec]) -> BTreeSet<PathBuf> {
        let mut directories = self.own_directories(set);
        directories.extend(set.iter().filter_map(link_target));
        directories
    }

    fn own_directories(&self, set: &[VassalSpec]) -> BTreeSet<PathBuf> {
        match self {
            Self::Directory(directory) => BTreeSet::from([directory.clone()]),
            Self::Pattern(pattern) => {
                let parents = set
                    .iter()
                    .filter_map(|spec| Some(Path::new(spec.name.as_str()).parent()?.to_owned()));
                let above = Path::new(pattern).parent().and_then(Path::to_str);
                let more = above.and_then(|above| glob::glob(above).ok());
                let more = more.into_iter().flatten().filter_map(Result::ok);
                parents.chain(more).map(|it| absolute(&it)).collect()
            }
        }
    }
}

/// The directory of the file that a link leads to.
fn link_target(spec: &VassalSpec) -> Option<PathBuf> {
    let path = spec.directory.join(spec.name.as_str());
    let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.is_symlink());
    let target = is_link.then(|| fs::canonicalize(&path).ok()).flatten()?;
    Some(target.parent()?.to_owned())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Vassals that must not run as their owners, so that each version is told of once.
type Refused = BTreeMap<PathBuf, Stamp>;

struct Finds<'r> {
    rules: &'r Rules,
    before: Refused,
    refused: Refused,
    set: Vec<VassalSpec>,
}

impl Finds<'_> {
    /// The vassal of a file, if it is one. A file that is gone by now is none.
    fn look(&mut self, directory: &Path, name: &str) -> Option<VassalSpec> {
        match self.rules.look(directory, name).ok()? {
            Found::Nothing => None,
            Found::Vassal(spec) => Some(spec),
            Found::Refused(stamp) => {
                let path = directory.join(name);
                if self.before.get(&path) != Some(&stamp) {
                    tracing::warn!("[emperor-tyrant] invalid permissions for vassal {name}");
                }
                self.refused.insert(path, stamp);
                None
            }
        }
    }
}

fn in_directory(directory: &Path, finds: &mut Finds<'_>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let found = finds.look(directory, name);
        finds.set.extend(found);
    }
    Ok(())
}

/// As in uWSGI the name of such a vassal is the whole path.
fn by_pattern(pattern: &str, finds: &mut Finds<'_>) {
    let found = glob::glob(pattern).into_iter().flatten();
    for path in found.filter_map(Result::ok) {
        let path = absolute(&path);
        let spec = path
            .parent()
            .zip(path.file_name())
            .and_then(|(directory, file)| {
                let spec = finds.look(directory, file.to_str()?)?;
                let config = match spec.config {
                    ConfigFrom::File { .. } => ConfigFrom::File { path: path.clone() },
                    other => other,
                };
                Some(VassalSpec {
                    name: path.to_str()?.into(),
                    config,
                    ..spec
                })
            });
        finds.set.extend(spec);
    }
}

/// A change is often several (an editor writes, moves and touches): nothing is said of a file until it has been at
/// rest for so long.
const SETTLE: Duration = Duration::from_millis(50);

/// But a file that never rests is looked at that often all the same.
const RESTLESS: Duration = Duration::from_millis(500);

/// The source of files.
pub(super) struct Files {
    place: Place,
    rules: Rules,
    on_demand: OnDemand,
    attributes: Attributes,
    every: Duration,
    refused: Refused,
}

impl Files {
    pub(super) fn new(place: Place, options: &Options) -> Self {
        let emperor = &options.emperor;
        Self {
            place,
            rules: Rules::new(emperor),
            on_demand: OnDemand::new(emperor),
            attributes: Attributes::new(&options.vassals),
            every: Duration::from_secs(emperor.emperor_freq.max(1).into()),
            refused: Refused::new(),
        }
    }

    pub(super) fn spawn(mut self, teller: Teller) -> Result<JoinHandle<()>, String> {
        let set = self.place.find(&self.rules, &mut self.refused);
        let set = set.map_err(|error| match &self.place {
            Place::Directory(directory) => format!("emperor = {}: {error}", directory.display()),
            Place::Pattern(pattern) => format!("emperor = {pattern}: {error}"),
        })?;
        Ok(tokio::spawn(self.follow(teller, set)))
    }

    /// Tells for ever.
    async fn follow(mut self, teller: Teller, first: Vec<VassalSpec>) {
        let mut watch = Watch::new(self.place.directories(&first));
        // What came between the look and the watch.
        let mut told = self.look(&mut watch, &teller, &first, false).await;
        loop {
            let scan = Instant::now() + self.next_scan(&watch);
            let asked = race(teller.look.notified(), sleep_until(scan));
            if let First::One(()) = race(watch.changed(), asked).await {
                watch.rest(SETTLE, RESTLESS).await;
            }
            told = self.look(&mut watch, &teller, &told, true).await;
        }
    }

    /// Where the kernel tells of every change there is nothing to look for; one look a minute is the net under it.
    fn next_scan(&self, watch: &Watch) -> Duration {
        match watch.is_complete() {
            true => self.every.max(Duration::from_secs(60)),
            false => self.every,
        }
    }

    /// Finds the vassals of now, and tells if they are others than those told before.
    async fn look(
        &mut self,
        watch: &mut Watch,
        teller: &Teller,
        told: &[VassalSpec],
        only_news: bool,
    ) -> Vec<VassalSpec> {
        let mut set = match self.place.find(&self.rules, &mut self.refused) {
            Ok(set) => set,
            Err(error) => {
                watch.lost(&error);
                return told.to_vec();
            }
        };
        watch.cover(self.place.directories(&set));
        self.attributes.fill(&mut set);
        self.on_demand.fill(&mut set).await;
        if !only_news || set != told {
            teller.tell(set.clone());
        }
        set
    }
}
