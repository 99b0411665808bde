//! Going to the background without leaving the caller in the dark.

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};

use super::{Fork, Pid, exit_now, fork, reap, thread_count};

/// The way from a process in the background to the one that the caller waits for.
///
/// Dropped without a verdict (or closed by an exec, or by death) it stands for a failed start.
#[derive(Debug)]
pub struct Caller {
    pipe: PipeWriter,
}

/// Ends what the caller reads; the exit code follows.
const END: u8 = 0;

/// Puts this process into the background: a new process in a session of its own, without a terminal, adopted by init.
/// Returns in that one only.
///
/// The process that called stays where it is and does nothing but wait: it prints what it is told
/// ([`Caller::tell`]) to standard error, calls `meanwhile` every 50 ms, and ends with the exit code of the verdict.
///
/// An error when this process has more than one thread, or cannot fork.
pub fn to_background(mut meanwhile: impl FnMut()) -> io::Result<Caller> {
    if thread_count()? != 1 {
        return Err(io::Error::other(
            "cannot go to the background with several threads",
        ));
    }
    let (news, pipe) = io::pipe()?;
    // SAFETY: a single thread, as just counted.
    match unsafe { fork()? } {
        Fork::Parent(middle) => {
            drop(pipe);
            wait_for_verdict(middle, news.into(), &mut meanwhile)
        }
        Fork::Child => {
            drop(news);
            rustix::process::setsid()?;
            // SAFETY: a copy of a process with a single thread has one as well.
            match unsafe { fork() } {
                // Not the leader of its session: it never gets a terminal by opening one.
                Ok(Fork::Child) => Ok(Caller { pipe }),
                Ok(Fork::Parent(_)) => exit_now(0),
                Err(error) => {
                    Caller { pipe }.failed(1, &format!("cannot fork: {error}"));
                    exit_now(1)
                }
            }
        }
    }
}

fn wait_for_verdict(middle: Pid, news: std::os::fd::OwnedFd, meanwhile: &mut dyn FnMut()) -> ! {
    let _ = reap(middle);
    let mut news = File::from(news);
    let mut heard = Vec::new();
    let code = loop {
        meanwhile();
        if !is_readable(&news) {
            continue;
        }
        let mut piece = [0; 4096];
        match news.read(&mut piece) {
            Ok(0) => break 1,
            Ok(length) => heard.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break 1,
        }
        if let [.., END, code] = heard[..] {
            heard.truncate(heard.len() - 2);
            break code;
        }
    };
    meanwhile();
    let _ = io::stderr().write_all(&heard);
    exit_now(code.into())
}

/// Waits 50 ms at most.
fn is_readable(file: &File) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let patience = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0)
}

impl Caller {
    /// Lets the caller go: the start has succeeded.
    pub fn succeeded(self) {
        self.verdict(0, "");
    }

    /// Lets the caller go with an exit code and words for its terminal.
    pub fn failed(self, code: u8, why: &str) {
        self.verdict(code, why);
    }

    fn verdict(mut self, code: u8, words: &str) {
        let mut message = words.replace('\0', "?").into_bytes();
        if !message.is_empty() && !message.ends_with(b"\n") {
            message.push(b'\n');
        }
        message.extend([END, code]);
        // Whoever started us may be gone, which is no reason not to run.
        let _ = self.pipe.write_all(&message);
    }
}
