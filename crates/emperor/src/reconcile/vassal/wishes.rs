//! What is wanted of a vassal: by its source, by the operator, by whoever connects.

use std::sync::Arc;

use uwgate_supervisor::{Event as ChildEvent, Status};

use super::{Context, Manner, Report, Standing, ToVassal, Vassal, What};
use crate::spec::VassalSpec;

impl Vassal {
    /// A source names it.
    pub(in crate::reconcile) fn wanted(
        &mut self,
        source: usize,
        spec: Arc<VassalSpec>,
        cx: &mut Context<'_>,
    ) {
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

    pub(super) fn wait(&mut self, cx: &mut Context<'_>) {
        self.waiting = true;
        cx.order(What::AwaitVisitor(Arc::clone(&self.spec)));
        cx.report(Report::OnDemand {
            socket: self.spec.on_demand.clone().unwrap_or_default(),
            again: self.first_started.is_some(),
        });
    }

    pub(super) fn stop_waiting(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.waiting) {
            cx.order(What::StopWaiting);
        }
    }

    /// Its configuration is another one: do what brings that to life.
    pub(super) fn renew(&mut self, cx: &mut Context<'_>) {
        if self.standing != Standing::Wanted {
            return;
        }
        let lives = matches!(self.child.status(), Status::Starting | Status::Running);
        if lives && self.heard.away.is_some() {
            self.owed = true;
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

    pub(super) fn say_reload(&mut self, cx: &mut Context<'_>) {
        if self.heard.mute.is_some() {
            return self.tell(ChildEvent::Restart, cx);
        }
        self.heard.reloading = true;
        self.heard.ready = None;
        cx.report(Report::Reload);
        cx.order(What::Say(ToVassal::Reload));
        self.started_with = Some(Arc::clone(&self.spec));
        if self.kept {
            self.keep(cx);
        }
    }

    /// No source names it any more.
    pub(in crate::reconcile) fn vanish(&mut self, cx: &mut Context<'_>) {
        if self.standing != Standing::Unwanted {
            self.end(Manner::Graceful, cx);
        }
    }

    /// The operator wants a reload.
    pub(in crate::reconcile) fn reload(&mut self, cx: &mut Context<'_>) {
        if self.standing == Standing::Exiled {
            self.standing = Standing::Wanted;
        }
        self.touches.cancel();
        self.renew(cx);
    }

    pub(in crate::reconcile) fn forgive(&mut self, cx: &mut Context<'_>) {
        if self.standing == Standing::Wanted && self.child.status() == Status::Throttled {
            self.tell(ChildEvent::Start, cx);
        }
    }

    pub(in crate::reconcile) fn hold(&mut self, cx: &mut Context<'_>) {
        if self.standing != Standing::Unwanted {
            self.standing = Standing::Held;
            self.close_socket(cx);
            self.leave(Manner::Graceful, cx);
        }
    }

    pub(in crate::reconcile) fn release(&mut self, cx: &mut Context<'_>) {
        if self.standing == Standing::Unwanted {
            return;
        }
        self.standing = Standing::Wanted;
        self.stop_waiting(cx);
        self.tell(ChildEvent::Start, cx);
    }

    /// It is to go for good.
    pub(in crate::reconcile) fn end(&mut self, manner: Manner, cx: &mut Context<'_>) {
        if self.standing != Standing::Unwanted {
            self.close_socket(cx);
        }
        self.standing = Standing::Unwanted;
        self.leave(manner, cx);
        self.over = self.child.status() == Status::Idle;
    }

    pub(super) fn leave(&mut self, manner: Manner, cx: &mut Context<'_>) {
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
    pub(super) fn ask_to_end(&mut self, cx: &mut Context<'_>) {
        let Some(pid) = self.child.pid() else { return };
        if self.heard.away.is_some() {
            // As soon as it calls.
            return;
        }
        cx.order(match (self.heard.mute, self.manner) {
            (Some(_), _) => What::Terminate(pid),
            (None, Manner::Graceful) => What::Say(ToVassal::StopGracefully),
            (None, Manner::Quick | Manner::Kill) => What::Say(ToVassal::Stop),
        });
    }

    pub(in crate::reconcile) fn visitor(&mut self, cx: &mut Context<'_>) {
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
    pub(in crate::reconcile) fn socket_lost(&mut self, cx: &mut Context<'_>) {
        let lives = matches!(self.child.status(), Status::Starting | Status::Running);
        if lives && self.standing == Standing::Wanted && self.spec.on_demand.is_some() {
            cx.report(Report::SocketLost);
            self.leave(Manner::Graceful, cx);
        }
    }
}
