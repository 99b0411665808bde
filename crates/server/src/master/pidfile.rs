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
    /// Of configurations before, which go away when this one serves.
    former: Vec<PathBuf>,
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
            former: Vec::new(),
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
        self.all().for_each(Pidfile::write_or_complain);
    }

    /// The files of another configuration, to be there once it serves: see [`Pidfiles::settle`].
    pub(crate) fn renew(&mut self, options: &Options) {
        let mut former: Vec<_> = self.paths().map(Path::to_owned).collect();
        former.append(&mut self.former);
        *self = Self::new(options).after(former);
    }

    /// `former`: files that have been written for configurations before.
    pub(crate) fn after(self, former: Vec<PathBuf>) -> Self {
        Self { former, ..self }
    }

    /// The instance serves, with these names: writes what is missing, and removes those of former configurations that
    /// are not named any more.
    pub(crate) fn settle(&mut self) {
        let problems: Vec<_> = self
            .all()
            .filter(|file| !self.is_there(file))
            .filter_map(|file| file.write().err())
            .collect();
        for problem in &problems {
            tracing::error!("{problem}");
        }
        // Somebody who looks for the pid finds it in one place or the other.
        if problems.is_empty() {
            let unnamed = self.unnamed();
            self.former.clear();
            for path in unnamed {
                if let Err(error) = remove_if_ours(&path) {
                    tracing::warn!("pidfile {} cannot be removed: {error}", path.display());
                }
            }
        }
    }

    /// The path of each that was written.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.all().map(|file| file.path.as_path())
    }

    /// Whether a file needs no writing. One that was ours before may be another instance's by now.
    fn is_there(&self, file: &Pidfile) -> bool {
        match self.former.contains(&file.path) {
            true => file.path.exists(),
            false => fs::read(&file.path).is_ok_and(|found| found == content().as_bytes()),
        }
    }

    /// Those of former configurations that are not there by another name.
    fn unnamed(&self) -> Vec<PathBuf> {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let named: Vec<_> = self.paths().map(real).collect();
        let former = self.former.iter();
        former
            .filter(|path| !named.contains(&real(path)))
            .cloned()
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = &Pidfile> {
        self.early.iter().chain(&self.late).chain(&self.safe)
    }

    /// `vacuum`. A file that another instance has written since is left to it.
    pub(crate) fn remove(&self) {
        for file in self.all() {
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
