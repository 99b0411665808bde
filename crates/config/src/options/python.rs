//! The interpreter and its applications.

use std::path::PathBuf;

use crate::origin::Located;
use crate::trust::Peer;
use crate::warm_up::WarmUp;

/// The interpreter, and which applications run in it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Python {
    /// `pkg.mod[:callable]`, the callable perhaps a factory: `name()`.
    pub module: Option<Located<String>>,
    /// A Python file to run as the app's module.
    pub wsgi_file: Option<Located<PathBuf>>,
    /// The callable's name where the module names none (default `application`).
    pub callable: Option<Located<String>>,
    /// Apps by mountpoint.
    pub mount: Vec<Located<Mount>>,
    /// Choose among mounts by PATH_INFO, and split it into SCRIPT_NAME and the rest.
    pub manage_script_name: bool,
    /// Directories (or globs) put in front of `sys.path`.
    pub pythonpath: Vec<Located<PathBuf>>,
    /// Directory to change to before the apps are loaded.
    pub chdir: Option<Located<PathBuf>>,
    /// Directory to change to after the apps are loaded.
    pub chdir2: Option<Located<PathBuf>>,
    /// Requests to answer before there are workers.
    pub warm_up: Vec<Located<WarmUp>>,
    /// The virtual environment (or prefix) whose interpreter runs the app.
    pub virtualenv: Option<Located<PathBuf>>,
    /// Changes of the environment, in order.
    pub env: Vec<Located<EnvChange>>,
    /// The interpreter to run, a path or a name on PATH. Stronger than `virtualenv`.
    pub python: Option<Located<String>>,
    /// The interpreter that `plugins = python312` names (`python3.12`). Weaker than `virtualenv`.
    pub plugin_python: Option<Located<String>>,
    /// Modules to import before the apps.
    pub import: Vec<Located<String>>,
    /// Modules to import in every process that runs Python.
    pub shared_import: Vec<Located<String>>,
    /// Python's `-O` level.
    pub optimize: u32,
    /// Send an app's traceback to the client (for testing).
    pub catch_exceptions: bool,
    /// Leave `wsgi.file_wrapper` out of the environ.
    pub wsgi_disable_file_wrapper: bool,
    /// A request that no mountpoint matches is an error instead of the first app's.
    pub no_default_app: bool,
    /// A worker that ends runs no exit handlers at all.
    pub skip_atexit: bool,
    /// A worker that ends runs `uwsgi.atexit`, but not Python's own exit handlers.
    pub skip_atexit_teardown: bool,
    /// Peers whose `UWSGI_*` request variables are honoured.
    pub uwsgi_trust: Vec<Located<Peer>>,
}

/// `/mountpoint=app`, the app a module, a file, or `pkg.mod:callable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path prefix; empty or `/` for the root.
    pub mountpoint: String,
    /// What to load there.
    pub app: String,
}

/// One step of building the app's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvChange {
    /// `env = NAME=value`
    Set {
        /// The variable's name.
        name: String,
        /// Its new value.
        value: String,
    },
    /// `unenv = NAME`
    Unset {
        /// The variable's name.
        name: String,
    },
}
