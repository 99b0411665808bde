//! One slot for a child and the life in it.

use std::mem;

use uwgate_sys::clock::Millis;
use uwgate_sys::process::{Exit, Pid};

use crate::action::{Action, Report, StopKind};
use crate::event::Event;
use crate::policy::{Policy, Verdict};

/// A slot that holds at most one live process.
#[derive(Debug)]
pub struct Child {
    policy: Policy,
    state: State,
    /// Short lives in a row, see [`crate::Throttle`].
    strikes: u32,
    /// How the last life ended.
    last: Option<Exit>,
}

/// Where the child is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not wanted, no process.
    Idle,
    /// Wanted, but it died too fast to be started right away.
    Throttled,
    /// To be spawned by the shell.
    Spawning,
    /// A process that is not ready yet.
    Starting,
    /// A process that does its work.
    Running,
    /// A process that was asked to end.
    Stopping,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Waiting {
        until: Millis,
    },
    Spawning {
        order: Order,
    },
    /// `condemned`: SIGKILL was sent, though the child is wanted.
    Living {
        life: Life,
        condemned: bool,
    },
    /// `killed`: SIGKILL was sent, no more mercy to wait for.
    Leaving {
        life: Life,
        asked: Millis,
        killed: bool,
        then: Then,
    },
}

#[derive(Clone, Copy, Debug)]
struct Life {
    pid: Pid,
    born: Millis,
    ready: Option<Millis>,
}

/// What to do with a process that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Live,
    Leave(StopKind),
}

/// What comes after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Finish,
    Respawn,
}

type Actions = Vec<Action>;

impl Child {
    /// An idle child.
    pub fn new(policy: Policy) -> Child {
        Child {
            policy,
            state: State::Idle,
            strikes: 0,
            last: None,
        }
    }

    /// Where it is in its life.
    pub fn status(&self) -> Status {
        match self.state {
            State::Idle => Status::Idle,
            State::Waiting { .. } => Status::Throttled,
            State::Spawning { .. } => Status::Spawning,
            State::Living {
                condemned: true, ..
            }
            | State::Leaving { .. } => Status::Stopping,
            State::Living {
                life: Life { ready: None, .. },
                ..
            } => Status::Starting,
            State::Living {
                life: Life { ready: Some(_), .. },
                ..
            } => Status::Running,
        }
    }

    /// The live process, if any.
    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Living { life, .. } | State::Leaving { life, .. } => Some(life.pid),
            State::Idle | State::Waiting { .. } | State::Spawning { .. } => None,
        }
    }

    /// Short lives in a row; 0 after a long one.
    pub fn strikes(&self) -> u32 {
        self.strikes
    }

    /// When [`handle_timer`](Self::handle_timer) has something to do; `None`: only an event can bring news.
    pub fn deadline(&self) -> Option<Millis> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Living {
                life: Life {
                    born, ready: None, ..
                },
                condemned: false,
            } => self.policy.start_timeout.map(|patience| born + patience),
            State::Leaving {
                asked,
                killed: false,
                ..
            } => Some(asked + self.policy.mercy),
            State::Idle | State::Spawning { .. } | State::Living { .. } | State::Leaving { .. } => {
                None
            }
        }
    }

    /// Does what is due. Early, late and repeated calls do no harm.
    pub fn handle_timer(&mut self, now: Millis) -> Vec<Action> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Actions::new();
        }
        match &mut self.state {
            State::Waiting { .. } => self.spawn(),
            State::Living { life, condemned } => {
                *condemned = true;
                let late = Report::StartTimeout {
                    pid: life.pid,
                    after: now - life.born,
                };
                vec![
                    Action::Report(late),
                    Action::Signal(life.pid, StopKind::Kill),
                ]
            }
            State::Leaving {
                life,
                asked,
                killed,
                ..
            } => {
                *killed = true;
                let late = Report::Mercy {
                    pid: life.pid,
                    after: now - *asked,
                };
                vec![
                    Action::Report(late),
                    Action::Signal(life.pid, StopKind::Kill),
                ]
            }
            State::Idle | State::Spawning { .. } => Actions::new(),
        }
    }

    /// Takes one event, at the time it happened, and says what to do about it, in order.
    pub fn handle(&mut self, event: Event, now: Millis) -> Vec<Action> {
        match event {
            Event::Start => self.start(now),
            Event::Stop => self.leave(StopKind::Graceful, now),
            Event::Kill => self.leave(StopKind::Kill, now),
            Event::Restart => self.restart(now),
            Event::Abort => self.abort(),
            Event::Spawned(pid) => self.spawned(pid, now),
            Event::SpawnFailed => self.spawn_failed(now),
            Event::Ready => self.ready(now),
            Event::Exited(exit) => self.exited(exit, now),
        }
    }

    fn start(&mut self, now: Millis) -> Actions {
        match &mut self.state {
            State::Idle | State::Waiting { .. } => {
                self.strikes = 0;
                return self.spawn();
            }
            State::Spawning { order } => *order = Order::Live,
            State::Leaving { then, .. } => *then = Then::Respawn,
            State::Living {
                condemned: false, ..
            } => {}
            // Whatever the policy says about deaths, this one is to be followed by a new life.
            &mut State::Living {
                life,
                condemned: true,
            } => {
                self.state = State::Leaving {
                    life,
                    asked: now,
                    killed: true,
                    then: Then::Respawn,
                };
            }
        }
        Actions::new()
    }

    fn spawn(&mut self) -> Actions {
        self.state = State::Spawning { order: Order::Live };
        vec![Action::Spawn]
    }

    fn leave(&mut self, kind: StopKind, now: Millis) -> Actions {
        match &mut self.state {
            State::Idle => Actions::new(),
            State::Waiting { .. } => self.finish(),
            State::Spawning { order } => {
                if *order != Order::Leave(StopKind::Kill) {
                    *order = Order::Leave(kind);
                }
                Actions::new()
            }
            &mut State::Living { life, condemned } => {
                self.state = State::Leaving {
                    life,
                    asked: now,
                    killed: condemned,
                    then: Then::Finish,
                };
                self.ask(kind)
            }
            State::Leaving { then, .. } => {
                *then = Then::Finish;
                if kind == StopKind::Kill {
                    self.ask(kind)
                } else {
                    Actions::new()
                }
            }
        }
    }

    /// Signals the leaving process, unless it got its SIGKILL before.
    fn ask(&mut self, kind: StopKind) -> Actions {
        let State::Leaving {
            life,
            killed: killed @ false,
            ..
        } = &mut self.state
        else {
            return Actions::new();
        };
        *killed = kind == StopKind::Kill;
        vec![Action::Signal(life.pid, kind)]
    }

    fn restart(&mut self, now: Millis) -> Actions {
        match self.state {
            State::Waiting { .. } => self.start(now),
            State::Living {
                life,
                condemned: false,
            } => {
                self.state = State::Leaving {
                    life,
                    asked: now,
                    killed: false,
                    then: Then::Respawn,
                };
                self.ask(StopKind::Graceful)
            }
            State::Idle | State::Spawning { .. } | State::Living { .. } | State::Leaving { .. } => {
                Actions::new()
            }
        }
    }

    fn abort(&mut self) -> Actions {
        match &mut self.state {
            State::Living {
                life,
                condemned: condemned @ false,
            } => {
                *condemned = true;
                vec![Action::Signal(life.pid, StopKind::Kill)]
            }
            State::Leaving { .. } => self.ask(StopKind::Kill),
            State::Idle | State::Waiting { .. } | State::Spawning { .. } | State::Living { .. } => {
                Actions::new()
            }
        }
    }

    fn spawned(&mut self, pid: Pid, now: Millis) -> Actions {
        let State::Spawning { order } = self.state else {
            debug_assert!(false, "process {pid} was spawned though none was asked for");
            return Actions::new();
        };
        let life = Life {
            pid,
            born: now,
            ready: None,
        };
        let mut actions = vec![Action::Report(Report::Spawned { pid })];
        match order {
            Order::Live => {
                self.state = State::Living {
                    life,
                    condemned: false,
                }
            }
            Order::Leave(kind) => {
                self.state = State::Leaving {
                    life,
                    asked: now,
                    killed: false,
                    then: Then::Finish,
                };
                actions.extend(self.ask(kind));
            }
        }
        actions
    }

    fn spawn_failed(&mut self, now: Millis) -> Actions {
        let State::Spawning { order } = self.state else {
            debug_assert!(false, "a spawn failed though none was asked for");
            return Actions::new();
        };
        let mut actions = vec![Action::Report(Report::SpawnFailed)];
        if order == Order::Live && self.policy.respawn {
            self.strikes = self.policy.throttle.strike(self.strikes, false);
            actions.extend(self.respawn(now));
        } else {
            actions.extend(self.finish());
        }
        actions
    }

    fn ready(&mut self, now: Millis) -> Actions {
        let State::Living {
            life,
            condemned: false,
        } = &mut self.state
        else {
            return Actions::new();
        };
        if life.ready.replace(now).is_some() {
            return Actions::new();
        }
        vec![Action::Report(Report::Ready {
            pid: life.pid,
            after: now - life.born,
        })]
    }

    fn exited(&mut self, exit: Exit, now: Millis) -> Actions {
        match mem::replace(&mut self.state, State::Idle) {
            State::Living { life, condemned } => self.died(life, condemned, exit, now),
            State::Leaving {
                life, asked, then, ..
            } => {
                self.last = Some(exit);
                let mut actions = vec![Action::Report(Report::Buried {
                    pid: life.pid,
                    exit,
                    after: now - asked,
                })];
                actions.extend(match then {
                    Then::Finish => self.finish(),
                    Then::Respawn => self.spawn(),
                });
                actions
            }
            no_process => {
                debug_assert!(false, "an end without a process: {exit}");
                self.state = no_process;
                Actions::new()
            }
        }
    }

    /// An end that nobody asked for; `condemned` ones were killed by us and count as failures.
    fn died(&mut self, life: Life, condemned: bool, exit: Exit, now: Millis) -> Actions {
        self.last = Some(exit);
        let Life { pid, born, ready } = life;
        let was_ready = ready.is_some();
        let verdict = if condemned {
            Verdict::Failed
        } else {
            (self.policy.verdict)(exit)
        };
        let mut actions = vec![Action::Report(Report::Died {
            pid,
            exit,
            verdict,
            was_ready,
            lived: now - born,
        })];
        if verdict == Verdict::Retired || !self.policy.respawn {
            actions.extend(self.finish());
            return actions;
        }
        let served_long = ready.is_some_and(|ready| now - ready >= self.policy.throttle.stable);
        if served_long {
            self.strikes = 0;
        }
        let too_short = !served_long && (verdict == Verdict::Failed || !was_ready);
        actions.extend(if too_short {
            self.strikes = self.policy.throttle.strike(self.strikes, was_ready);
            self.respawn(now)
        } else {
            self.respawn_now()
        });
        actions
    }

    fn respawn(&mut self, now: Millis) -> Actions {
        let wait = self.policy.throttle.wait(self.strikes);
        if wait.is_zero() {
            return self.respawn_now();
        }
        self.state = State::Waiting { until: now + wait };
        vec![Action::Report(Report::Throttled {
            wait,
            strikes: self.strikes,
        })]
    }

    fn respawn_now(&mut self) -> Actions {
        let mut actions = vec![Action::Report(Report::Respawning)];
        actions.extend(self.spawn());
        actions
    }

    fn finish(&mut self) -> Actions {
        self.state = State::Idle;
        self.strikes = 0;
        vec![Action::Finished(self.last.take())]
    }
}
