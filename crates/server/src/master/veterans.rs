//! Workers of the binary that this master was before an upgrade. They serve until the new code does, and are told to go
//! by signals, whose meaning is the same in all versions: SIGQUIT to finish, and then SIGTERM to hurry.

use std::time::Duration;

use uwgate_config::options::Control;
use uwgate_sys::channel::Channel;
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process::{self, Pid, Signal};

/// One such worker.
#[derive(Debug)]
pub(super) struct Veteran {
    pub(super) pid: Pid,
    /// Not spoken on any more, but its end would mean to the worker that its master has died.
    #[allow(dead_code, reason = "open for as long as the worker lives")]
    pub(super) channel: Channel,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Veterans {
    workers: Vec<Veteran>,
    /// They were told to go, and have until then.
    kill_at: Option<Millis>,
    leaving: bool,
    /// How long they have for that (`worker-reload-mercy`).
    mercy: Duration,
    /// How many applications they serve.
    apps: u32,
}

impl Veterans {
    pub(super) fn new(workers: Vec<Veteran>, apps: u32, control: &Control) -> Self {
        Self {
            workers,
            mercy: Duration::from_secs(control.worker_reload_mercy.into()),
            apps,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Whether they take requests.
    pub(super) fn are_serving(&self) -> bool {
        !self.is_empty() && !self.leaving
    }

    /// How many applications they serve.
    pub(super) fn apps(&self) -> u32 {
        match self.are_serving() {
            true => self.apps,
            false => 0,
        }
    }

    /// The processes and what must stay open for them.
    pub(super) fn processes(&self) -> impl Iterator<Item = (Pid, &Channel)> {
        self.workers.iter().map(|it| (it.pid, &it.channel))
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.kill_at
    }

    /// A process was reaped. Whether it was one of them.
    pub(super) fn exited(&mut self, pid: Pid) -> bool {
        let before = self.workers.len();
        self.workers.retain(|it| it.pid != pid);
        if self.is_empty() {
            self.kill_at = None;
        }
        self.workers.len() < before
    }

    /// The new code serves.
    pub(super) fn leave(&mut self) {
        self.go(&[Signal::QUIT]);
    }

    /// The instance stops.
    pub(super) fn stop(&mut self) {
        self.go(&[Signal::QUIT, Signal::TERM]);
    }

    fn go(&mut self, signals: &[Signal]) {
        if !self.is_empty() && !self.leaving {
            self.kill_at = Some(coarse_now() + self.mercy);
        }
        self.leaving = true;
        for signal in signals {
            self.signal(*signal);
        }
    }

    /// No patience any more.
    pub(super) fn kill(&mut self) {
        self.leaving = true;
        self.kill_at = None;
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        for veteran in &self.workers {
            // Not reaped yet, so the pid is still its own.
            let _ = process::kill(veteran.pid, signal);
        }
    }

    pub(super) fn handle_time(&mut self, now: Millis) {
        if self.kill_at.is_some_and(|at| at <= now) {
            tracing::warn!(
                "workers of the former binary are taking too much time to die...NO MERCY !!!"
            );
            self.kill();
        }
    }
}
