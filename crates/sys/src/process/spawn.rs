//! Starting programs: fork and exec, with descriptors put at chosen numbers.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use rustix::io::FdFlags;

use super::{Capabilities, Namespaces, Pid, Signal};
use crate::signals;

/// The program that is running now, even when its file was replaced by an upgrade since.
pub const SELF: &str = "/proc/self/exe";

/// A program to start. Signal mask and dispositions of the child are the defaults, whatever ours are;
/// of our descriptors it gets 0, 1, 2, those in `fds`, and any that lacks close-on-exec.
///
/// ```
/// use uwgate_sys::process::{Exit, Spawn, reap};
///
/// let pid = Spawn { args: vec!["-c".into(), "exit 7".into()], ..Spawn::new("/bin/sh") }.spawn()?;
/// assert_eq!(reap(pid)?, Exit::Code(7));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Spawn {
    /// Path, or a name without slash to be found on PATH (of `env`, when that sets one).
    pub program: OsString,
    /// What the child sees as its own name (argv\[0\]); the program when `None`.
    pub arg0: Option<OsString>,
    /// Arguments after argv\[0\].
    pub args: Vec<OsString>,
    /// The whole environment; `None` passes ours on.
    pub env: Option<Vec<(OsString, OsString)>>,
    /// Descriptors and the numbers they get in the child. Each number at most once; 0, 1 and 2 are allowed.
    pub fds: Vec<(OwnedFd, RawFd)>,
    /// Working directory; `None` keeps ours.
    pub cwd: Option<PathBuf>,
    /// Whether the child leads a new session (and process group), away from our terminal.
    pub new_session: bool,
    /// Whether the child leads a new process group (implied by `new_session`).
    pub process_group: bool,
    /// Signal the child gets when the thread that called [`Spawn::spawn`] ends; the child is not started when we
    /// are dead before that is arranged.
    pub death_signal: Option<Signal>,
    /// Capabilities that the program has although it is not root; this process must have them.
    pub capabilities: Capabilities,
    /// Namespaces that the child gets new ones of; `program` has to be a path then. Not for [`Spawn::exec`]. Without
    /// root, the program has all capabilities in a new user namespace.
    pub namespaces: Namespaces,
}

impl Spawn {
    /// The program without arguments; the rest is chosen by struct update.
    pub fn new(program: impl Into<OsString>) -> Spawn {
        Spawn {
            program: program.into(),
            ..Spawn::default()
        }
    }

    /// Starts it. Returns after the exec has succeeded; what made it fail (no such file, no permission, not a
    /// program, no such directory) is the error, and then no child is left to reap.
    pub fn spawn(self) -> io::Result<Pid> {
        if !self.namespaces.is_empty() {
            return super::namespaces::spawn_apart(self);
        }
        let (mut command, reserved) = self.prepare(Some(super::this()))?;
        let child = command.spawn();
        drop(reserved);
        let id = i32::try_from(child?.id()).ok().and_then(Pid::from_raw);
        id.ok_or_else(|| io::Error::other("the kernel gave a process id that is none"))
    }

    /// Becomes it: same pid, same parent. Returns only when that failed.
    ///
    /// The process must have a single thread. After an error it is good for reporting and ending only: its signals
    /// are the defaults, and what it held at the numbers in `fds` is lost.
    pub fn exec(self) -> io::Error {
        match self.prepare(super::parent()) {
            Ok((mut command, _reserved)) => command.exec(),
            Err(error) => error,
        }
    }

    /// The command, and what has to stay open until it has started.
    fn prepare(self, parent: Option<Pid>) -> io::Result<(Command, Reserved)> {
        let Spawn {
            program,
            arg0,
            args,
            env,
            fds,
            cwd,
            new_session,
            process_group,
            death_signal,
            capabilities,
            namespaces: _,
        } = self;
        let mut command = Command::new(&program);
        command.args(args);
        if let Some(arg0) = arg0 {
            command.arg0(arg0);
        }
        if let Some(env) = env {
            command.env_clear().envs(env);
        }
        if let Some(cwd) = cwd {
            command.current_dir(cwd);
        }
        let (moves, reserved) = plan_moves(fds)?;
        let in_child = move || {
            signals::reset_to_default();
            if new_session {
                rustix::process::setsid()?;
            } else if process_group {
                rustix::process::setpgid(None, None)?;
            }
            if let Some(signal) = death_signal {
                die_with(parent, signal)?;
            }
            capabilities.pass_on()?;
            put_in_place(&moves)
        };
        // SAFETY: the closure runs between fork and exec. It makes plain system calls only: no allocation, no lock,
        // no panic; an `io::Error` made from an errno allocates nothing.
        unsafe { command.pre_exec(in_child) };
        Ok((command, reserved))
    }
}

/// Async-signal-safe.
fn die_with(parent: Option<Pid>, signal: Signal) -> io::Result<()> {
    super::set_death_signal(signal)?;
    if super::parent() != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// A descriptor and the number it gets. Sources sit above all targets, so no move overwrites another's source.
pub(super) type Moves = Vec<(OwnedFd, RawFd)>;

/// Occupies every number up to the highest target: nothing that `Command` opens for itself (it learns about a failed
/// exec through a pipe) may sit where the child is about to put something else.
pub(super) type Reserved = Vec<OwnedFd>;

pub(super) fn plan_moves(fds: Vec<(OwnedFd, RawFd)>) -> io::Result<(Moves, Reserved)> {
    let mut numbers: Vec<RawFd> = fds.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    if numbers.first().is_some_and(|&lowest| lowest < 0)
        || numbers.windows(2).any(|pair| pair[0] == pair[1])
    {
        let why = "two descriptors for one number, or a negative one";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let Some(&highest) = numbers.last() else {
        return Ok((Moves::new(), Reserved::new()));
    };
    let (mut moves, mut reserved) = (Moves::new(), fill_up_to(highest)?);
    for (fd, number) in fds {
        moves.push((
            rustix::io::fcntl_dupfd_cloexec(&fd, highest.saturating_add(1))?,
            number,
        ));
        // The original may well be below the highest target, so it keeps its place until the end.
        reserved.push(fd);
    }
    Ok((moves, reserved))
}

fn fill_up_to(highest: RawFd) -> io::Result<Reserved> {
    let null = File::open("/dev/null")?;
    let mut reserved = Reserved::new();
    while reserved
        .last()
        .is_none_or(|fd: &OwnedFd| fd.as_raw_fd() <= highest)
    {
        reserved.push(rustix::io::fcntl_dupfd_cloexec(&null, 3)?);
    }
    reserved.push(null.into());
    Ok(reserved)
}

/// Runs in the child. Async-signal-safe: dup2 only.
pub(super) fn put_in_place(moves: &[(OwnedFd, RawFd)]) -> io::Result<()> {
    for (fd, number) in moves {
        // SAFETY: nothing that lives at `number` will be used again by this program: exec follows, or the end.
        // dup2 clears close-on-exec, as source and target differ.
        if unsafe { libc::dup2(fd.as_raw_fd(), *number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Becomes the program [`SELF`] with another argument list: same process, same pid, descriptors without
/// close-on-exec stay open. Returns only when that failed.
///
/// `env`: the whole environment; `None` keeps ours.
pub fn exec_self<A: AsRef<OsStr>>(
    arg0: &OsStr,
    args: &[A],
    env: Option<Vec<(OsString, OsString)>>,
) -> io::Error {
    let mut command = Command::new(SELF);
    command.arg0(arg0).args(args);
    if let Some(env) = env {
        command.env_clear().envs(env);
    }
    command.exec()
}

/// Takes a descriptor that this process was started with, such as one that [`Spawn`] put at `number`, and makes it
/// close-on-exec.
///
/// Works once for each number: whatever this process opened itself, or has taken before, is close-on-exec and
/// refused (`AlreadyExists`), so nobody's descriptor is taken away. `InvalidInput` for 0, 1 and 2, which belong to
/// std (use `stdin().as_fd().try_clone_to_owned()`); `EBADF` when nothing is open there.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "standard descriptors are not to be taken",
        ));
    }
    // SAFETY: only lent to the next calls, which report EBADF when it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    if rustix::io::fcntl_getfd(borrowed)?.contains(FdFlags::CLOEXEC) {
        let why = format!("descriptor {number} was opened by this process, not inherited");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and without close-on-exec no Rust code here opened it: std, rustix and this crate set the
    // flag on all they open, and the line above sets it on what was taken.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Another handle of a descriptor that stays open in a program that this process becomes or starts, until the handle
/// is dropped.
pub fn inheritable(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let copy = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
    rustix::io::fcntl_setfd(&copy, FdFlags::empty())?;
    Ok(copy)
}

/// Becomes the program in a file: same process, same pid, same environment and directory. Descriptors without
/// close-on-exec stay open, and blocked signals stay blocked, so that one that comes now waits for the new program.
/// Returns only when that failed, with everything as before.
pub fn replace<A: AsRef<OsStr>>(program: &Path, args: &[A]) -> io::Error {
    match replacement(program, args) {
        Ok(words) => {
            let mut pointers: Vec<*const libc::c_char> =
                words.iter().map(|word| word.as_ptr()).collect();
            pointers.push(ptr::null());
            let program = pointers.first().copied().unwrap_or(ptr::null());
            // SAFETY: the words are NUL-terminated, the list ends with a null pointer, and both live until the call
            // returns, which it does only when nothing has changed.
            unsafe { libc::execv(program, pointers.as_ptr()) };
            io::Error::last_os_error()
        }
        Err(error) => error,
    }
}

fn replacement<A: AsRef<OsStr>>(program: &Path, args: &[A]) -> io::Result<Vec<CString>> {
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(AsRef::as_ref));
    let words = words.map(|word| CString::new(word.as_bytes()));
    words
        .collect::<Result<_, _>>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}
