//! Becoming a newer binary: a reload of all finds that the file this process was started from is another one now.
//!
//! The new file is first asked whether it could; then the emperor becomes it, with its vassals, who are told to reload
//! by the new one.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use uwgate_config::Loaded;
use uwgate_server::successor::{Succession, newer_binary};
use uwgate_sys::process::{self, Signal};
use uwgate_sys::socket;

use crate::emperor::Emperor;
use crate::heritage::{Heir, Heritage, keep};
use crate::reconcile::Standing;
use crate::source::Source;
use crate::vassal::Manner;

/// An emperor and the one that takes over from it.
pub const SUCCESSION: Succession = Succession {
    flag: "--succeed-emperor",
    i_could: "uwgate could be the emperor\n",
};

/// How long a binary may think about it. Vassals do not wait meanwhile, only the emperor does.
const TRIAL: Duration = Duration::from_secs(10);

/// Says whether an emperor of this binary could run the configuration: what a trial runs.
///
/// # Errors
/// Why it could not, one sentence each.
pub fn try_to_succeed(loaded: &Loaded) -> Result<(), Vec<String>> {
    Source::all(&loaded.options)?;
    Manner::new(&loaded.options, None).map_err(|problem| vec![problem])?;
    let said = SUCCESSION.say_that_it_could();
    said.map_err(|error| vec![error.to_string()])
}

impl Emperor {
    /// Becomes a newer binary if there is one. Returns when there is none, or it failed.
    pub(crate) fn upgrade_if_newer(&mut self) {
        let Some(binary) = newer_binary(self.binary.as_ref()).cloned() else {
            return;
        };
        tracing::info!(
            "{} is a newer binary: trying it on the configuration",
            binary.display()
        );
        if let Err(error) = try_out(&binary, &self.args) {
            return tracing::error!(
                "UPGRADE FAILED: {}: {error}; the old binary goes on",
                binary.display()
            );
        }
        // What comes from here on waits for the successor.
        uwgate_sys::signals::block_all();
        self.handle_what_has_come();
        if !self.realm.is_ending() {
            let Err(error) = self.become_binary(&binary);
            tracing::error!(
                "UPGRADE FAILED: {}: {error}; the old binary goes on",
                binary.display()
            );
        }
        uwgate_sys::signals::unblock_all();
    }

    fn become_binary(&mut self, binary: &Path) -> io::Result<Infallible> {
        let mut kept = Vec::new();
        let mut heritage = Heritage {
            started: self.started,
            ..Heritage::default()
        };
        for (spec, fd) in self.doors.hand_over()? {
            let fd = keep(fd.as_fd(), &mut kept)?;
            heritage.doors.push((Heir::of(&spec), fd));
        }
        for (name, vassal) in self.realm.vassals() {
            if vassal.standing() == Standing::Held {
                heritage.held.push(name.to_string());
            }
            let (Some(pid), Some(spec), Some(line)) =
                (vassal.pid(), vassal.started_with(), self.lines.get(name))
            else {
                continue;
            };
            let config = line.config().map(|fd| keep(fd, &mut kept)).transpose()?;
            let (printed, copied) = self.outputs.hand_over(name)?.unzip();
            heritage.vassals.push(Heir {
                pid: pid.as_raw(),
                foreign: self.kept.as_ref().is_some_and(|it| it.find(pid).is_some()),
                accepting: vassal.heard().accepting.is_some(),
                dialogue: keep(line.dialogue(), &mut kept)?,
                config,
                printed: printed.map(|fd| keep(fd.as_fd(), &mut kept)).transpose()?,
                copied: copied.unwrap_or(0),
                ..Heir::of(spec)
            });
        }
        let kept = heritage.leave(kept)?;
        tracing::info!("binary reloading uwgate: becoming {}", binary.display());
        self.station.pause_logs();
        let failed = SUCCESSION.become_binary(binary, &kept, &self.args);
        self.station.resume_logs();
        failed
    }
}

/// Waits for what a binary says to the configuration.
fn try_out(binary: &Path, args: &[OsString]) -> io::Result<()> {
    let (pid, mut answer) = SUCCESSION.ask(binary, args)?;
    let in_time = socket::wait_readable(answer.as_fd(), Some(TRIAL)).unwrap_or(false);
    let could = in_time && SUCCESSION.could(&mut answer);
    if !could {
        let _ = process::kill(pid, Signal::KILL);
    }
    let exit = process::reap(pid)?;
    match could {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "it does not take the configuration ({exit})"
        ))),
    }
}
