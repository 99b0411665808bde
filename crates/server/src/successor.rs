//! A newer binary in the place of the one that runs: how a process finds it, asks it whether it could take over, and
//! becomes it.
//!
//! Both sides are this program: `FLAG try ARGUMENTS` asks, and the answer is a line on stdout; `FLAG FD ARGUMENTS` takes
//! over what the descriptor says.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use uwgate_sys::process::{self, Pid, Spawn};

/// Stands where the descriptor would: the binary is only asked.
pub const TRY: &str = "try";

/// How a process of one kind and its successor find each other.
#[derive(Debug, Clone, Copy)]
pub struct Succession {
    /// The first argument.
    pub flag: &'static str,
    /// How a binary says that it could. Many programs would not mind our arguments and end well.
    pub i_could: &'static str,
}

impl Succession {
    /// Says, on stdout, that this binary could take over.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub fn say_that_it_could(&self) -> io::Result<()> {
        io::stdout().write_all(self.i_could.as_bytes())
    }

    /// Asks a binary whether it could take over; what else it has to say goes to the log.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn ask(&self, binary: &Path, args: &[OsString]) -> io::Result<(Pid, PipeReader)> {
        let (answer, stdout) = io::pipe()?;
        let pid = Spawn {
            args: self.with(TRY, args),
            fds: vec![(stdout.into(), 1)],
            ..Spawn::new(binary)
        }
        .spawn()?;
        Ok((pid, answer))
    }

    /// What a binary that was asked has said. Somebody it has left behind may still hold the pipe, so this does not wait.
    pub fn could(&self, answer: &mut PipeReader) -> bool {
        let mut said = vec![0; self.i_could.len()];
        let patience = rustix::io::ioctl_fionbio(&*answer, true);
        patience.is_ok() && answer.read_exact(&mut said).is_ok() && said == self.i_could.as_bytes()
    }

    /// Becomes the binary, with the first of `kept` to tell it what there is.
    ///
    /// # Errors
    /// What the kernel says; this process goes on then.
    pub fn become_binary(
        &self,
        binary: &Path,
        kept: &[OwnedFd],
        args: &[OsString],
    ) -> io::Result<Infallible> {
        let list = kept.first().map_or(-1, AsRawFd::as_raw_fd);
        Err(process::replace(
            binary,
            &self.with(&list.to_string(), args),
        ))
    }

    fn with(&self, word: &str, args: &[OsString]) -> Vec<OsString> {
        let mut all = vec![self.flag.into(), word.into()];
        all.extend_from_slice(args);
        all
    }
}

/// The file at `path`, if it is not the one that runs.
pub fn newer_binary(path: Option<&PathBuf>) -> Option<&PathBuf> {
    let running = fs::metadata("/proc/self/exe").ok()?;
    let there = fs::metadata(path?).ok()?;
    let same = (running.dev(), running.ino()) == (there.dev(), there.ino());
    path.filter(|_| !same && there.is_file())
}

/// Where the file of this process is, or was: to be asked early, as the name follows a file that is moved away. The
/// kernel marks the name of one that was replaced.
pub fn started_from() -> Option<PathBuf> {
    let name = fs::read_link("/proc/self/exe").ok()?.into_os_string();
    let bytes = name.as_bytes();
    let path = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    Some(PathBuf::from(OsString::from_vec(path.to_vec())))
}
