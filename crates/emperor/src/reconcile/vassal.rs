//! One vassal: its process, and what makes it more than a process.

use std::sync::Arc;
use std::time::Duration;

use uwgate_supervisor::{
    Action, Child, Event as ChildEvent, Exit, Millis, Pid, Policy, Report as ChildReport, Status,
    StopKind, Verdict,
};

use super::pacing::Pacing;
use super::{Context, FromVassal, Manner, Report, Settings, ToVassal, What};
use crate::spec::VassalSpec;

/// Whether it is to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A source names it.
    Wanted,
    /// None does, or all is to end.
    Unwanted,
    /// The operator has stopped it.
    Held,
    /// It has left by itself and stays away until its configuration is touched.
    Exiled,
}

/// How it is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No process, and none is to be.
    Stopped,
    /// No process until somebody connects.
    OnDemand,
    /// No process for a while: it failed.
    Throttled,
    /// A process that does not accept requests yet.
    Starting,
    /// It accepts requests.
    Running,
    /// It was told to reload and has not said anything since.
    Reloading,
    /// A process on its way out.
    Stopping,
}

/// How a process ended that was not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// It ended so.
    Exited(Exit),
    /// It could not be started at all.
    NotStarted(String),
    /// It was killed for its silence.
    NoHeartbeat,
    /// It was killed as it did not listen any more.
    Deaf,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(exit) => exit.fmt(f),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::NoHeartbeat => f.write_str("killed: it sent no heartbeat"),
            Self::Deaf => f.write_str("killed: it did not listen any more"),
        }
    }
}

/// What was heard from the process that lives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Its master is there, since.
    pub ready: Option<Millis>,
    /// It accepts requests, since.
    pub accepting: Option<Millis>,
    /// It has served, since.
    pub loyal: Option<Millis>,
    /// Its last sign of life.
    pub heartbeat: Option<Millis>,
    /// It can hear and say nothing any more, since.
    mute: Option<Millis>,
    /// Told to reload, and nothing was heard since.
    reloading: bool,
}

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
    touches: Pacing,
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

    /// What its source says.
    pub fn spec(&self) -> &Arc<VassalSpec> {
        &self.spec
    }

    /// What the process that lives was started with.
    pub fn started_with(&self) -> Option<&Arc<VassalSpec>> {
        self.started_with.as_ref()
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
    fn silence(&self) -> Option<(Millis, Death)> {
        if !matches!(self.child.status(), Status::Starting | Status::Running) {
            return None;
        }
        let heartbeat = self
            .heard
            .heartbeat
            .map(|it| (it + self.heartbeat, Death::NoHeartbeat));
        let mute = self.heard.mute.map(|it| (it + self.tolerance, Death::Deaf));
        [heartbeat, mute]
            .into_iter()
            .flatten()
            .min_by_key(|it| it.0)
    }

    pub(super) fn excuse_silence(&mut self, now: Millis) {
        if let Some(last) = &mut self.heard.heartbeat {
            *last = now;
        }
    }

    pub(super) fn handle_timer(&mut self, cx: &mut Context<'_>) {
        if let Some((deadline, death)) = self.silence()
            && deadline <= cx.now
        {
            cx.report(match death {
                Death::NoHeartbeat => Report::NoHeartbeat(cx.settings.heartbeat),
                _ => Report::Deaf(cx.settings.tolerance),
            });
            self.condemned = Some(death);
            self.tell(ChildEvent::Abort, cx);
        }
        if self.touches.take(cx.now) {
            self.renew(cx);
        }
        let actions = self.child.handle_timer(cx.now);
        self.perform(actions, cx);
    }

    /// A source names it.
    pub(super) fn wanted(&mut self, source: usize, spec: Arc<VassalSpec>, cx: &mut Context<'_>) {
        self.source = source;
        let (before, was) = (std::mem::replace(&mut self.spec, spec), self.standing);
        let is_new = was == Standing::Unwanted;
        if is_new {
            self.standing = Standing::Wanted;
            return self.appear(cx);
        }
        if *before == *self.spec {
            return;
        }
        match was {
            Standing::Held => {}
            Standing::Exiled => {
                self.standing = Standing::Wanted;
                self.touches.ask(cx.now);
            }
            Standing::Wanted | Standing::Unwanted => self.touches.ask(cx.now),
        }
        if self.touches.take(cx.now) {
            self.renew(cx);
        }
    }

    fn appear(&mut self, cx: &mut Context<'_>) {
        self.manner = Manner::Graceful;
        match (&self.spec.on_demand, self.child.status()) {
            (Some(_), Status::Idle) => self.wait(cx),
            // It will wait when it is gone.
            (Some(_), Status::Stopping) => {}
            _ => self.tell(ChildEvent::Start, cx),
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) {
        self.waiting = true;
        cx.order(What::AwaitVisitor(Arc::clone(&self.spec)));
        cx.report(Report::OnDemand {
            socket: self.spec.on_demand.clone().unwrap_or_default(),
            again: self.first_started.is_some(),
        });
    }

    fn stop_waiting(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.waiting) {
            cx.order(What::StopWaiting);
        }
    }

    /// Its configuration is another one: do what brings that to life.
    fn renew(&mut self, cx: &mut Context<'_>) {
        if self.standing != Standing::Wanted {
            return;
        }
        let anew = self
            .started_with
            .as_ref()
            .is_some_and(|before| self.spec.is_other_than(before));
        match self.child.status() {
            Status::Running if !anew => self.say_reload(cx),
            // It waits again once it is gone: what it was started with may be another socket, or none.
            Status::Running | Status::Starting if anew && self.spec.on_demand.is_some() => {
                self.leave(Manner::Graceful, cx);
            }
            Status::Stopping if self.spec.on_demand.is_some() => {}
            // It has served nobody yet, and may be stuck in what was wrong before.
            Status::Running | Status::Starting => {
                self.manner = Manner::Graceful;
                self.tell(ChildEvent::Restart, cx);
            }
            Status::Idle if self.spec.on_demand.is_some() => {
                self.stop_waiting(cx);
                self.wait(cx);
            }
            Status::Idle => {
                self.stop_waiting(cx);
                self.tell(ChildEvent::Start, cx);
            }
            Status::Throttled | Status::Stopping | Status::Spawning => {
                self.tell(ChildEvent::Start, cx);
            }
        }
    }

    fn say_reload(&mut self, cx: &mut Context<'_>) {
        if self.heard.mute.is_some() {
            return self.tell(ChildEvent::Restart, cx);
        }
        self.heard.reloading = true;
        self.heard.ready = None;
        cx.report(Report::Reload);
        cx.order(What::Say(ToVassal::Reload));
    }

    /// No source names it any more.
    pub(super) fn vanish(&mut self, cx: &mut Context<'_>) {
        if self.standing != Standing::Unwanted {
            self.end(Manner::Graceful, cx);
        }
    }

    /// The operator wants a reload.
    pub(super) fn reload(&mut self, cx: &mut Context<'_>) {
        if self.standing == Standing::Exiled {
            self.standing = Standing::Wanted;
        }
        self.touches.cancel();
        self.renew(cx);
    }

    pub(super) fn forgive(&mut self, cx: &mut Context<'_>) {
        if self.standing == Standing::Wanted && self.child.status() == Status::Throttled {
            self.tell(ChildEvent::Start, cx);
        }
    }

    pub(super) fn hold(&mut self, cx: &mut Context<'_>) {
        if self.standing != Standing::Unwanted {
            self.standing = Standing::Held;
            self.close_socket(cx);
            self.leave(Manner::Graceful, cx);
        }
    }

    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        if self.standing == Standing::Unwanted {
            return;
        }
        self.standing = Standing::Wanted;
        self.stop_waiting(cx);
        self.tell(ChildEvent::Start, cx);
    }

    /// It is to go for good.
    pub(super) fn end(&mut self, manner: Manner, cx: &mut Context<'_>) {
        if self.standing != Standing::Unwanted {
            self.close_socket(cx);
        }
        self.standing = Standing::Unwanted;
        self.leave(manner, cx);
        self.over = self.child.status() == Status::Idle;
    }

    fn leave(&mut self, manner: Manner, cx: &mut Context<'_>) {
        self.touches.cancel();
        self.stop_waiting(cx);
        let status = self.child.status();
        let hurried = status == Status::Stopping && manner > self.manner;
        self.manner = manner;
        match (manner, hurried) {
            (Manner::Kill, _) => self.tell(ChildEvent::Kill, cx),
            (Manner::Quick, true) => {
                self.tell(ChildEvent::Stop, cx);
                self.ask_to_end(cx);
            }
            _ => self.tell(ChildEvent::Stop, cx),
        }
    }

    /// The process that lives is to end by itself.
    fn ask_to_end(&mut self, cx: &mut Context<'_>) {
        let Some(pid) = self.child.pid() else { return };
        cx.order(match (self.heard.mute, self.manner) {
            (Some(_), _) => What::Terminate(pid),
            (None, Manner::Graceful) => What::Say(ToVassal::StopGracefully),
            (None, Manner::Quick | Manner::Kill) => What::Say(ToVassal::Stop),
        });
    }

    pub(super) fn visitor(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.waiting) && self.standing == Standing::Wanted {
            cx.report(Report::Visitor);
            self.tell(ChildEvent::Start, cx);
        }
    }

    /// Whoever connects is turned away at once, instead of waiting for one that is not to come.
    fn close_socket(&mut self, cx: &mut Context<'_>) {
        if self.spec.on_demand.is_some() {
            self.stop_waiting(cx);
            cx.order(What::CloseSocket);
        }
    }

    /// It serves nobody any more; a new socket will start it again.
    pub(super) fn socket_lost(&mut self, cx: &mut Context<'_>) {
        let lives = matches!(self.child.status(), Status::Starting | Status::Running);
        if lives && self.standing == Standing::Wanted && self.spec.on_demand.is_some() {
            cx.report(Report::SocketLost);
            self.leave(Manner::Graceful, cx);
        }
    }

    pub(super) fn spawned(&mut self, pid: Pid, cx: &mut Context<'_>) {
        self.started = Some(cx.now);
        self.first_started.get_or_insert(cx.now);
        self.tell(ChildEvent::Spawned(pid), cx);
    }

    pub(super) fn spawn_failed(&mut self, why: String, cx: &mut Context<'_>) {
        cx.report(Report::SpawnFailed(why.clone()));
        self.death = Some((Death::NotStarted(why), cx.now));
        self.tell(ChildEvent::SpawnFailed, cx);
    }

    pub(super) fn exited(&mut self, exit: Exit, cx: &mut Context<'_>) {
        self.heard = Heard::default();
        self.started_with = None;
        self.tell(ChildEvent::Exited(exit), cx);
    }

    pub(super) fn mute(&mut self, life: u64, cx: &mut Context<'_>) {
        if life == self.life && self.child.pid().is_some() {
            self.heard.mute.get_or_insert(cx.now);
        }
    }

    pub(super) fn said(&mut self, life: u64, word: FromVassal, cx: &mut Context<'_>) {
        if life != self.life || self.child.pid().is_none() {
            return;
        }
        match word {
            FromVassal::Spawned => {
                self.heard.ready = Some(cx.now);
                cx.report(Report::Spawned);
            }
            FromVassal::WantsConfig => cx.order(What::SendConfig(Arc::clone(&self.spec))),
            FromVassal::Accepting => {
                self.heard.reloading = false;
                self.heard.ready.get_or_insert(cx.now);
                self.heard.accepting = Some(cx.now);
                cx.report(Report::Ready);
                self.tell(ChildEvent::Ready, cx);
            }
            FromVassal::Loyal => {
                if self.heard.loyal.replace(cx.now).is_none() {
                    cx.report(Report::Loyal);
                }
                self.tell(ChildEvent::Ready, cx);
            }
            FromVassal::Heartbeat => self.heard.heartbeat = Some(cx.now),
            FromVassal::Sos => cx.report(Report::Sos),
            FromVassal::StopMe => self.stop_me(cx),
        }
    }

    /// It has nothing to do (`die-on-idle`), or will not go on.
    fn stop_me(&mut self, cx: &mut Context<'_>) {
        if self.standing == Standing::Wanted && self.spec.on_demand.is_none() {
            self.standing = Standing::Exiled;
            cx.report(Report::Exile);
        }
        self.leave(Manner::Graceful, cx);
    }

    fn tell(&mut self, event: ChildEvent, cx: &mut Context<'_>) {
        let actions = self.child.handle(event, cx.now);
        self.perform(actions, cx);
    }

    fn perform(&mut self, actions: Vec<Action>, cx: &mut Context<'_>) {
        for action in actions {
            match action {
                Action::Spawn => self.spawn(cx),
                Action::Signal(pid, StopKind::Kill) => cx.order(What::Kill(pid)),
                Action::Signal(_, StopKind::Graceful) => {
                    cx.report(Report::Stop);
                    self.ask_to_end(cx);
                }
                Action::Report(report) => self.report(report, cx),
                Action::Finished(_) => self.finished(cx),
            }
        }
    }

    fn spawn(&mut self, cx: &mut Context<'_>) {
        *cx.lives += 1;
        self.life = *cx.lives;
        self.heard = Heard::default();
        self.condemned = None;
        self.started_with = Some(Arc::clone(&self.spec));
        let (spec, life) = (Arc::clone(&self.spec), self.life);
        cx.order(What::Spawn { spec, life });
    }

    /// There is no process and none is to come.
    fn finished(&mut self, cx: &mut Context<'_>) {
        match self.standing {
            Standing::Unwanted => self.over = true,
            Standing::Wanted if self.spec.on_demand.is_some() => self.wait(cx),
            Standing::Wanted => self.standing = Standing::Exiled,
            Standing::Held | Standing::Exiled => {}
        }
    }

    fn report(&mut self, report: ChildReport, cx: &mut Context<'_>) {
        match report {
            ChildReport::Spawned { pid } => cx.report(Report::Started(pid)),
            ChildReport::Died {
                pid, exit, verdict, ..
            } => {
                let death = self.condemned.take().unwrap_or(Death::Exited(exit));
                if verdict == Verdict::Retired {
                    cx.report(Report::Exile);
                } else {
                    cx.report(Report::Cursed(pid, exit));
                    self.death = Some((death, cx.now));
                }
                cx.report(Report::Removed);
            }
            ChildReport::Buried { .. } => cx.report(Report::Removed),
            ChildReport::Respawning => self.respawns += 1,
            ChildReport::Throttled { wait, .. } => {
                self.respawns += 1;
                self.throttled_for = wait;
                cx.report(match wait >= cx.settings.throttle.cap {
                    true => Report::MaximumThrottle(wait),
                    false => Report::Throttled(wait),
                });
            }
            ChildReport::Mercy { after, .. } => cx.report(Report::Mercy(after)),
            ChildReport::Ready { .. }
            | ChildReport::SpawnFailed
            | ChildReport::StartTimeout { .. } => {}
        }
    }
}
