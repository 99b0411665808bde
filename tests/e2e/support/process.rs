//! A program that runs beside the tests and never outlives them.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::wait::until;

/// A child in a process group of its own, its output in a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: bool,
}

impl Process {
    /// Starts the program; what it prints goes to `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(log).expect("the log can be created");
        let errors = output.try_clone().expect("a file handle can be cloned");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name,
            child,
            log: log.to_owned(),
            ended: false,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal to the process itself, not to its children.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.as_pid(), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// The exit status, if it has ended.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for");
        self.ended |= status.is_some();
        status
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, || self.try_wait())
    }

    /// Ends it and all its children at once.
    pub fn kill(&mut self) {
        let _ = kill_process_group(self.as_pid(), Signal::KILL);
        let _ = self.child.wait();
        self.ended = true;
    }

    fn as_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// Asks politely, waits a moment, then kills the whole group; shows the log of a test that fails.
impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "--- end of the output of {}:\n{}---",
                self.name,
                last_lines(&self.log(), 100)
            );
        }
        if !self.ended {
            let _ = kill_process(self.as_pid(), Signal::INT);
            let deadline = Instant::now() + Duration::from_secs(3);
            while self.try_wait().is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
        }
        // Workers that lost their master stay in the group.
        self.kill();
    }
}

fn last_lines(text: &str, count: usize) -> &str {
    let start = text
        .rmatch_indices('\n')
        .nth(count)
        .map_or(0, |(at, _)| at + 1);
    &text[start..]
}

/// What a process is doing, in the letters of `/proc`: `R`, `S`, `T`, `Z` ... `None` when there is none.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}

/// Whether a process with this pid exists and is not a zombie.
pub fn alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Whether the process has a handler for the signal.
pub fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// The processes whose parent this is.
pub fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// How many descriptors a process has open.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The processes of a group, zombies among them: pid and state.
pub fn group(leader: u32) -> Vec<(u32, char)> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        (fields.nth(1)?.parse() == Ok(leader)).then_some((pid, state))
    })
    .collect()
}

/// Sends a signal to any process that a test learned the pid of from its own server.
pub fn signal(pid: u32, signal: Signal) {
    assert!(try_signal(pid, signal), "cannot signal {pid}");
}

/// The same for one that may have ended.
pub fn try_signal(pid: u32, signal: Signal) -> bool {
    let raw = i32::try_from(pid).expect("a pid fits in 31 bits");
    let pid = Pid::from_raw(raw).expect("a pid is not 0");
    kill_process(pid, signal).is_ok()
}
