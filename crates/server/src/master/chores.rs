//! Hooks that the master does beside its work: one after the other, without waiting for any.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use uwgate_config::options::{Hook, Phase};
use uwgate_config::{Located, Options};
use uwgate_sys::process::{Exit, Pid};

use crate::hooks::{self, Outcome};

/// What is still to be done.
#[derive(Default)]
pub(super) struct Chores {
    options: Arc<Options>,
    waiting: VecDeque<(Located<Hook>, &'static str)>,
    /// The command that runs now.
    running: Option<(Pid, Located<Hook>)>,
}

impl Chores {
    /// From now on these options count.
    pub(super) fn prepare(&mut self, options: &Options) {
        self.options = Arc::new(options.clone());
    }

    /// Adds what is to be done at a turning point.
    pub(super) fn add(&mut self, phase: Phase) {
        let options = Arc::clone(&self.options);
        let hooks = hooks::of(&options, phase).cloned();
        let hooks = hooks.map(|hook| (hook, hooks::phase_name(phase)));
        self.waiting.extend(hooks);
        self.go_on();
    }

    /// The workers take requests; `first`: as they never did before.
    pub(super) fn workers_accept(&mut self, first: bool) {
        if first {
            for _ in 0..self.options.workers.processes {
                self.add(Phase::AcceptingOnce);
            }
        }
        self.add(Phase::Accepting1);
        if first {
            self.add(Phase::Accepting1Once);
        }
    }

    /// Adds what the touch of a file means; `number` counts in the options.
    pub(super) fn touched(&mut self, number: usize) {
        if let Some((_, hook)) = self.options.hooks.touch.get(number) {
            self.waiting.push_back((hook.clone(), "touch"));
        }
        self.go_on();
    }

    /// A process was reaped. Whether it was a command of ours.
    pub(super) fn exited(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some((_, hook)) = self.running.take_if(|(running, _)| *running == pid) else {
            return false;
        };
        if let Err(problem) = hooks::verdict(&hook, exit) {
            tracing::error!("{problem}");
        }
        self.go_on();
        true
    }

    /// Where the app runs.
    fn directory(&self) -> Option<PathBuf> {
        let directory = self.options.python.chdir.as_ref();
        directory.map(|directory| directory.value.clone())
    }

    /// What is to be done at the very end; now there is nothing else to do than to wait for it.
    pub(super) fn finish(&self) {
        let directory = self.directory();
        let done = hooks::run(&self.options, Phase::AsUserAtexit, directory.as_deref());
        if let Err(problem) = done {
            tracing::error!("{problem}");
        }
    }

    fn go_on(&mut self) {
        while self.running.is_none()
            && let Some((hook, when)) = self.waiting.pop_front()
        {
            let directory = self.directory();
            match hooks::begin(&hook, when, &self.options, directory.as_deref()) {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Running(pid)) => self.running = Some((pid, hook)),
                Err(problem) => tracing::error!("{problem}"),
            }
        }
    }
}
