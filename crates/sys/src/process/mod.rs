//! Processes: who they are, how they ended, how to start, signal and reap them.

mod capabilities;
mod daemon;
mod descriptors;
mod fork;
mod handle;
mod limits;
mod memory;
mod namespaces;
mod privileges;
mod scheduling;
mod spawn;
mod title;

use std::ffi::CString;
use std::fmt;
use std::io;
use std::num::NonZeroI32;
use std::time::Duration;

use rustix::process::WaitOptions;

pub use capabilities::Capabilities;
pub use daemon::{Caller, to_background};
pub use descriptors::{connected_to, descriptors};
pub use fork::{Fork, exit_now, fork, fork_adopted, thread_count};
pub use handle::{Handle, Identified, boot};
pub use limits::{
    OpenFiles, limit_address_space, limit_processes, open_files, set_limit, set_open_files, umask,
};
pub use memory::{Memory, memory};
pub use namespaces::Namespaces;
pub use privileges::{Identity, drop_to, drop_to_keeping, resolve, resolve_group, resolve_user};
pub use rustix::process::Signal;
pub use scheduling::{allowed_cpus, bind_to_cpus, set_nice};
pub use spawn::{SELF, Spawn, exec_self, inheritable, inherited, replace};
pub use title::set_title;

/// A process id: positive, never "any" (-1) and never "my group" (0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroI32);

impl Pid {
    /// `None` unless `raw` is positive.
    pub fn from_raw(raw: i32) -> Option<Pid> {
        NonZeroI32::new(raw)
            .filter(|raw| raw.is_positive())
            .map(Pid)
    }

    /// The number, as logs and other processes know it.
    pub fn as_raw(self) -> i32 {
        self.0.get()
    }

    fn as_rustix(self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(self.0.get()).expect("a Pid is positive")
    }
}

impl From<rustix::process::Pid> for Pid {
    fn from(pid: rustix::process::Pid) -> Pid {
        Pid(pid.as_raw_nonzero())
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a process ended. Displays in uWSGI's words: `killed by signal 9`, `exited with code 22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It called exit; 0 to 255.
    Code(i32),
    /// A signal killed it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core dump.
        core: bool,
    },
    /// It was somebody else's child, who alone knows how it ended.
    Unseen,
}

impl Exit {
    fn of(status: rustix::process::WaitStatus) -> Option<Exit> {
        if let Some(code) = status.exit_status() {
            return Some(Exit::Code(code));
        }
        let signal = status.terminating_signal()?;
        Some(Exit::Signal {
            signal,
            core: libc::WCOREDUMP(status.as_raw()),
        })
    }

    /// Whether it ended by itself with code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal {
                signal,
                core: false,
            } => write!(f, "killed by signal {signal}"),
            Exit::Signal { signal, core: true } => {
                write!(f, "killed by signal {signal} (core dumped)")
            }
            Exit::Unseen => f.write_str("has ended (how is not known)"),
        }
    }
}

/// This process.
pub fn this() -> Pid {
    rustix::process::getpid().into()
}

/// The process that will reap this one; `None` when it lives in a pid namespace outside ours.
pub fn parent() -> Option<Pid> {
    rustix::process::getppid().map(Pid::from)
}

/// Reaps one ended child, of whatever origin, without waiting; `None` when none has ended or there are none.
///
/// Call it until `None` after each SIGCHLD: one signal may stand for many ends.
pub fn reap_any() -> io::Result<Option<(Pid, Exit)>> {
    wait_for(None, WaitOptions::NOHANG)
}

/// Reaps one given child, waiting for its end. An error `ECHILD` says it is not ours or was reaped before.
pub fn reap(pid: Pid) -> io::Result<Exit> {
    match wait_for(Some(pid), WaitOptions::empty())? {
        Some((_, exit)) => Ok(exit),
        None => Err(io::Error::from_raw_os_error(libc::ECHILD)),
    }
}

fn wait_for(pid: Option<Pid>, options: WaitOptions) -> io::Result<Option<(Pid, Exit)>> {
    loop {
        let waited = rustix::io::retry_on_intr(|| match pid {
            Some(pid) => rustix::process::waitpid(Some(pid.as_rustix()), options),
            // Of any process group: `waitpid` without a pid would look at ours only.
            None => rustix::process::wait(options),
        });
        match waited {
            Ok(None) => return Ok(None),
            Err(rustix::io::Errno::CHILD) => return Ok(None),
            Err(error) => return Err(error.into()),
            // A status that is no end (stopped by a tracer) is passed over.
            Ok(Some((pid, status))) => {
                if let Some(exit) = Exit::of(status) {
                    return Ok(Some((pid.into(), exit)));
                }
            }
        }
    }
}

/// Sends a signal. Only to a child not yet reaped: afterwards the number may belong to a stranger.
pub fn kill(pid: Pid, signal: Signal) -> io::Result<()> {
    Ok(rustix::process::kill_process(pid.as_rustix(), signal)?)
}

/// Sends a signal to every process of the group led by `leader`.
pub fn kill_group(leader: Pid, signal: Signal) -> io::Result<()> {
    Ok(rustix::process::kill_process_group(
        leader.as_rustix(),
        signal,
    )?)
}

/// Whether the process exists (it may be a zombie) and may be signalled by us, or exists and belongs to another user.
pub fn exists(pid: Pid) -> bool {
    !matches!(
        rustix::process::test_kill_process(pid.as_rustix()),
        Err(rustix::io::Errno::SRCH)
    )
}

/// Makes descendants whose parent dies children of this process, so that it can reap them.
/// Lasts over exec; children do not inherit it.
pub fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// Asks for `signal` when the parent dies; more exactly, when the *thread* that started this process ends.
/// An exec of a set-user-id program and a change of user clear it.
///
/// Look at [`parent`] afterwards: a parent that had died before the call goes unnoticed.
/// Never call it in a process that waits to be adopted ([`fork_adopted`] returns after adoption).
pub fn set_death_signal(signal: Signal) -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        signal,
    ))?)
}

/// Goes on when the parent dies, whatever [`set_death_signal`] has asked for. Of use in the main thread only.
pub fn outlive_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(None)?)
}

/// Names the calling thread; of the main thread, the process in `ps` and `top`. Cut to 15 bytes, at a NUL if any.
pub fn set_name(name: &str) -> io::Result<()> {
    let name: Vec<u8> = name
        .bytes()
        .take(15)
        .take_while(|&byte| byte != 0)
        .collect();
    let name = CString::new(name).expect("cut at the first NUL");
    Ok(rustix::thread::set_name(&name)?)
}

/// Waits until this process is no longer a child of `middle`, that is until a reaper has adopted it.
/// Returns the new parent.
pub fn wait_for_adoption(middle: Pid) -> Option<Pid> {
    loop {
        let parent = parent();
        if parent != Some(middle) {
            return parent;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}
