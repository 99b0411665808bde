//! The interpreter and the applications in it.

use super::{Row, flag, number, parsed, path, paths, text, texts};
use crate::entry::Entry;
use crate::options::{EnvChange, Mount, Options};
use crate::origin::Located;
use crate::trust;
use crate::value::{Problem, key_and_value};

pub(super) const ROWS: &[Row] = &[
    text("module", "MODULE[:CALLABLE]", |o| &mut o.python.module)
        .aliases(&["wsgi"])
        .short('w')
        .help("Import the app from a Python module. Without `:name` the name is that of `callable`; `:name()` calls a factory."),
    path("wsgi-file", "FILE", |o| &mut o.python.wsgi_file)
        .aliases(&["file"])
        .help("Load the app from a Python file."),
    text("callable", "NAME", |o| &mut o.python.callable)
        .default("application")
        .help("Name of the app in its module, where the module's option names none."),
    parsed("mount", "/PATH=APP", read_mount)
        .repeatable()
        .help("Load an app (a module, pkg.mod:callable or a file) for a path prefix."),
    flag("manage-script-name", |o| &mut o.python.manage_script_name)
        .help("Choose among mounts by the request's path, and split it into SCRIPT_NAME and PATH_INFO."),
    flag("no-default-app", |o| &mut o.python.no_default_app)
        .help("A request that matches no mount is an error, instead of going to the first app."),
    text("python", "INTERPRETER", |o| &mut o.python.python)
        .ours()
        .help("The Python to run the app in: a path, or a name on PATH such as python3.12. Without it: that of `virtualenv`, \
               else the one `plugins = python312` names, else python3."),
    path("home", "DIR", |o| &mut o.python.virtualenv)
        .aliases(&["virtualenv", "venv", "pyhome"])
        .short('H')
        .help("The virtual environment whose interpreter and packages the app uses."),
    paths("pythonpath", "DIR", |o| &mut o.python.pythonpath)
        .aliases(&["python-path", "pp"])
        .help("Directory (or glob) to put in front of sys.path."),
    path("chdir", "DIR", |o| &mut o.python.chdir)
        .help("Change to this directory before the app is loaded. Sockets and logto are opened before that."),
    path("chdir2", "DIR", |o| &mut o.python.chdir2)
        .help("Change to this directory after the app is loaded."),
    parsed("env", "NAME=VALUE", read_env)
        .repeatable()
        .help("Set a variable of the app's environment. Lines read before cannot see it as $(NAME)."),
    parsed("unenv", "NAME", read_unenv)
        .repeatable()
        .help("Remove a variable from the app's environment."),
    texts("import", "MODULE", |o| &mut o.python.import)
        .aliases(&["pyimport", "py-import", "python-import"])
        .help("Import a module (or a file) before the app."),
    texts("shared-import", "MODULE", |o| &mut o.python.shared_import)
        .aliases(&["shared-pyimport", "shared-py-import", "shared-python-import"])
        .help("Import a module in every process that runs Python."),
    parsed("warm-up", "/PATH|URL", read_warm_up)
        .repeatable()
        .ours()
        .help("Have the app answer a GET of this path (or URL, for the Host and scheme) once it is loaded: the first visitor is \
               served as fast as the next, and workers share what they would each do for themselves. See workers.md."),
    number("optimize", "levels", |o| &mut o.python.optimize)
        .short('O')
        .default("0")
        .help("Python's -O: 1 drops asserts, 2 also docstrings."),
    flag("catch-exceptions", |o| &mut o.python.catch_exceptions)
        .help("Send an app's traceback to the client. For testing only: it shows your source to everyone."),
    flag("wsgi-disable-file-wrapper", |o| &mut o.python.wsgi_disable_file_wrapper)
        .help("Do not offer wsgi.file_wrapper to the app."),
    flag("skip-atexit", |o| &mut o.python.skip_atexit)
        .help("A worker that ends runs neither uwsgi.atexit nor Python's exit handlers."),
    flag("skip-atexit-teardown", |o| &mut o.python.skip_atexit_teardown)
        .help("A worker that ends runs uwsgi.atexit, but not Python's exit handlers, and does not wait for threads."),
    parsed("uwsgi-trust", "PEER,...", read_trust)
        .repeatable()
        .ours()
        .help("Peers (an address, a network, or `unix`) whose UWSGI_* request variables may choose an app or a URL scheme. \
               Without it they do nothing, since whoever reaches the port could set them."),
];

fn read_mount(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let (mountpoint, app) = entry
        .text()
        .split_once('=')
        .filter(|(_, app)| !app.is_empty())
        .ok_or_else(|| Problem::new("expected /path=app"))?;
    let mount = Mount {
        mountpoint: mountpoint.to_owned(),
        app: app.to_owned(),
    };
    let mounts = &mut options.python.mount;
    mounts.push(Located::new(mount, entry.origin.clone()));
    Ok(None)
}

fn read_env(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let (name, value) = key_and_value(entry.text(), "NAME=value")?;
    let change = EnvChange::Set {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let changes = &mut options.python.env;
    changes.push(Located::new(change, entry.origin.clone()));
    Ok(None)
}

fn read_unenv(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let change = EnvChange::Unset {
        name: entry.text().to_owned(),
    };
    let changes = &mut options.python.env;
    changes.push(Located::new(change, entry.origin.clone()));
    Ok(None)
}

fn read_warm_up(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let warm_up = entry.text().parse()?;
    let wanted = &mut options.python.warm_up;
    wanted.push(Located::new(warm_up, entry.origin.clone()));
    Ok(None)
}

fn read_trust(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    for peer in trust::parse_list(entry.text())? {
        let trusted = &mut options.python.uwsgi_trust;
        trusted.push(Located::new(peer, entry.origin.clone()));
    }
    Ok(None)
}
