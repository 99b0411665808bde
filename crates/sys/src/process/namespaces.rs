//! Namespaces: what of the system a process has for itself.

use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::ptr;

use super::spawn::{Moves, plan_moves, put_in_place};
use super::{Capabilities, Pid, Signal, Spawn, exit_now, reap};
use crate::signals;

/// Which namespaces a process gets new ones of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(libc::c_int);

/// Their names, the flag for each, and what the kernel calls them in `/proc/self/ns`.
const NAMES: [(&str, libc::c_int, &str); 6] = [
    ("fs", libc::CLONE_NEWNS, "mnt"),
    ("ipc", libc::CLONE_NEWIPC, "ipc"),
    ("net", libc::CLONE_NEWNET, "net"),
    ("pid", libc::CLONE_NEWPID, "pid"),
    ("user", libc::CLONE_NEWUSER, "user"),
    ("uts", libc::CLONE_NEWUTS, "uts"),
];

impl Namespaces {
    /// The namespace of a name: `fs` (also `mnt`, `mount`), `ipc`, `net`, `pid`, `user`, `uts`.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            "mnt" | "mount" => "fs",
            name => name,
        };
        let found = NAMES.iter().find(|(known, ..)| *known == name);
        found.map(|(_, flag, _)| Self(*flag))
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `name` is among them.
    pub fn contains(self, name: &str) -> bool {
        Self::named(name).is_some_and(|one| self.0 & one.0 != 0)
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let mine = NAMES.iter().filter(move |(_, flag, _)| self.0 & flag != 0);
        mine.map(|(name, ..)| *name)
    }

    /// Those of them that this kernel does not have.
    pub fn missing(self) -> impl Iterator<Item = &'static str> {
        let mine = NAMES.iter().filter(move |(_, flag, _)| self.0 & flag != 0);
        let there = |file: &str| Path::new("/proc/self/ns").join(file).exists();
        mine.filter(move |(.., file)| !there(file))
            .map(|(name, ..)| *name)
    }
}

/// What the child needs, all of it made before there is one: between clone and exec it may not allocate.
struct Plan {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    cwd: Option<CString>,
    moves: Moves,
    new_session: bool,
    process_group: bool,
    death_signal: Option<Signal>,
    capabilities: Capabilities,
    /// Whoever makes a user namespace is all-powerful there, but would not be after exec, unless as root.
    stays_powerful: bool,
}

/// Starts a program in new namespaces. It is our child, and in a new pid namespace the first process there.
pub(super) fn spawn_apart(spawn: Spawn) -> io::Result<Pid> {
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
        namespaces,
    } = spawn;
    let name = arg0.unwrap_or_else(|| program.clone());
    let words = std::iter::once(name).chain(args);
    let env = env.unwrap_or_else(|| std::env::vars_os().collect());
    let (moves, reserved) = plan_moves(fds)?;
    let plan = Plan {
        program: c_string(program)?,
        args: words.map(c_string).collect::<io::Result<_>>()?,
        env: env
            .into_iter()
            .map(|(mut name, value)| {
                name.push("=");
                name.push(value);
                c_string(name)
            })
            .collect::<io::Result<_>>()?,
        cwd: cwd.map(|it| c_string(it.into())).transpose()?,
        moves,
        new_session,
        process_group,
        death_signal,
        capabilities,
        stays_powerful: namespaces.contains("user") && !rustix::process::geteuid().is_root(),
    };
    let started = plan.start(namespaces);
    drop(reserved);
    started
}

fn c_string(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = words.iter().map(|word| word.as_ptr());
    pointers.chain([ptr::null()]).collect()
}

impl Plan {
    fn start(&self, namespaces: Namespaces) -> io::Result<Pid> {
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        // Through the one the child hears that it may go on, or that we are gone; through the other we hear why it
        // could not.
        let (may_go, mut go) = io::pipe()?;
        let (mut failure, tell) = io::pipe()?;
        let flags = libc::c_long::from(namespaces.0 | libc::SIGCHLD);
        // SAFETY: without a stack and without shared memory this is a fork; of the five arguments the last three are
        // not used with these flags. The child makes plain system calls only and ends in `become_program`.
        let raw = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        if raw == 0 {
            // SAFETY: this copy of the writing end belongs to nobody in the child, which never returns. While it is
            // open the death of the parent would go unnoticed.
            unsafe { libc::close(go.as_raw_fd()) };
            self.become_program(may_go.as_raw_fd(), tell.as_raw_fd(), &args, &env);
        }
        let pid = i32::try_from(raw).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(io::Error::last_os_error)?;
        drop((may_go, tell));
        let ready = match namespaces.contains("user") {
            true => map_ids(pid),
            false => Ok(()),
        };
        let went = ready.and_then(|()| go.write_all(&[1]));
        drop(go);
        let mut why = [0; 4];
        match (went, failure.read_exact(&mut why)) {
            (Ok(()), Err(_)) => Ok(pid),
            (Err(error), _) => {
                reap(pid)?;
                Err(error)
            }
            (Ok(()), Ok(())) => {
                reap(pid)?;
                Err(io::Error::from_raw_os_error(i32::from_ne_bytes(why)))
            }
        }
    }

    /// In the child. Async-signal-safe.
    fn become_program(
        &self,
        may_go: libc::c_int,
        tell: libc::c_int,
        args: &[*const libc::c_char],
        env: &[*const libc::c_char],
    ) -> ! {
        let Err(error) = self.prepare_and_exec(may_go, args, env);
        let number = error.raw_os_error().unwrap_or(libc::EINVAL).to_ne_bytes();
        // SAFETY: the pointer and length describe `number`.
        unsafe { libc::write(tell, number.as_ptr().cast(), number.len()) };
        exit_now(127)
    }

    fn prepare_and_exec(
        &self,
        may_go: libc::c_int,
        args: &[*const libc::c_char],
        env: &[*const libc::c_char],
    ) -> io::Result<std::convert::Infallible> {
        signals::reset_to_default();
        if self.new_session {
            rustix::process::setsid()?;
        } else if self.process_group {
            rustix::process::setpgid(None, None)?;
        }
        if let Some(signal) = self.death_signal {
            super::set_death_signal(signal)?;
        }
        let mut word = 0u8;
        // SAFETY: one byte is read into `word`.
        if unsafe { libc::read(may_go, (&raw mut word).cast(), 1) } != 1 {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        match self.stays_powerful {
            true => Capabilities::pass_all_on()?,
            false => self.capabilities.pass_on()?,
        }
        if let Some(cwd) = &self.cwd {
            change_directory(cwd)?;
        }
        put_in_place(&self.moves)?;
        // SAFETY: the strings end with NUL, the lists with a null pointer, and all of them live in the plan.
        unsafe { libc::execve(self.program.as_ptr(), args.as_ptr(), env.as_ptr()) };
        Err(io::Error::last_os_error())
    }
}

fn change_directory(to: &CStr) -> io::Result<()> {
    // SAFETY: the string ends with NUL.
    match unsafe { libc::chdir(to.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// In its user namespace everybody is who they are outside: all users, or our own only if that is all we may.
fn map_ids(pid: Pid) -> io::Result<()> {
    let write = |file: &str, text: String| fs::write(format!("/proc/{pid}/{file}"), text);
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if user.is_root() {
        let all = "0 0 4294967295\n";
        write("uid_map", all.into())?;
        return write("gid_map", all.into());
    }
    write("setgroups", "deny".into())?;
    let (user, group) = (user.as_raw(), group.as_raw());
    write("uid_map", format!("{user} {user} 1\n"))?;
    write("gid_map", format!("{group} {group} 1\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_uwsgis() {
        let both = Namespaces::named("pid").unwrap();
        let both = both.and(Namespaces::named("mount").unwrap());
        assert!(both.contains("fs") && both.contains("pid") && !both.contains("net"));
        assert_eq!(both.names().collect::<Vec<_>>(), ["fs", "pid"]);
        assert_eq!(Namespaces::named("x"), None);
    }
}
