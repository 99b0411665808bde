//! Which Python runs the application, and how it becomes a zygote.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use uwgate_config::options::{Options, Python};
use uwgate_config::{Finding, Loaded};
use uwgate_server::environment::environment;
use uwgate_server::privileges::kept_capabilities;
use uwgate_sys::process::Spawn;

/// What that Python runs. It gets the host modules and the master's word; the module built for just this version is
/// faster than the one that fits all, which is therefore the second choice.
const BOOT: &str = include_str!("boot.py");

/// The version that the host module in this build fits.
const BUILT_FOR: &str = concat!(
    env!("HOST_MODULE_PYTHON_MAJOR"),
    ".",
    env!("HOST_MODULE_PYTHON_MINOR")
);

/// The file cargo makes of the host module.
const HOST_MODULE: &str = "libuwgate_python.so";

/// The same, built with the `abi3` feature.
const HOST_MODULE_ABI3: &str = "uwgate_host.abi3.so";

/// An instance's configuration and what starts its Python.
pub(crate) struct Launcher {
    /// The command line without the program's name.
    pub(crate) args: Vec<OsString>,
}

impl uwgate_server::master::Launcher for Launcher {
    fn load(&self) -> Result<Loaded, Vec<Finding>> {
        super::load(&self.args)
    }

    fn arguments(&self) -> &[OsString] {
        &self.args
    }

    fn command(&self, options: &Options, word: &str) -> Result<Spawn, String> {
        let program = interpreter(&options.python)?;
        let host = |name| find_host(name).map_or_else(OsString::new, PathBuf::into_os_string);
        let mut args = optimize(options.python.optimize);
        args.extend([
            "-c".into(),
            BOOT.into(),
            BUILT_FOR.into(),
            host(HOST_MODULE),
            host(HOST_MODULE_ABI3),
            word.into(),
            self.command_line(),
        ]);
        Ok(Spawn {
            args,
            env: Some(environment(&options.python)),
            capabilities: kept_capabilities(options),
            ..Spawn::new(program)
        })
    }
}

impl Launcher {
    /// What was typed to start the instance, more or less, for `ps`.
    pub(crate) fn command_line(&self) -> OsString {
        let words = self.args.iter().map(OsString::as_os_str);
        let words: Vec<&OsStr> = std::iter::once("uwgate".as_ref()).chain(words).collect();
        words.join(" ".as_ref())
    }
}

/// Python's own switches for `optimize`.
fn optimize(level: u32) -> Vec<OsString> {
    match level {
        0 => vec![],
        1 => vec!["-O".into()],
        _ => vec!["-OO".into()],
    }
}

/// `python`, else the virtual environment's, else the one that `plugins = python312` names, else `python3`.
fn interpreter(python: &Python) -> Result<OsString, String> {
    if let Some(named) = &python.python {
        return on_path(&named.value).ok_or_else(|| {
            format!(
                "{}: python = {}: no such program",
                named.origin, named.value
            )
        });
    }
    if let Some(home) = &python.virtualenv {
        let names = ["bin/python3", "bin/python"];
        let found = names
            .iter()
            .map(|name| home.value.join(name))
            .find(|path| path.exists());
        return found.map(PathBuf::into_os_string).ok_or_else(|| {
            format!(
                "{}: {} is not a virtual environment: it has no bin/python3; make one with: python3 -m venv {}",
                home.origin,
                home.value.display(),
                home.value.display()
            )
        });
    }
    let named = python
        .plugin_python
        .as_ref()
        .and_then(|named| on_path(&named.value));
    named.or_else(|| on_path("python3")).ok_or_else(|| {
        "there is no python3 on PATH; name one with: python = /path/to/python3".into()
    })
}

fn on_path(name: &str) -> Option<OsString> {
    if name.contains('/') {
        return Path::new(name).exists().then(|| name.into());
    }
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    found.map(PathBuf::into_os_string)
}

/// Beside the executable, where cargo leaves it, or where a package would put it.
fn find_host(name: &str) -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    let dir = executable.parent()?;
    let places = [
        dir.join("deps").join(name),
        dir.join(name),
        dir.join("../lib/uwgate").join(name),
    ];
    places.into_iter().find(|file| file.is_file())
}
