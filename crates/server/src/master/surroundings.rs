//! Those around the instance who want to know how it is: its caller, the service manager, the daemons beside it.

use uwgate_config::Options;
use uwgate_config::options::Phase as HookPhase;
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process::{Exit, Pid};

use super::chores::Chores;
use super::daemons::Daemons;
use super::systemd::Notifier;
use crate::background::Background;

/// How the instance is, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Serving {
        /// The number of the generation that does; 0 for workers of an older binary.
        generation: u64,
    },
    /// The old code serves, the new one is on its way.
    Reloading,
    Ending {
        code: i32,
    },
}

/// Who is told.
pub(super) struct Surroundings {
    phase: Phase,
    /// The generation that has served last.
    generation: u64,
    notifier: Notifier,
    background: Background,
    pub(super) daemons: Daemons,
    pub(super) chores: Chores,
    /// Workers served before this process became what it is.
    is_successor: bool,
}

impl Surroundings {
    pub(super) fn new(background: &mut Background, is_successor: bool) -> Self {
        Self {
            phase: Phase::Starting,
            generation: 0,
            notifier: Notifier::of_environment(),
            background: std::mem::take(background),
            daemons: Daemons::default(),
            chores: Chores::default(),
            is_successor,
        }
    }

    /// The master begins, perhaps with the daemons of the binary that this process was before.
    pub(super) fn begin(&mut self, options: &Options, daemons: &[(Pid, String)]) {
        self.prepare(options);
        self.chores.add(HookPhase::MasterStart);
        for (pid, command) in daemons {
            self.daemons.adopt(*pid, command);
        }
    }

    /// A generation with these options is on its way.
    pub(super) fn prepare(&mut self, options: &Options) {
        self.daemons.prepare(options);
        self.chores.prepare(options);
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let both = [self.notifier.deadline(), self.daemons.deadline()];
        both.into_iter().flatten().min()
    }

    /// A process was reaped that is neither zygote nor worker.
    pub(super) fn exited(&mut self, pid: Pid, exit: Exit) {
        if !self.daemons.exited(pid, exit) {
            self.chores.exited(pid, exit);
        }
    }

    /// Whether nothing around the instance keeps it from ending.
    pub(super) fn are_gone(&self) -> bool {
        self.daemons.are_gone()
    }

    /// No patience any more.
    pub(super) fn kill(&mut self) {
        self.daemons.kill();
    }

    /// Whether somebody around the instance wants it to end. Says so once.
    pub(super) fn want_an_end(&mut self) -> bool {
        self.daemons.take_end()
    }

    /// Called whenever something may have changed, and in time for [`deadline`](Self::deadline).
    /// Whether the instance has come to serve, or to serve again.
    pub(super) fn notice(&mut self, phase: Phase) -> bool {
        let now = coarse_now();
        self.notifier.handle_time(now);
        self.daemons.handle_time(now);
        if self.phase == phase {
            return false;
        }
        self.phase = phase;
        match phase {
            Phase::Starting => {}
            Phase::Serving { generation } => {
                self.notifier.ready("uwgate is ready");
                self.background.serving();
                if generation > self.generation {
                    let first = self.generation == 0 && !self.is_successor;
                    self.generation = generation;
                    self.daemons.renew();
                    self.chores.workers_accept(first);
                }
            }
            Phase::Reloading => self.notifier.reloading(),
            Phase::Ending { code } => {
                self.notifier.stopping();
                self.daemons.stop();
                self.background.failed(code, &[]);
            }
        }
        matches!(phase, Phase::Serving { .. })
    }
}
