//! Which vassals are started on demand, and on which socket each.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;
use uwgate_config::options::Emperor;
use uwgate_sys::process::Spawn;

use crate::spec::{ConfigFrom, Name, Stamp, VassalSpec};

/// Says on which socket a vassal is to be started.
pub(super) struct OnDemand {
    rule: Rule,
    /// What the command has answered about each vassal's version.
    answers: HashMap<Name, (Stamp, Option<String>)>,
}

/// As in uWSGI, the first of the three options counts.
enum Rule {
    Never,
    /// A file beside the vassal's says it.
    Extension(String),
    /// Its place says it.
    Directory(PathBuf),
    /// A command says it.
    Command(String),
}

impl OnDemand {
    pub(super) fn new(options: &Emperor) -> Self {
        let Emperor {
            emperor_on_demand_extension: extension,
            emperor_on_demand_directory: directory,
            emperor_on_demand_exec: command,
            ..
        } = options;
        let rule = match (extension, directory, command) {
            (Some(extension), ..) => Rule::Extension(extension.value.clone()),
            (None, Some(directory), _) => Rule::Directory(directory.value.clone()),
            (None, None, Some(command)) => Rule::Command(command.value.clone()),
            (None, None, None) => Rule::Never,
        };
        Self {
            rule,
            answers: HashMap::new(),
        }
    }

    /// Tells each vassal's socket.
    pub(super) async fn fill(&mut self, set: &mut [VassalSpec]) {
        if let Rule::Command(command) = &self.rule {
            let mut answers = HashMap::new();
            for spec in &mut *set {
                let known = self.answers.remove(&spec.name);
                let answer = match known {
                    Some((stamp, answer)) if stamp == spec.stamp => Ok(answer),
                    _ => ask(command, spec).await,
                };
                match answer {
                    Ok(answer) => {
                        spec.on_demand.clone_from(&answer);
                        answers.insert(spec.name.clone(), (spec.stamp, answer));
                    }
                    // It is not known to be one, and is asked about again with the next look.
                    Err(error) => tracing::error!(
                        "[emperor] emperor-on-demand-exec = {command}: {error}; vassal {} is started as usual",
                        spec.name
                    ),
                }
            }
            self.answers = answers;
            return;
        }
        for spec in set {
            spec.on_demand = match &self.rule {
                Rule::Never | Rule::Command(_) => None,
                Rule::Extension(extension) => beside(spec, extension),
                Rule::Directory(directory) => within(spec, directory),
            };
        }
    }
}

fn file(spec: &VassalSpec) -> Option<PathBuf> {
    match &spec.config {
        ConfigFrom::File { path } | ConfigFrom::Output { path } => Some(spec.directory.join(path)),
        ConfigFrom::Bytes { .. } => None,
    }
}

/// The first line of the file that has `extension` behind the vassal's name.
fn beside(spec: &VassalSpec, extension: &str) -> Option<String> {
    let mut path = file(spec)?.into_os_string();
    path.push(extension);
    let text = fs::read(path).ok()?;
    first_line(&String::from_utf8_lossy(&text))
}

fn first_line(text: &str) -> Option<String> {
    let line = text.split(|letter: char| letter.is_ascii_control()).next();
    let line = line.unwrap_or_default().trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// `DIRECTORY/NAME.socket`, of a name without its ending.
fn within(spec: &VassalSpec, directory: &Path) -> Option<String> {
    let file = file(spec)?;
    let mut name = file.file_stem()?.to_owned();
    name.push(".socket");
    Some(directory.join(name).to_str()?.to_owned())
}

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer.
const LONGEST: u64 = 4096;

/// What is before the answer of a command that has not failed: its exit code is the reaper's.
const DONE: char = '=';

/// Asks the command about a vassal.
async fn ask(command: &str, spec: &VassalSpec) -> io::Result<Option<String>> {
    let (answer, print) = io::pipe()?;
    let answer = Receiver::from_owned_fd(answer.into())?;
    let script = format!("answer=$({command} \"$1\"\n) && printf '{DONE}%s' \"$answer\"");
    let stdin: OwnedFd = File::open("/dev/null")?.into();
    Spawn {
        args: vec![
            "-c".into(),
            script.into(),
            "sh".into(),
            spec.name.as_str().into(),
        ],
        fds: vec![(stdin, 0), (print.into(), 1)],
        cwd: Some(spec.directory.clone()),
        process_group: true,
        ..Spawn::new("/bin/sh")
    }
    .spawn()?;
    let mut text = String::new();
    let read = async {
        let mut answer = answer.take(LONGEST);
        answer.read_to_string(&mut text).await
    };
    match timeout(PATIENCE, read).await {
        Ok(read) => read?,
        Err(_) => return Err(io::Error::other("it does not answer")),
    };
    let answer = text.strip_prefix(DONE);
    let answer = answer.ok_or_else(|| io::Error::other("it has failed"))?;
    Ok(first_line(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_first_line() {
        assert_eq!(first_line(":80\nmore\n").as_deref(), Some(":80"));
        assert_eq!(
            first_line(" /run/a.sock\r\n").as_deref(),
            Some("/run/a.sock")
        );
        assert_eq!(first_line("\n:80"), None);
        assert_eq!(first_line(""), None);
    }
}
