//! One vassal: its process, and what makes it more than a process.

mod life;
mod state;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use uwgate_supervisor::{Child, Event as ChildEvent, Millis, Pid, Policy, Status, Verdict};

pub(super) use self::state::Heard;
pub use self::state::{Death, Standing, State};
use super::pacing::Pacing;
use super::{Context, FromVassal, Manner, Report, Settings, ToVassal, What};
use crate::spec::VassalSpec;

/// A vassal.
#[derive(Debug)]
pub struct Vassal {
    spec: Arc<VassalSpec>,
    source: usize,
    standing: Standing,
    child: Child,
    life: u64,
    /// What its process was started with.
    started_with: Option<Arc<VassalSpec>>,
    heard: Heard,
    /// Whether the process that lives may outlive the emperor.
    kept: bool,
    touches: Pacing,
    /// Its configuration has changed while nothing could be said to it.
    owed: bool,
    /// It waits for a visitor.
    waiting: bool,
    /// How its last process ended that was not to, and when.
    death: Option<(Death, Millis)>,
    /// Why it is about to die.
    condemned: Option<Death>,
    manner: Manner,
    /// When the process that lives, or the last, was started.
    started: Option<Millis>,
    /// When the first was.
    first_started: Option<Millis>,
    respawns: u32,
    throttled_for: Duration,
    /// The longest that any vassal has to wait.
    longest: Duration,
    over: bool,
    heartbeat: Duration,
    tolerance: Duration,
}

impl Vassal {
    /// `held`: the operator has stopped it before anybody named it.
    pub(super) fn new(
        settings: &Settings,
        spec: Arc<VassalSpec>,
        source: usize,
        held: bool,
    ) -> Self {
        let policy = Policy {
            respawn: true,
            throttle: settings.throttle,
            start_timeout: None,
            mercy: settings.mercy,
            verdict: Verdict::of_vassal,
        };
        Self {
            spec,
            source,
            standing: match held {
                true => Standing::Held,
                false => Standing::Unwanted,
            },
            child: Child::new(policy),
            life: 0,
            started_with: None,
            heard: Heard::default(),
            kept: false,
            owed: false,
            touches: Pacing::default(),
            waiting: false,
            death: None,
            condemned: None,
            manner: Manner::Graceful,
            started: None,
            first_started: None,
            respawns: 0,
            throttled_for: Duration::ZERO,
            longest: settings.throttle.cap,
            over: false,
            heartbeat: settings.heartbeat,
            tolerance: settings.tolerance,
        }
    }

    pub(super) fn adopted(
        settings: &Settings,
        spec: VassalSpec,
        pid: Pid,
        life: u64,
        accepting: bool,
        now: Millis,
    ) -> Self {
        let spec = Arc::new(spec);
        let mut vassal = Self::new(settings, Arc::clone(&spec), 0, false);
        vassal.standing = Standing::Wanted;
        vassal.child.handle(ChildEvent::Start, now);
        vassal.child.handle(ChildEvent::Spawned(pid), now);
        if accepting {
            vassal.child.handle(ChildEvent::Ready, now);
            vassal.heard.ready = Some(now);
            vassal.heard.accepting = Some(now);
        }
        vassal.life = life;
        vassal.started_with = Some(spec);
        (vassal.started, vassal.first_started) = (Some(now), Some(now));
        vassal
    }

    /// It was an earlier emperor's, and has still to call.
    pub(super) fn await_return(&mut self, now: Millis) {
        self.kept = true;
        self.heard = Heard {
            away: Some(now),
            ..Heard::default()
        };
    }

    /// Whether its process goes on when the emperor goes.
    pub(super) fn can_be_left(&self) -> bool {
        self.kept && matches!(self.child.status(), Status::Starting | Status::Running)
    }

    /// What its source says.
    pub fn spec(&self) -> &Arc<VassalSpec> {
        &self.spec
    }

    /// What the process that lives was started with.
    pub fn started_with(&self) -> Option<&Arc<VassalSpec>> {
        self.started_with.as_ref()
    }

    /// Tells its process, or the last, from others of the same vassal.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// Which source names it.
    pub fn source(&self) -> usize {
        self.source
    }

    /// Whether it is to be there.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The live process, if any.
    pub fn pid(&self) -> Option<Pid> {
        self.child.pid()
    }

    /// Whether it has outlived an emperor and has still to call this one.
    pub fn is_away(&self) -> bool {
        self.heard.away.is_some()
    }

    /// What was heard from it.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// How its last process ended that was not to, and when.
    pub fn death(&self) -> Option<&(Death, Millis)> {
        self.death.as_ref()
    }

    /// When the process that lives, or the last, was started; and the first.
    pub fn started(&self) -> Option<(Millis, Millis)> {
        self.started.zip(self.first_started)
    }

    /// How often it was started again after a failure.
    pub fn respawns(&self) -> u32 {
        self.respawns
    }

    /// Failures in a row, and how long it has to wait for them.
    pub fn throttle(&self) -> (u32, Duration) {
        (self.child.strikes(), self.throttled_for)
    }

    /// Whether it has to wait for as long as any ever has to.
    pub fn waits_longest(&self) -> bool {
        self.throttled_for >= self.longest
    }

    /// When it will be started again, if it waits for that.
    pub fn again_at(&self) -> Option<Millis> {
        let throttled = self.child.status() == Status::Throttled;
        throttled.then(|| self.child.deadline()).flatten()
    }

    /// How often it is reloaded, if its configuration changes more often than that.
    pub fn reloads_at_most_every(&self, now: Millis) -> Option<Duration> {
        self.touches.widest_gap(now)
    }

    /// How it is.
    pub fn state(&self) -> State {
        match self.child.status() {
            Status::Idle if self.waiting => State::OnDemand,
            Status::Idle => State::Stopped,
            Status::Throttled => State::Throttled,
            Status::Spawning | Status::Starting => State::Starting,
            Status::Running if self.heard.reloading => State::Reloading,
            Status::Running => State::Running,
            Status::Stopping => State::Stopping,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let all = [
            self.child.deadline(),
            self.touches.due(),
            self.silence().map(|(deadline, _)| deadline),
        ];
        all.into_iter().flatten().min()
    }

    /// When its silence is enough, and what that is.
    pub(super) fn silence(&self) -> Option<(Millis, Death)> {
        if !matches!(self.child.status(), Status::Starting | Status::Running) {
            return None;
        }
        let heartbeat = self
            .heard
            .heartbeat
            .map(|it| (it + self.heartbeat, Death::NoHeartbeat));
        let silent = self.heard.mute.or(self.heard.away);
        let mute = silent.map(|it| (it + self.tolerance, Death::Deaf));
        [heartbeat, mute]
            .into_iter()
            .flatten()
            .min_by_key(|it| it.0)
    }

    pub(super) fn excuse_silence(&mut self, now: Millis) {
        let Heard {
            heartbeat, away, ..
        } = &mut self.heard;
        for last in [heartbeat, away].into_iter().flatten() {
            *last = now;
        }
    }
}
