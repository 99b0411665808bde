//! Files that hold the master's process id, for scripts and service managers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uwgate_config::{Located, Options, Origin};
use uwgate_sys::process;

/// Every pidfile of an instance.
#[derive(Debug)]
pub(crate) struct Pidfiles {
    /// `pidfile`: while still privileged.
    early: Option<Pidfile>,
    /// `pidfile2`: with the privileges that last.
    late: Option<Pidfile>,
    /// `safe-pidfile` and `safe-pidfile2`: when the instance serves.
    safe: Vec<Pidfile>,
}

#[derive(Debug)]
struct Pidfile {
    option: &'static str,
    path: PathBuf,
    origin: Origin,
}

impl Pidfiles {
    /// As in uWSGI only `pidfile` starts from where the instance was started, the others from `chdir`.
    pub(crate) fn new(options: &Options) -> Self {
        let control = &options.control;
        let in_chdir = |option, path: &Option<Located<PathBuf>>| {
            path.as_ref().map(|path| Pidfile {
                option,
                path: options.in_chdir(path),
                origin: path.origin.clone(),
            })
        };
        let safe = [
            in_chdir("safe-pidfile", &control.safe_pidfile),
            in_chdir("safe-pidfile2", &control.safe_pidfile2),
        ];
        Self {
            early: control.pidfile.as_ref().map(|path| Pidfile {
                option: "pidfile",
                path: path.value.clone(),
                origin: path.origin.clone(),
            }),
            late: in_chdir("pidfile2", &control.pidfile2),
            safe: safe.into_iter().flatten().collect(),
        }
    }

    /// # Errors
    /// One sentence for the operator: who asks for a pidfile does not want to go without.
    pub(crate) fn write_early(&self) -> Result<(), String> {
        self.early.iter().try_for_each(Pidfile::write)
    }

    /// # Errors
    /// As [`Pidfiles::write_early`].
    pub(crate) fn write_late(&self) -> Result<(), String> {
        self.late.iter().try_for_each(Pidfile::write)
    }

    /// The instance serves.
    pub(crate) fn write_safe(&self) {
        self.safe.iter().for_each(Pidfile::write_or_complain);
    }

    /// Writes all of them, wherever they have gone.
    pub(crate) fn rewrite(&self) {
        let all = self.early.iter().chain(&self.late).chain(&self.safe);
        all.for_each(Pidfile::write_or_complain);
    }

    /// `vacuum`. A file that another instance has written since is left to it.
    pub(crate) fn remove(&self) {
        for file in self.early.iter().chain(&self.late).chain(&self.safe) {
            match remove_if_ours(&file.path) {
                Ok(true) => tracing::info!("VACUUM: {} removed.", file.option),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!("vacuum: {} {}: {error}", file.option, file.path.display());
                }
            }
        }
    }
}

impl Pidfile {
    fn write(&self) -> Result<(), String> {
        let path = self.path.display();
        tracing::info!("writing pidfile to {path}");
        fs::write(&self.path, content()).map_err(|error| {
            format!(
                "{}: {}: cannot write {path}: {error}",
                self.origin, self.option
            )
        })
    }

    fn write_or_complain(&self) {
        if let Err(problem) = self.write() {
            tracing::error!("{problem}");
        }
    }
}

fn content() -> String {
    format!("{}\n", process::this().as_raw())
}

fn remove_if_ours(path: &Path) -> io::Result<bool> {
    match fs::read(path) {
        Ok(found) if found == content().as_bytes() => fs::remove_file(path).map(|()| true),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
