//! What the kernel lets this process do: open files, the mode of new files.

use std::io;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors may be open (`RLIMIT_NOFILE`); `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit in force.
    pub soft: Option<u64>,
    /// How far the soft limit may be raised without privilege.
    pub hard: Option<u64>,
}

/// The limit on open files.
pub fn open_files() -> OpenFiles {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    OpenFiles {
        soft: current,
        hard: maximum,
    }
}

/// Sets the limit on open files to `limit`, and the hard limit too when it is lower (which needs privilege:
/// `PermissionDenied`). Inherited by children.
pub fn set_open_files(limit: u64) -> io::Result<()> {
    let hard = open_files().hard.map(|hard| hard.max(limit));
    Ok(setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(limit),
            maximum: hard,
        },
    )?)
}

/// Limits this process's address space to so many bytes (`RLIMIT_AS`): whoever wants more memory gets none. Inherited.
pub fn limit_address_space(bytes: u64) -> io::Result<()> {
    limit(Resource::As, bytes)
}

/// Limits the processes and threads of this process's user (`RLIMIT_NPROC`); the kernel lets root have more. Inherited.
pub fn limit_processes(count: u64) -> io::Result<()> {
    limit(Resource::Nproc, count)
}

/// Sets a limit of setrlimit(2) by its name without `RLIMIT_`, soft and hard; `None` is unlimited. Inherited.
///
/// `InvalidInput` when there is no such limit.
pub fn set_limit(name: &str, to: Option<u64>) -> io::Result<()> {
    let resource = match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let limit = Rlimit {
        current: to,
        maximum: to,
    };
    Ok(setrlimit(resource, limit)?)
}

fn limit(resource: Resource, to: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(to),
        maximum: Some(to),
    };
    Ok(setrlimit(resource, limit)?)
}

/// Sets the bits that new files and sockets do not get; returns the old ones. For all threads, inherited.
pub fn umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask & 0o777)).as_raw_mode()
}
