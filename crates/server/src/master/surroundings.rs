//! Those around the instance who want to know how it is: its caller, the service manager.

use uwgate_sys::clock::{Millis, coarse_now};

use super::systemd::Notifier;
use crate::background::Background;

/// How the instance is, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Serving,
    /// The old code serves, the new one is on its way.
    Reloading,
    Ending {
        code: i32,
    },
}

/// Who is told.
pub(super) struct Surroundings {
    phase: Phase,
    notifier: Notifier,
    background: Background,
}

impl Surroundings {
    pub(super) fn new(background: &mut Background) -> Self {
        Self {
            phase: Phase::Starting,
            notifier: Notifier::of_environment(),
            background: std::mem::take(background),
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.notifier.deadline()
    }

    /// Called whenever something may have changed, and in time for [`deadline`](Self::deadline).
    pub(super) fn notice(&mut self, phase: Phase) {
        self.notifier.handle_time(coarse_now());
        if self.phase == phase {
            return;
        }
        self.phase = phase;
        match phase {
            Phase::Starting => {}
            Phase::Serving => {
                self.notifier.ready("uwgate is ready");
                self.background.serving();
            }
            Phase::Reloading => self.notifier.reloading(),
            Phase::Ending { code } => {
                self.notifier.stopping();
                self.background.failed(code, &[]);
            }
        }
    }
}
