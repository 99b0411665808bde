//! What a configuration can ask about its surroundings: the environment, the machine, the clock.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// uWSGI's version that `%V` gives: the one whose language this is.
const LANGUAGE_VERSION: &str = "2.0.31";

/// The surroundings of one load. Everything is asked for when it is needed, since most files need none of it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The environment in its order. Variables that are not UTF-8 cannot be named in a configuration.
    pub(crate) environment: Vec<(String, String)>,
    /// Names of `UWSGI_*` and `UWGATE_*` variables whose value is not UTF-8.
    pub(crate) unreadable: Vec<String>,
    by_name: HashMap<String, String>,
    /// Directory that relative names start from.
    pub(crate) directory: PathBuf,
    /// Whether `@(exec://...)` may run its command.
    pub(crate) run_commands: bool,
    /// What the emperor has sent, which is what `emperor://` names, or why there is nothing.
    pub(crate) emperor: Option<Result<Vec<u8>, String>>,
    /// A text by name that takes the place of all files: nothing outside is read, run or asked.
    pub(crate) only: Option<(String, String)>,
}

impl World {
    /// The world of this process, with the environment given.
    pub(crate) fn new(environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut world = Self {
            environment: Vec::new(),
            unreadable: Vec::new(),
            by_name: HashMap::new(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            run_commands: true,
            emperor: None,
            only: None,
        };
        for (name, value) in environment {
            world.add(name, value);
        }
        world
    }

    /// A world that consists of one text.
    pub(crate) fn of_text(name: &str, text: &str) -> Self {
        Self {
            run_commands: false,
            only: Some((name.to_owned(), text.to_owned())),
            ..Self::new(std::iter::empty())
        }
    }

    fn add(&mut self, name: OsString, value: OsString) {
        let Ok(name) = name.into_string() else { return };
        match value.into_string() {
            Ok(value) => {
                self.by_name.insert(name.clone(), value.clone());
                self.environment.push((name, value));
            }
            Err(_) if name.starts_with("UWSGI_") || name.starts_with("UWGATE_") => {
                self.unreadable.push(name);
            }
            Err(_) => {}
        }
    }

    /// A variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(String::as_str)
    }

    /// Whether the instance is being reloaded.
    pub(crate) fn is_reload(&self) -> bool {
        self.by_name.contains_key("UWSGI_RELOADS")
    }

    /// `name` as it is reached from the directory of the start.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The value of a magic variable that does not depend on a file.
    pub(crate) fn magic(&self, letter: u8) -> Option<String> {
        Some(match letter {
            b'v' => self.directory.to_string_lossy().into_owned(),
            b'h' => host_name(),
            b'V' => LANGUAGE_VERSION.into(),
            b'k' => processors().to_string(),
            b'u' => rustix::process::getuid().as_raw().to_string(),
            b'g' => rustix::process::getgid().as_raw().to_string(),
            b'U' => account("/etc/passwd", rustix::process::getuid().as_raw()),
            b'G' => account("/etc/group", rustix::process::getgid().as_raw()),
            b't' => now().as_secs().to_string(),
            b'T' => now().as_micros().to_string(),
            b'b' => std::env::current_exe()
                .map(|path| path.to_string_lossy().into_owned())
                .unwrap_or_default(),
            b'[' => "\u{1b}".into(),
            b'%' => "%".into(),
            _ => return None,
        })
    }
}

/// The host's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// How many processors are online, like uWSGI not asking about quotas and affinity.
fn processors() -> usize {
    std::fs::read_to_string("/sys/devices/system/cpu/online")
        .ok()
        .and_then(|list| count_of_ranges(list.trim()))
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1)
}

/// Counts a list such as `0-3,6`.
fn count_of_ranges(list: &str) -> Option<usize> {
    list.split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            Some((last + 1).saturating_sub(first))
        })
        .sum()
}

/// The name of a numeric id in a file of the form of /etc/passwd; the number itself when it has none there.
fn account(file: &str, id: u32) -> String {
    let id = id.to_string();
    let accounts = std::fs::read_to_string(Path::new(file)).unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    name.unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_from_ranges() {
        assert_eq!(count_of_ranges("0-1"), Some(2));
        assert_eq!(count_of_ranges("0"), Some(1));
        assert_eq!(count_of_ranges("0-3,6,8-9"), Some(7));
        assert_eq!(count_of_ranges(""), None);
    }
}
