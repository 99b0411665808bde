//! Where vassals come from. Each `emperor = ...` is one source: a task that says, whenever it has changed, which
//! vassals there are to be, all of them at once.
//!
//! To add one (a database, say), write a module with a `spawn(Teller, ...) -> Result<JoinHandle<()>, String>` and enter
//! its scheme in [`Source::of`] and [`Source::spawn`]. What a source cannot find out for the moment it does not say:
//! the vassals it named last stay wanted.

mod attributes;
mod file;
mod files;
mod notice;
mod on_demand;
#[cfg(feature = "postgres")]
mod table;

use std::sync::Arc;

use tokio::sync::{Notify, mpsc::UnboundedSender};
use tokio::task::JoinHandle;
use uwgate_config::{Located, Options};

use self::files::{Files, Place};
pub(crate) use self::notice::Watch;
use crate::happenings::Happening;
use crate::spec::VassalSpec;

/// Which source, by its place among the options.
pub type SourceId = usize;

/// A source as the options name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it was written, for statistics and messages.
    pub shown: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Files(Place),
    #[cfg(feature = "postgres")]
    Table(Box<uwgate_emperor_pg::Place>),
}

/// Schemes of uWSGI's plugins that are not here.
const ABSENT: [&str; 6] = ["amqp", "zmq", "mongodb", "ldap", "zeus", "mount"];

impl Source {
    /// All sources of an emperor.
    ///
    /// # Errors
    /// One sentence for each that cannot be.
    pub fn all(options: &Options) -> Result<Vec<Self>, Vec<String>> {
        let (mut sources, mut problems) = (Vec::new(), Vec::new());
        for asked in &options.emperor.emperor {
            match Self::of(asked) {
                Ok(source) => sources.push(source),
                Err(problem) => problems.push(format!("{}: {problem}", asked.origin)),
            }
        }
        match problems.is_empty() {
            true => Ok(sources),
            false => Err(problems),
        }
    }

    fn of(asked: &Located<String>) -> Result<Self, String> {
        let text = asked.value.as_str();
        let source = |kind| Source {
            shown: text.to_owned(),
            kind,
        };
        let files = |place| Ok(source(Kind::Files(place)));
        match text.split_once("://") {
            Some(("dir", directory)) => files(Place::directory(directory)?),
            Some(("glob", pattern)) => files(Place::pattern(pattern)?),
            Some(("pg" | "postgres" | "postgresql", _)) => Self::table(text),
            Some((scheme, _)) if ABSENT.contains(&scheme) => Err(format!(
                "emperor = {text}: vassals cannot come from {scheme}:// here; use a directory, glob:// or pg://"
            )),
            Some((scheme, _)) => Err(format!(
                "emperor = {text}: there is no {scheme}://; use a directory, dir://, glob:// or pg://"
            )),
            None if text.contains(['*', '?', '[']) => files(Place::pattern(text)?),
            None => files(Place::directory(text)?),
        }
    }

    #[cfg(feature = "postgres")]
    fn table(text: &str) -> Result<Self, String> {
        // Not the text: there may be a password in it.
        let place = table::place(text).map_err(|problem| format!("emperor = pg://: {problem}"))?;
        Ok(Self {
            shown: place.shown().to_owned(),
            kind: Kind::Table(Box::new(place)),
        })
    }

    #[cfg(not(feature = "postgres"))]
    fn table(_: &str) -> Result<Self, String> {
        Err("emperor = pg://: this build is without PostgreSQL; build it with the feature `postgres`".into())
    }

    /// Begins to tell.
    ///
    /// # Errors
    /// One sentence: it cannot work at all (a directory that is not there, say).
    pub(crate) fn spawn(
        &self,
        teller: Teller,
        options: &Options,
    ) -> Result<JoinHandle<()>, String> {
        match &self.kind {
            Kind::Files(place) => Files::new(place.clone(), options).spawn(teller),
            #[cfg(feature = "postgres")]
            Kind::Table(place) => Ok(table::spawn((**place).clone(), teller, options)),
        }
    }
}

/// How a source reaches the emperor, and the emperor it.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    pub(crate) id: SourceId,
    sender: UnboundedSender<Happening>,
    /// Somebody wants the source to look now.
    pub(crate) look: Arc<Notify>,
}

impl Teller {
    pub(crate) fn new(id: SourceId, sender: UnboundedSender<Happening>) -> Self {
        Self {
            id,
            sender,
            look: Arc::default(),
        }
    }

    /// Says which vassals there are to be.
    pub(crate) fn tell(&self, set: Vec<VassalSpec>) {
        // The emperor is gone when nobody receives.
        let _ = self.sender.send(Happening::Wanted {
            source: self.id,
            set,
        });
    }
}
