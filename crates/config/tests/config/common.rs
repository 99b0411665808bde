//! Running the same configuration through this crate and through real uWSGI.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use uwgate_config::{Entry, Finding, list_in};

/// How long a real uWSGI may take to print its list.
const DEADLINE: Duration = Duration::from_secs(30);

/// The user without rights on every Linux system.
const NOBODY: u32 = 65534;

/// One start: files in an empty directory, arguments, environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Run {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

impl Run {
    /// The environment of both: nothing of the caller's but what programs need.
    fn environment(&self) -> Vec<(String, String)> {
        let own = [("PATH", "/usr/bin:/bin"), ("HOME", "/root")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut all: Vec<_> = own.into_iter().chain(self.environment.clone()).collect();
        // std::process::Command hands variables over in this order.
        all.sort();
        all
    }
}

/// A directory of its own for one run, removed in the end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(run: &Run) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("uwgate-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name).join("run");
        std::fs::create_dir_all(&path).unwrap();
        for (name, content) in &run.files {
            let file = path.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        Self(path)
    }

    /// A text with this run's directory and this machine's name taken out.
    fn anonymous(&self, text: &str) -> String {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy().into_owned();
        text.replace(&*self.0.to_string_lossy(), "{DIR}")
            .replace(&host, "{HOST}")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// Our list; `Err` when the language is used wrongly.
pub(crate) fn entries(run: &Run) -> Result<Vec<Entry>, Vec<Finding>> {
    entries_in(&Directory::new(run), run)
}

fn entries_in(directory: &Directory, run: &Run) -> Result<Vec<Entry>, Vec<Finding>> {
    let arguments: Vec<OsString> = run.arguments.iter().map(Into::into).collect();
    let environment = run.environment();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    list_in(&directory.0, &arguments, environment)
}

/// Our list, in the form of `show-config`; `None` when there are errors.
pub(crate) fn ours(run: &Run) -> Option<Vec<String>> {
    let directory = Directory::new(run);
    let line = |entry: &Entry| {
        let value = entry.value.as_deref().unwrap_or("true");
        directory.anonymous(&format!("{} = {value}", entry.key))
    };
    let entries = entries_in(&directory, run).ok()?;
    Some(entries.iter().map(line).collect())
}

/// The directory with the public configurations and the list of uWSGI's names: the one that `UWGATE_SHARED` names, or
/// `shared` beside this checkout. Says so when there is none.
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("UWGATE_SHARED").map_or_else(beside, PathBuf::from);
    if path.join("corpus").exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: no {}/corpus (set UWGATE_SHARED)", path.display());
    None
}

/// A real uWSGI.
pub(crate) struct Uwsgi(PathBuf);

impl Uwsgi {
    /// The one that `UWGATE_UWSGI` names, or that of `target/venv`. Says so when there is none.
    pub(crate) fn find() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let path = std::env::var_os("UWGATE_UWSGI")
            .map_or_else(|| root.join("target/venv/bin/uwsgi"), PathBuf::from);
        if path.exists() {
            return Some(Self(path));
        }
        eprintln!("SKIPPED: no uWSGI at {} (set UWGATE_UWSGI)", path.display());
        None
    }

    /// The list that it makes of a run, as `show-config` prints it; `None` when it ends before.
    pub(crate) fn list(&self, run: &Run) -> Option<Vec<String>> {
        let directory = Directory::new(run);
        let mut command = Command::new(&self.0);
        // Some configurations would change the machine; nobody cannot.
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command
            .args(&run.arguments)
            .current_dir(&directory.0)
            .env_clear()
            .env("UWSGI_SHOW_CONFIG", "1")
            .envs(run.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        let reader = std::thread::spawn(move || sender.send(shown(output)));
        let lines = receiver.recv_timeout(DEADLINE);
        // It would go on and serve; nothing of that is wanted.
        let group = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = child.wait();
        let _ = reader.join();
        let lines = lines.expect("uWSGI prints its list or ends in time")?;
        Some(lines.iter().map(|line| directory.anonymous(line)).collect())
    }
}

/// The lines between `[uwsgi]` and the end of the configuration.
fn shown(mut output: impl BufRead) -> Option<Vec<String>> {
    let mut list: Option<Vec<String>> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if output.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        match (&mut list, text.as_str()) {
            (None, "[uwsgi]") => list = Some(Vec::new()),
            (None, _) => {}
            (Some(list), ";end of configuration") => return Some(std::mem::take(list)),
            (Some(_), "show-config = 1") => {}
            (Some(list), text) => match is_entry(text) {
                true => list.push(text.to_owned()),
                // A line break within a value.
                false => {
                    let last = list.last_mut()?;
                    last.push('\n');
                    last.push_str(text);
                }
            },
        }
    }
}

fn is_entry(text: &str) -> bool {
    text.contains(" = ")
}
