//! A table of PostgreSQL: vassals that any number of hosts run together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use uwgate_config::Options;
use uwgate_emperor_pg::{Here, Pace, Place, Row, follow};
use uwgate_server::listen::host_name;
use uwgate_sys::process;

use super::Teller;
use super::attributes::Attributes;
use super::file::is_vassal;
use crate::spec::{ConfigFrom, MAX_BYTES, Owner, Stamp, VassalSpec};

/// Reads what stands behind `pg://`.
///
/// # Errors
/// What is wrong with it, without the password.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let here = Here {
        host: &host_name(),
        variable: &|name| std::env::var(name).ok(),
        is_there: &|path: &Path| path.exists(),
    };
    Place::parse(text, &here)
}

/// Follows it. Must be called in a runtime.
pub(super) fn spawn(place: Place, teller: Teller, options: &Options) -> JoinHandle<()> {
    let emperor = &options.emperor;
    let frequency = Duration::from_secs(emperor.emperor_freq.max(1).into());
    let extra = emperor.emperor_extra_extension.iter();
    let rules = Rules {
        extra: extra.map(|it| it.value.clone()).collect(),
        directory: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        tyrant: emperor.emperor_tyrant,
        is_root: rustix::process::geteuid().is_root(),
        attributes: Attributes::new(&options.vassals),
    };
    let look = teller.look.clone();
    tokio::spawn(async move {
        let judge = |row: &Row| rules.vassal(row).map(drop);
        let tell = |rows: Vec<Row>| {
            // Whoever has lost their account since then has been judged before.
            teller.tell(
                rows.iter()
                    .filter_map(|row| rules.vassal(row).ok())
                    .collect(),
            );
        };
        follow(place, Pace::of(frequency), look, judge, tell).await;
    })
}

/// What makes a row a vassal.
struct Rules {
    extra: Vec<String>,
    /// Where such vassals start: they have no directory of their own.
    directory: PathBuf,
    /// Every vassal has to have a user of its own.
    tyrant: bool,
    is_root: bool,
    attributes: Attributes,
}

impl Rules {
    /// # Errors
    /// What is wrong with the row.
    fn vassal(&self, row: &Row) -> Result<VassalSpec, String> {
        let Row {
            name,
            config,
            seconds,
            serial,
            uid,
            gid,
            socket,
            hosts: _,
        } = row;
        if !is_vassal(name, &self.extra) {
            return Err(
                "as a name it is no vassal's: those end in .ini, .yml, .yaml, .json or .js".into(),
            );
        }
        if config.len() > MAX_BYTES {
            return Err(format!("its config is longer than {MAX_BYTES} bytes"));
        }
        Ok(VassalSpec {
            name: name.as_str().into(),
            config: ConfigFrom::Bytes {
                text: config.clone(),
                suffix: name.rsplit('.').next().unwrap_or("ini").to_owned(),
            },
            stamp: Stamp {
                seconds: *seconds,
                rest: *serial,
            },
            owner: self.owner(uid.as_deref(), gid.as_deref())?,
            directory: self.directory.clone(),
            on_demand: socket.clone(),
            attributes: self
                .attributes
                .of_text(name, &String::from_utf8_lossy(config)),
        })
    }

    fn owner(&self, uid: Option<&str>, gid: Option<&str>) -> Result<Option<Owner>, String> {
        let Some(user) = uid else {
            return match gid {
                None if self.tyrant => Err("it has no uid, which emperor-tyrant asks for".into()),
                None => Ok(None),
                Some(_) => Err("it has a gid and no uid".into()),
            };
        };
        if !self.is_root {
            return Err(format!(
                "it is to run as {user}, for which the emperor has to be root"
            ));
        }
        let found = process::resolve(user, gid).map_err(|error| error.to_string())?;
        if self.tyrant && (found.uid == 0 || found.gid == 0) {
            return Err("it is to run as root, which emperor-tyrant forbids".into());
        }
        Ok(Some(Owner {
            uid: found.uid,
            gid: found.gid,
        }))
    }
}
