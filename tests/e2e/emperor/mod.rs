//! The emperor and its vassals. Both sides speak uWSGI's dialogue, so every pairing is tested: ours over ours, ours
//! over a real uWSGI, a real uWSGI over ours, and, as the judge of the test, uWSGI over itself.

mod adoption;
mod bounds;
mod commands;
mod ctl;
mod hooks;
mod life;
mod on_demand;
mod owners;
mod table;
mod trouble;
mod upgrades;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use crate::support::process::Process;
use crate::support::server::clean_command;
use crate::support::wait::{PATIENCE, until, until_true};
use crate::support::{Address, Kind, TempDir, paths};

/// Writes one test body for each pairing of an emperor and its vassals.
macro_rules! pairings {
    ($(#[$doc:meta])* fn $name:ident($realm:ident) $body:block) => {
        $(#[$doc])*
        mod $name {
            use super::*;

            fn body($realm: Realm) $body

            #[test]
            fn uwgate_over_uwgate() {
                body(Realm::new(Kind::Uwgate, Kind::Uwgate));
            }

            #[test]
            fn uwgate_over_uwsgi() {
                body(Realm::new(Kind::Uwgate, Kind::Uwsgi));
            }

            #[test]
            fn uwsgi_over_uwgate() {
                body(Realm::new(Kind::Uwsgi, Kind::Uwgate));
            }

            #[test]
            fn uwsgi_over_uwsgi() {
                body(Realm::new(Kind::Uwsgi, Kind::Uwsgi));
            }
        }
    };
}
use pairings;

/// The control socket, in the directory of the test.
const CONTROL: &str = "control.sock";

/// An emperor to be: its vassals' directory and its options.
struct Realm {
    emperor: Kind,
    vassals: Kind,
    dir: Arc<TempDir>,
    options: Vec<String>,
    /// Another copy of the emperor's program.
    program: Option<PathBuf>,
}

impl Realm {
    fn new(emperor: Kind, vassals: Kind) -> Self {
        let dir = Arc::new(TempDir::new());
        fs::create_dir(dir.join("vassals")).expect("a new directory");
        Self {
            emperor,
            vassals,
            dir,
            options: Vec::new(),
            program: None,
        }
    }

    fn ours() -> Self {
        Self::new(Kind::Uwgate, Kind::Uwgate)
    }

    fn option(mut self, name: &str, value: impl ToString) -> Self {
        self.options
            .extend([format!("--{name}"), value.to_string()]);
        self
    }

    fn flag(mut self, name: &str) -> Self {
        self.options.push(format!("--{name}"));
        self
    }

    fn start(self) -> Emperor {
        let process = Process::start(self.command(), &self.dir.join("emperor.log"));
        Emperor {
            process,
            dir: self.dir,
        }
    }

    /// What becomes the emperor.
    fn command(&self) -> Command {
        let Self {
            emperor,
            vassals,
            dir,
            options,
            program,
        } = self;
        let program = program.as_deref();
        let mut command = program.map_or_else(|| emperor.command(), clean_command);
        if emperor != vassals {
            command.arg("--emperor-wrapper").arg(vassals.program());
        }
        command
            .arg("--emperor")
            .arg(dir.join("vassals"))
            .args(["--emperor-freq", "1"])
            .arg("--emperor-pidfile")
            .arg(dir.join("e.pid"))
            .args(options)
            .current_dir(dir.join("."));
        if *emperor == Kind::Uwgate {
            command
                .arg("--emperor-control-socket")
                .arg(dir.join(CONTROL));
        }
        command
    }
}

/// A running emperor.
struct Emperor {
    // Fields are dropped in this order: first the process, then its directory.
    process: Process,
    dir: Arc<TempDir>,
}

/// Says which version of its configuration it runs, and in which process.
const APP: &str = "import os\n\
    def application(environ, start_response):\n\
    \x20   start_response('200 OK', [('Content-Type', 'text/plain')])\n\
    \x20   return [('%s %s' % (os.environ.get('VERSION'), os.getpid())).encode()]\n";

impl Emperor {
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join("vassals").join(name)
    }

    fn socket(&self, name: &str) -> Address {
        Address::Unix(self.dir.join(format!("{name}.sock")))
    }

    /// The configuration of a vassal that answers with `version`.
    fn config(&self, name: &str, version: &str) -> String {
        let app = self.dir.write("app.py", APP);
        format!(
            "[uwsgi]\nhttp-socket = {}\nmaster = true\nneed-app = true\nwsgi-file = {}\nenv = VERSION={version}\n",
            self.socket(name),
            app.display()
        )
    }

    /// Puts a configuration there as editors and deployments do: written beside, then moved.
    fn put(&self, name: &str, text: &str) {
        let beside = self.dir.write(&format!("{name}.new"), text);
        fs::rename(beside, self.file(name)).expect("a file can be moved");
    }

    fn add(&self, name: &str, version: &str) {
        self.put(name, &self.config(name, version));
    }

    /// What the vassal answers, if it does.
    fn ask(&self, name: &str) -> Option<String> {
        ask(&self.socket(name))
    }

    /// Waits until the vassal answers with this version.
    fn wait_for_version(&self, name: &str, version: &str) {
        until_true(&format!("version {version} of {name}"), || {
            self.ask(name)
                .is_some_and(|text| text.starts_with(&format!("{version} ")))
        });
    }

    fn log(&self) -> String {
        self.process.log()
    }

    fn wait_for_log(&self, text: &str) {
        until_true(&format!("{text:?} in the log"), || {
            self.log().contains(text)
        });
    }

    fn count_in_log(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Asks the control socket and gives the first answer.
    fn control(&self, request: &str) -> serde_json::Value {
        use std::io::{BufRead, BufReader};

        let path = self.dir.join(CONTROL);
        let mut socket = until("the control socket", || {
            std::os::unix::net::UnixStream::connect(&path).ok()
        });
        writeln!(socket, "{request}").expect("a request can be sent");
        let mut line = String::new();
        BufReader::new(socket)
            .read_line(&mut line)
            .expect("an answer");
        serde_json::from_str(&line).expect("JSON")
    }

    fn status(&self, name: &str) -> serde_json::Value {
        let request = format!("{{\"do\":\"status\",\"vassal\":\"{name}\",\"lines\":20}}");
        self.control(&request)["vassal"].take()
    }

    /// Waits until the emperor says that the vassal is in this state.
    fn wait_for_state(&self, name: &str, state: &str) {
        until_true(&format!("{name} to be {state}"), || {
            self.status(name)["state"] == state
        });
    }

    /// `uwgate ctl` with these words.
    fn ctl(&self, words: &[&str]) -> Output {
        let socket = self.dir.join(CONTROL);
        self.wait_for_control();
        Kind::Uwgate
            .command()
            .arg("ctl")
            .args(words)
            .env("UWGATE_CTL_SOCKET", socket)
            .output()
            .expect("the program can be run")
    }

    fn wait_for_control(&self) {
        let socket = Address::Unix(self.dir.join(CONTROL));
        until_true("the control socket", || socket.is_listening());
    }

    fn pid(&self, name: &str) -> u32 {
        let pid = self.status(name)["pid"].as_u64().expect("a pid");
        u32::try_from(pid).expect("a pid")
    }
}

/// What is answered there, if anything is.
fn ask(address: &Address) -> Option<String> {
    let mut connection = address.connect().ok()?;
    connection.set_timeout(PATIENCE).ok()?;
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    Some(body.to_owned())
}

fn there(path: &Path) -> bool {
    path.exists()
}

fn hello() -> PathBuf {
    paths::app("hello.py")
}
