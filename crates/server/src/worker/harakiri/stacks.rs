//! Asking threads where they are, without Python's help at that moment: a signal handler of the host's writes stacks
//! into a file in memory, whatever locks the asked thread holds.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use uwgate_sys::thread::{self, Question, Thread};

use super::traceback::{Stack, parse};
use crate::host::Host;

/// How long a thread has to say where it is. One that sleeps in the kernel where no signal reaches it says nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where the handler writes to.
#[derive(Debug)]
pub(super) struct Stacks {
    file: Option<File>,
}

impl Stacks {
    /// Has the host install its handlers.
    pub(super) fn prepare<H: Host>(host: &H) -> Self {
        let file = install(host)
            .inspect_err(|error| tracing::warn!("harakiri without tracebacks: {error}"))
            .ok();
        Self { file }
    }

    /// The stack of a thread, from itself; `None` when it cannot be had.
    pub(super) fn of(&self, thread: Thread) -> Option<Stack> {
        self.ask(thread, Question::You).pop()
    }

    /// The stack of a thread that does not answer, read by this one. Others run meanwhile, and one that changes its
    /// stack at the wrong moment ends the process: only for a process that is to be killed.
    pub(super) fn seen_from_here(&self, thread: Thread) -> Option<Stack> {
        let all = self.ask(thread::current(), Question::AllOfYou);
        all.into_iter()
            .find(|stack| stack.thread == Some(thread.handle))
    }

    fn ask(&self, thread: Thread, question: Question) -> Vec<Stack> {
        let Some(mut file) = self.file.as_ref() else {
            return Vec::new();
        };
        let emptied = file.set_len(0).and_then(|()| io::Seek::rewind(&mut file));
        if emptied.is_err() || !thread::ask(thread, question, PATIENCE) {
            return Vec::new();
        }
        let mut dump = vec![0; file.metadata().map_or(0, |about| about.len()) as usize];
        match file.read_exact_at(&mut dump, 0) {
            Ok(()) => parse(&String::from_utf8_lossy(&dump)),
            Err(_) => Vec::new(),
        }
    }
}

fn install<H: Host>(host: &H) -> io::Result<File> {
    let file = memfd_create("uwgate-stacks", MemfdFlags::CLOEXEC)?;
    let questions = [Question::You, Question::AllOfYou];
    let [you, all] = questions.map(Question::signal);
    if !host.write_stacks_on(you, all, file.as_fd()) {
        return Err(io::Error::other("the host has none"));
    }
    for question in questions {
        thread::observe(question)?;
    }
    Ok(file.into())
}
