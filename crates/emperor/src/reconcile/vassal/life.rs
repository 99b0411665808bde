//! What becomes of a vassal's process: its starts and ends, what it says, what time brings.

use std::sync::Arc;

use uwgate_supervisor::{
    Action, Event as ChildEvent, Exit, Pid, Report as ChildReport, Status, StopKind, Verdict,
};

use super::{Context, Death, FromVassal, Heard, Manner, Report, Standing, ToVassal, Vassal, What};

impl Vassal {
    pub(in crate::reconcile) fn handle_timer(&mut self, cx: &mut Context<'_>) {
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

    pub(in crate::reconcile) fn spawned(&mut self, pid: Pid, cx: &mut Context<'_>) {
        self.started = Some(cx.now);
        self.first_started.get_or_insert(cx.now);
        self.tell(ChildEvent::Spawned(pid), cx);
    }

    pub(in crate::reconcile) fn spawn_failed(&mut self, why: String, cx: &mut Context<'_>) {
        cx.report(Report::SpawnFailed(why.clone()));
        self.death = Some((Death::NotStarted(why), cx.now));
        self.tell(ChildEvent::SpawnFailed, cx);
    }

    pub(in crate::reconcile) fn exited(&mut self, exit: Exit, cx: &mut Context<'_>) {
        self.heard = Heard::default();
        (self.kept, self.owed) = (false, false);
        self.started_with = None;
        self.tell(ChildEvent::Exited(exit), cx);
    }

    pub(in crate::reconcile) fn mute(&mut self, life: u64, cx: &mut Context<'_>) {
        if life == self.life && self.child.pid().is_some() {
            self.heard.mute.get_or_insert(cx.now);
        }
    }

    pub(in crate::reconcile) fn said(&mut self, life: u64, word: FromVassal, cx: &mut Context<'_>) {
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
            FromVassal::CanOutlive if cx.settings.keeps => self.keep(cx),
            FromVassal::CanOutlive => {}
        }
    }

    pub(super) fn keep(&mut self, cx: &mut Context<'_>) {
        if let (Some(pid), Some(spec)) = (self.child.pid(), &self.started_with) {
            let (spec, life) = (Arc::clone(spec), self.life);
            cx.order(What::Keep { pid, spec, life });
        }
    }

    pub(in crate::reconcile) fn kept(&mut self, life: u64, cx: &mut Context<'_>) {
        let is_news = life == self.life && self.child.pid().is_some() && !self.kept;
        if is_news {
            self.kept = true;
            cx.order(What::Say(ToVassal::Outlive));
        }
    }

    /// It hears and speaks again; what it should have been told meanwhile it is told now.
    pub(in crate::reconcile) fn returned(&mut self, cx: &mut Context<'_>) {
        if self.child.pid().is_none() {
            return;
        }
        (self.heard.away, self.heard.mute) = (None, None);
        cx.report(Report::Returned);
        cx.order(What::Say(ToVassal::Outlive));
        let owed = std::mem::take(&mut self.owed);
        match self.child.status() {
            Status::Stopping => self.ask_to_end(cx),
            _ if owed => self.renew(cx),
            _ => {}
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

    pub(super) fn tell(&mut self, event: ChildEvent, cx: &mut Context<'_>) {
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
