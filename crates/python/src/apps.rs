use pyo3::prelude::*;
use uwgate_config::options::Python as PythonOptions;

/// The loaded applications and which request goes to which.
pub(crate) struct Apps {
    /// In the order in which they were loaded.
    apps: Vec<App>,
    manage_script_name: bool,
    no_default_app: bool,
}

pub(crate) struct App {
    mountpoint: String,
    /// How long it took to load, in seconds.
    startup: u64,
    pub(crate) callable: Py<PyAny>,
}

/// Where a request goes.
pub(crate) struct Choice<'a> {
    /// The application's number.
    pub(crate) id: u16,
    pub(crate) app: &'a App,
    /// With `manage-script-name`: so much of PATH_INFO is the SCRIPT_NAME.
    pub(crate) script_name: Option<&'a str>,
}

impl Apps {
    pub(crate) fn new(options: &PythonOptions) -> Self {
        Self {
            apps: Vec::new(),
            manage_script_name: options.manage_script_name,
            no_default_app: options.no_default_app,
        }
    }

    /// Adds an application and returns its number.
    /// `startup`: how long it took to load, in seconds.
    pub(crate) fn add(&mut self, mountpoint: &str, callable: Py<PyAny>, startup: u64) -> usize {
        let mountpoint = mountpoint.to_owned();
        self.apps.push(App {
            mountpoint,
            startup,
            callable,
        });
        self.apps.len() - 1
    }

    /// Mountpoint and callable of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Py<PyAny>)> {
        self.apps
            .iter()
            .map(|app| (app.mountpoint.as_str(), &app.callable))
    }

    /// How long each took to load, in seconds.
    pub(crate) fn startup_times(&self) -> impl Iterator<Item = u64> {
        self.apps.iter().map(|app| app.startup)
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.apps.len()).unwrap_or(u32::MAX)
    }

    /// Whether SCRIPT_NAME and PATH_INFO matter to the choice.
    pub(crate) fn needs_path(&self) -> bool {
        self.manage_script_name || self.no_default_app || self.apps.len() > 1
    }

    /// The application for a request, as uWSGI chooses it: by the SCRIPT_NAME of the front server, with
    /// `manage-script-name` by the longest mountpoint that PATH_INFO begins with, else the first one.
    pub(crate) fn choose(&self, script_name: &[u8], path_info: &[u8]) -> Option<Choice<'_>> {
        if self.manage_script_name
            && let Some((id, app)) = self.longest_prefix(path_info)
        {
            return Some(Choice {
                id,
                app,
                script_name: Some(app.mountpoint.trim_end_matches('/')),
            });
        }
        let exact = self.find(|app| equal(app.mountpoint.as_bytes(), script_name));
        let (id, app) = exact.or_else(|| self.default_app())?;
        Some(Choice {
            id,
            app,
            script_name: None,
        })
    }

    fn default_app(&self) -> Option<(u16, &App)> {
        if self.no_default_app {
            return None;
        }
        self.find(|app| app.mountpoint.is_empty() || app.mountpoint.starts_with('/'))
    }

    fn longest_prefix(&self, path: &[u8]) -> Option<(u16, &App)> {
        let numbered = (0..).zip(&self.apps);
        numbered
            .filter(|(_, app)| is_prefix(app.mountpoint.as_bytes(), path))
            .max_by_key(|(_, app)| app.mountpoint.len())
    }

    fn find(&self, is_it: impl Fn(&App) -> bool) -> Option<(u16, &App)> {
        (0..).zip(&self.apps).find(|(_, app)| is_it(app))
    }
}

/// Mostly both are empty. An empty string has no memory, and glibc compares nothing by a masked load from where it would be,
/// which takes a processor with AVX-512 a quarter of a microsecond to find out that it must not fault.
fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

/// `/api` is a prefix of `/api` and `/api/x`, not of `/apix`. The root mountpoint is nobody's prefix: it is what is
/// left when no other one matches.
fn is_prefix(mountpoint: &[u8], path: &[u8]) -> bool {
    let mountpoint = mountpoint.strip_suffix(b"/").unwrap_or(mountpoint);
    if mountpoint.is_empty() {
        return false;
    }
    match path.strip_prefix(mountpoint) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}
