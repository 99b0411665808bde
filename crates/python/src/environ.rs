//! From a request's var block to the WSGI environ.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use uwgate_config::Options;
use uwgate_server::exchange::Request;

use crate::apps::{Apps, Choice};
use crate::file_wrapper::FileWrapper;
use crate::input::Input;
use crate::names::{Names, Role, text};
use crate::pattern::Pattern;
use crate::streams;

/// Makes environs; one for each thread.
pub(crate) struct Environ {
    /// The keys that are the same in each request.
    template: Py<PyDict>,
    /// With several threads `uwsgi.core` says which one it is.
    tells_core: bool,
    names: Names,
    /// Requests of the same kind mostly have the same number of variables, which chooses the pattern.
    patterns: [Pattern; PATTERNS],
    input: Py<PyString>,
    https: Py<PyString>,
    url_scheme: Py<PyString>,
    core: Py<PyString>,
}

/// Kinds of requests that one connection or front server mixes: with and without a body, with and without a session.
const PATTERNS: usize = 4;

/// A request's environ and who is to get it.
pub(crate) struct Prepared<'py, 'a> {
    pub(crate) environ: Bound<'py, PyDict>,
    pub(crate) choice: Option<Choice<'a>>,
}

impl Environ {
    pub(crate) fn new(py: Python<'_>, options: &Options) -> PyResult<Self> {
        Ok(Self {
            template: template(py, options)?.unbind(),
            tells_core: options.workers.threads > 1,
            names: Names::default(),
            patterns: std::array::from_fn(|_| Pattern::new(py)),
            input: PyString::intern(py, "wsgi.input").unbind(),
            https: PyString::intern(py, "https").unbind(),
            url_scheme: PyString::intern(py, "wsgi.url_scheme").unbind(),
            core: PyString::intern(py, "uwsgi.core").unbind(),
        })
    }

    /// The environ of a request, and the application that it goes to.
    pub(crate) fn prepare<'py, 'a>(
        &mut self,
        py: Python<'py>,
        request: &Request,
        input: &Py<Input>,
        apps: &'a Apps,
    ) -> PyResult<Prepared<'py, 'a>> {
        let vars = request.vars();
        let mut facts = Facts::default();
        let [first, others @ ..] = &mut self.patterns;
        let pattern = others.get_mut(vars.len() % PATTERNS).unwrap_or(first);
        let environ = pattern.environ(
            py,
            vars,
            self.template.bind(py),
            &mut self.names,
            &mut |role, value| facts.note(role, value),
        )?;
        environ.set_item(self.input.bind(py), input)?;
        // The template says http.
        if facts.is_https(request.trusts_forwarded()) {
            environ.set_item(self.url_scheme.bind(py), &self.https)?;
        }
        if self.tells_core {
            environ.set_item(self.core.bind(py), uwgate_server::worker::core())?;
        }
        if request.is_chunked() {
            environ.set_item("wsgi.input_terminated", true)?;
        }
        if request.modifier1() == uwsgi_codec::modifier::WSGI_MANAGE_PATH_INFO {
            cut_script_name(py, request, &environ)?;
        }
        let choice = choose(py, apps, request, &environ)?;
        Ok(Prepared { environ, choice })
    }
}

/// What of the variables decides about the request itself.
#[derive(Default)]
struct Facts<'a> {
    uwsgi_scheme: Option<&'a [u8]>,
    https: &'a [u8],
    forwarded_proto: &'a [u8],
    forwarded_ssl: &'a [u8],
}

impl<'a> Facts<'a> {
    fn note(&mut self, role: Role, value: &'a [u8]) {
        match role {
            Role::UwsgiScheme => self.uwsgi_scheme = Some(value),
            Role::Https => self.https = value,
            Role::ForwardedProto => self.forwarded_proto = value,
            Role::ForwardedSsl => self.forwarded_ssl = value,
            Role::None | Role::Reserved | Role::Secret => {}
        }
    }

    /// uWSGI's order. The forwarded headers come from whoever sent the request, so they count only from a proxy that
    /// an option names; uWSGI believes everybody.
    fn is_https(&self, trusts_forwarded: bool) -> bool {
        if let Some(scheme) = self.uwsgi_scheme {
            return scheme.eq_ignore_ascii_case(b"https");
        }
        let on = self
            .https
            .get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"on"));
        let forwarded = trusts_forwarded
            && (self.forwarded_proto.eq_ignore_ascii_case(b"https")
                || self.forwarded_ssl.eq_ignore_ascii_case(b"on"));
        on || self.https.starts_with(b"1") || forwarded
    }
}

/// modifier1 30: the front server left the SCRIPT_NAME in the PATH_INFO.
fn cut_script_name(py: Python<'_>, request: &Request, environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let vars = request.vars();
    let script_name = vars.get(b"SCRIPT_NAME").unwrap_or_default();
    let path_info = vars.get(b"PATH_INFO").unwrap_or_default();
    match path_info.strip_prefix(script_name) {
        Some(rest) => environ.set_item("PATH_INFO", text(py, rest)),
        None => Ok(()),
    }
}

/// With one application there is nothing to choose, and nothing is looked up.
fn choose<'a>(
    py: Python<'_>,
    apps: &'a Apps,
    request: &Request,
    environ: &Bound<'_, PyDict>,
) -> PyResult<Option<Choice<'a>>> {
    if !apps.needs_path() {
        return Ok(apps.choose(b"", b""));
    }
    let vars = request.vars();
    if request.trusts_uwsgi()
        && let Some(id) = vars.get(b"UWSGI_APPID")
    {
        return Ok(apps.choose(id, b""));
    }
    let (script_name, path_info) = (vars.get(b"SCRIPT_NAME"), vars.get(b"PATH_INFO"));
    let path_info = path_info.unwrap_or_default();
    let choice = apps.choose(script_name.unwrap_or_default(), path_info);
    if let Some(Choice {
        script_name: Some(script_name),
        ..
    }) = &choice
    {
        let rest = path_info
            .strip_prefix(script_name.as_bytes())
            .unwrap_or(path_info);
        environ.set_item("SCRIPT_NAME", script_name)?;
        environ.set_item("PATH_INFO", text(py, rest))?;
    }
    Ok(choice)
}

/// What is the same in each request, with uWSGI's types.
fn template<'py>(py: Python<'py>, options: &Options) -> PyResult<Bound<'py, PyDict>> {
    let (workers, python) = (&options.workers, &options.python);
    let environ = PyDict::new(py);
    // A request puts its own there, and a dict is slower to grow than to change.
    environ.set_item("wsgi.input", py.None())?;
    environ.set_item("wsgi.url_scheme", "http")?;
    environ.set_item("wsgi.version", (1, 0))?;
    environ.set_item("wsgi.errors", streams::error_stream(py)?)?;
    environ.set_item("wsgi.run_once", false)?;
    environ.set_item("wsgi.multithread", workers.threads > 1)?;
    environ.set_item("wsgi.multiprocess", workers.processes != 1)?;
    if !python.wsgi_disable_file_wrapper {
        environ.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
    }
    let version = concat!("uwgate ", env!("CARGO_PKG_VERSION"));
    environ.set_item("uwsgi.version", PyBytes::new(py, version.as_bytes()))?;
    let node = uwgate_server::listen::host_name();
    environ.set_item("uwsgi.node", PyBytes::new(py, node.as_bytes()))?;
    Ok(environ)
}
