//! Becoming a newer binary: a reload of all finds that the file this process was started from is another one now.
//!
//! The new file is first asked whether it could; then the emperor becomes it, with its vassals, who are told to reload
//! by the new one.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

use uwgate_config::Loaded;
use uwgate_server::station;
use uwgate_sys::process::{self, Signal, Spawn};
use uwgate_sys::socket;

use crate::emperor::Emperor;
use crate::heritage::{Heir, Heritage, keep};
use crate::reconcile::Standing;
use crate::source::Source;

/// The first argument of an emperor that takes over from its former self; the second is a descriptor, or [`TRY`].
pub const SUCCESSOR: &str = "--succeed-emperor";

/// Asks a binary whether it could take over: see [`try_to_succeed`].
pub const TRY: &str = "try";

/// How a binary says that it could. Many programs would not mind our arguments and end well.
const I_COULD: &str = "uwgate could be the emperor\n";

/// How long a binary may think about it. Vassals do not wait meanwhile, only the emperor does.
const TRIAL: Duration = Duration::from_secs(10);

/// Says whether an emperor of this binary could run the configuration: what a trial runs.
///
/// # Errors
/// Why it could not, one sentence each.
pub fn try_to_succeed(loaded: &Loaded) -> Result<(), Vec<String>> {
    Source::all(&loaded.options)?;
    let said = io::stdout().write_all(I_COULD.as_bytes());
    said.map_err(|error| vec![error.to_string()])
}

impl Emperor {
    /// Becomes a newer binary if there is one. Returns when there is none, or it failed.
    pub(crate) fn upgrade_if_newer(&mut self) {
        let Some(binary) = station::newer_binary(self.binary.as_ref()).cloned() else {
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
                accepting: vassal.heard().accepting.is_some(),
                dialogue: keep(line.dialogue(), &mut kept)?,
                config,
                printed: printed.map(|fd| keep(fd.as_fd(), &mut kept)).transpose()?,
                copied: copied.unwrap_or(0),
                ..Heir::of(spec)
            });
        }
        let kept = heritage.leave(kept)?;
        let list = kept.first().map_or(-1, AsRawFd::as_raw_fd);
        tracing::info!("binary reloading uwgate: becoming {}", binary.display());
        let mut args: Vec<OsString> = vec![SUCCESSOR.into(), list.to_string().into()];
        args.extend_from_slice(&self.args);
        self.station.pause_logs();
        let error = process::replace(binary, &args);
        self.station.resume_logs();
        Err(error)
    }
}

/// Asks a binary whether it could take over; what else it has to say goes to the log.
fn try_out(binary: &Path, args: &[OsString]) -> io::Result<()> {
    let (mut answer, stdout) = io::pipe()?;
    let mut all: Vec<OsString> = vec![SUCCESSOR.into(), TRY.into()];
    all.extend_from_slice(args);
    let pid = Spawn {
        args: all,
        fds: vec![(stdout.into(), 1)],
        ..Spawn::new(binary)
    }
    .spawn()?;
    let mut said = [0; I_COULD.len()];
    let in_time = socket::wait_readable(answer.as_fd(), Some(TRIAL)).unwrap_or(false);
    let could = in_time && answer.read_exact(&mut said).is_ok() && said == *I_COULD.as_bytes();
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
