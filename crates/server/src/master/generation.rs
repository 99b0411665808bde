//! One generation of the application: a zygote that has loaded it, and the workers forked from there.

use std::io;
use std::time::Duration;

use uwgate_config::{Loaded, Options};
use uwgate_supervisor::{Action, Child, Event, Policy, Report, Roster, Status, StopKind, Throttle};
use uwgate_sys::channel::{self, Channel};
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process::{self, Exit, Pid, Signal};

use super::Launcher;
use super::happenings::{Happenings, Heard};
use crate::inherit::bequeath;
use crate::listen::Listening;
use crate::message::{FromWorker, FromZygote, Message, ToWorker, ToZygote};
use crate::zygote::End;

/// A worker's place in the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) generation: u64,
    pub(super) worker: u32,
}

/// What a generation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not all of its workers are ready yet.
    Rising,
    Serving,
    /// Its workers finish what they have.
    Leaving,
}

/// What the master has to do after a generation has handled something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// All of its workers are ready.
    Risen,
    /// It will never be ready.
    Failed(Fault),
}

/// Why a generation will never be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// One of its processes ended by itself: this would be the exit code of an instance that has nothing else.
    Ended(i32),
    /// One was killed. Nothing is known against the code.
    Killed,
}

impl From<Exit> for Fault {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(0) => Self::Ended(End::Failed.code()),
            Exit::Code(code) => Self::Ended(code),
            Exit::Signal { .. } => Self::Killed,
        }
    }
}

pub(super) struct Generation {
    number: u64,
    standing: Standing,
    /// Somebody depends on it that there is an application.
    expects_apps: bool,
    /// The workers load the applications, not the zygote.
    lazy_apps: bool,
    loaded: bool,
    apps: u32,
    threads: u32,
    zygote: Zygote,
    slots: Vec<Slot>,
}

struct Zygote {
    pid: Pid,
    alive: bool,
    channel: Channel,
}

impl Zygote {
    /// It leaves at the end of its channel. The reading task has another handle of the same socket, so only a
    /// shutdown tells it.
    fn let_go(&self) {
        let _ = rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Both);
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// A worker's place, whoever fills it.
struct Slot {
    child: Child,
    channel: Option<Channel>,
    /// Counts the processes that have filled it.
    life: u64,
    /// A process was asked for and has not said its name yet.
    awaited: bool,
    /// What a graceful stop means for it.
    farewell: ToWorker,
}

/// A worker that has served may die a few times at no cost; one that cannot even start is tried ever more slowly.
const THROTTLE: Throttle = Throttle {
    base: Duration::from_millis(250),
    factor: 2.0,
    cap: Duration::from_secs(5),
    free: 10,
    stable: Duration::from_secs(5),
};

impl Generation {
    /// Starts the zygote.
    pub(super) fn start<L: Launcher>(
        number: u64,
        loaded: &Loaded,
        listeners: &[Listening],
        launcher: &L,
        happenings: &Happenings,
        expects_apps: bool,
    ) -> io::Result<Self> {
        let options = &loaded.options;
        let scoreboard = super::scoreboard(options)?;
        let (ours, theirs) = channel::pair()?;
        let legacy = bequeath(Some(theirs), &loaded.entries, &scoreboard, listeners)?;
        let mut command = launcher
            .command(options, &legacy.word)
            .map_err(io::Error::other)?;
        command.fds = legacy.fds;
        let program = command.program.clone();
        let pid = command.spawn().map_err(|error| {
            io::Error::other(format!("cannot run {}: {error}", program.display()))
        })?;
        let speaking = ours.try_clone()?;
        happenings.follow_zygote(number, ours)?;
        Ok(Self {
            number,
            standing: Standing::Rising,
            expects_apps,
            lazy_apps: options.workers.lazy_apps || options.workers.lazy,
            loaded: false,
            apps: 0,
            threads: options.workers.threads.max(1),
            zygote: Zygote {
                pid,
                alive: true,
                channel: speaking,
            },
            slots: slots(options),
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn apps(&self) -> u32 {
        self.apps
    }

    pub(super) fn zygote_pid(&self) -> Pid {
        self.zygote.pid
    }

    /// The zygote was reaped.
    pub(super) fn zygote_gone(&mut self) {
        self.zygote.alive = false;
    }

    /// Whether its zygote had the application (or may leave it to the workers).
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether its workers cannot be replaced.
    pub(super) fn lost_zygote(&self) -> bool {
        !self.zygote.alive
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.slots
            .iter()
            .filter_map(|slot| slot.child.deadline())
            .min()
    }

    /// Whether nothing but, at most, a zygote on its way out is left.
    pub(super) fn is_gone(&self) -> bool {
        self.standing == Standing::Leaving
            && self
                .slots
                .iter()
                .all(|slot| slot.child.status() == Status::Idle && !slot.awaited)
    }

    pub(super) fn handle_time(
        &mut self,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        let now = coarse_now();
        let mut change = Change::Nothing;
        for worker in self.workers() {
            let Some(slot) = self.slot(worker) else {
                continue;
            };
            let actions = slot.child.handle_timer(now);
            change = change.or(self.act(worker, actions, roster, happenings));
        }
        change
    }

    pub(super) fn heard_zygote(
        &mut self,
        heard: Heard<FromZygote>,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        match heard {
            Heard::Message(FromZygote::Loaded { apps }) => {
                self.loaded = true;
                self.apps = apps;
                if apps == 0 && self.expects_apps && !self.lazy_apps {
                    tracing::error!("the new code has no application");
                    return Change::Failed(Fault::Ended(End::NoApp.code()));
                }
                self.start_workers(roster, happenings)
            }
            Heard::Message(FromZygote::ForkFailed { worker }) => {
                self.never_started(worker, roster, happenings)
            }
            // What follows from it is decided when the process is reaped.
            Heard::Gone => Change::Nothing,
        }
    }

    fn start_workers(&mut self, roster: &mut Roster<Key>, happenings: &Happenings) -> Change {
        if self.slots.is_empty() {
            self.standing = Standing::Serving;
            return Change::Risen;
        }
        self.tell_all(Event::Start, roster, happenings)
    }

    fn never_started(
        &mut self,
        worker: u32,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        let Some(slot) = self.slot(worker).filter(|slot| slot.awaited) else {
            return Change::Nothing;
        };
        slot.awaited = false;
        roster.failed();
        self.tell(worker, Event::SpawnFailed, roster, happenings)
    }

    pub(super) fn heard_worker(
        &mut self,
        worker: u32,
        life: u64,
        heard: Heard<FromWorker>,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        let generation = self.number;
        let Some(slot) = self.slot(worker).filter(|slot| slot.life == life) else {
            return Change::Nothing;
        };
        match heard {
            Heard::Message(FromWorker::Started { pid }) => {
                let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
                    return Change::Nothing;
                };
                slot.awaited = false;
                let key = Key { generation, worker };
                let ended = roster.spawned(pid, key);
                let change = self.tell(worker, Event::Spawned(pid), roster, happenings);
                match ended {
                    Some(exit) => change.or(self.worker_exited(worker, exit, roster, happenings)),
                    None => change,
                }
            }
            Heard::Message(FromWorker::Ready { apps }) => {
                self.apps = self.apps.max(apps);
                if apps == 0 && self.expects_apps && self.standing == Standing::Rising {
                    tracing::error!("the new code has no application");
                    return Change::Failed(Fault::Ended(End::NoApp.code()));
                }
                let change = self.tell(worker, Event::Ready, roster, happenings);
                change.or(self.risen())
            }
            Heard::Gone => self.never_started(worker, roster, happenings),
        }
    }

    fn risen(&mut self) -> Change {
        let all_run = self
            .slots
            .iter()
            .all(|slot| slot.child.status() == Status::Running);
        if self.standing == Standing::Rising && all_run {
            self.standing = Standing::Serving;
            return Change::Risen;
        }
        Change::Nothing
    }

    pub(super) fn worker_exited(
        &mut self,
        worker: u32,
        exit: Exit,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        if let Some(slot) = self.slot(worker) {
            slot.channel = None;
        }
        self.tell(worker, Event::Exited(exit), roster, happenings)
    }

    /// A newer generation serves.
    pub(super) fn leave(&mut self, roster: &mut Roster<Key>, happenings: &Happenings) -> Change {
        self.end(Event::Stop, ToWorker::Drain, roster, happenings)
    }

    /// The instance stops.
    pub(super) fn stop(&mut self, roster: &mut Roster<Key>, happenings: &Happenings) -> Change {
        self.end(Event::Stop, ToWorker::Stop, roster, happenings)
    }

    /// No patience any more.
    pub(super) fn kill(&mut self, roster: &mut Roster<Key>, happenings: &Happenings) -> Change {
        self.end(Event::Kill, ToWorker::Stop, roster, happenings)
    }

    fn end(
        &mut self,
        event: Event,
        farewell: ToWorker,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        let was_leaving = self.standing == Standing::Leaving;
        self.standing = Standing::Leaving;
        // No worker will be replaced, and its sockets must not stay open behind our back.
        self.zygote.let_go();
        for slot in &mut self.slots {
            slot.farewell = farewell;
            // Already asked to leave, and now to hurry: the state machine has nothing to add.
            if was_leaving && let Some(channel) = &slot.channel {
                let _ = channel.send(&farewell.encode(), &[]);
            }
        }
        self.tell_all(event, roster, happenings);
        if !self.loaded && self.zygote.alive {
            // It may be deep in an import.
            let _ = process::kill(self.zygote.pid, Signal::KILL);
        }
        Change::Nothing
    }

    fn workers(&self) -> std::ops::RangeInclusive<u32> {
        1..=u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    fn slot(&mut self, worker: u32) -> Option<&mut Slot> {
        self.slots.get_mut((worker as usize).checked_sub(1)?)
    }

    fn tell_all(
        &mut self,
        event: Event,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        let mut change = Change::Nothing;
        for worker in self.workers() {
            change = change.or(self.tell(worker, event, roster, happenings));
        }
        change
    }

    fn tell(
        &mut self,
        worker: u32,
        event: Event,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        let Some(slot) = self.slot(worker) else {
            return Change::Nothing;
        };
        let actions = slot.child.handle(event, coarse_now());
        self.act(worker, actions, roster, happenings)
    }

    /// Does what the state machine of a slot asks for.
    fn act(
        &mut self,
        worker: u32,
        actions: Vec<Action>,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> Change {
        let mut change = Change::Nothing;
        for action in actions {
            match action {
                Action::Spawn => {
                    if let Err(error) = self.fork(worker, roster, happenings) {
                        tracing::error!("worker {worker} cannot be started: {error}");
                        change =
                            change.or(self.tell(worker, Event::SpawnFailed, roster, happenings));
                    }
                }
                Action::Signal(pid, kind) => self.signal(worker, pid, kind),
                Action::Report(report) => {
                    self.report(worker, report);
                    change = change.or(self.judge(report));
                }
                Action::Finished(_) => {}
            }
        }
        change
    }

    fn fork(
        &mut self,
        worker: u32,
        roster: &mut Roster<Key>,
        happenings: &Happenings,
    ) -> io::Result<()> {
        use std::os::fd::AsFd;

        let key = Key {
            generation: self.number,
            worker,
        };
        let (ours, theirs) = channel::pair()?;
        if !self.zygote.alive {
            return Err(io::Error::other("the zygote is gone"));
        }
        let speaking = ours.try_clone()?;
        let zygote = &self.zygote;
        let Some(slot) = self.slots.get_mut((worker as usize).wrapping_sub(1)) else {
            return Ok(());
        };
        slot.life += 1;
        // All that can fail comes first: once the order is out, a process may come.
        happenings.follow_worker(key, slot.life, ours)?;
        let order = ToZygote::Fork { worker }.encode();
        zygote.channel.send(&order, &[theirs.as_fd()])?;
        slot.awaited = true;
        slot.channel = Some(speaking);
        roster.expect();
        Ok(())
    }

    fn signal(&mut self, worker: u32, pid: Pid, kind: StopKind) {
        let Some(slot) = self.slot(worker) else {
            return;
        };
        match (kind, &slot.channel) {
            (StopKind::Graceful, Some(channel)) => {
                let _ = channel.send(&slot.farewell.encode(), &[]);
            }
            _ => {
                let _ = process::kill(pid, Signal::KILL);
            }
        }
    }

    fn report(&self, worker: u32, report: Report) {
        let slot = self.slots.get((worker as usize).wrapping_sub(1));
        let again = slot.is_some_and(|slot| slot.life > 1);
        super::report::log(worker, self.threads, again, report);
    }

    /// A worker of a rising generation that dies before it was ready takes the generation with it.
    fn judge(&self, report: Report) -> Change {
        match report {
            Report::Died {
                exit,
                was_ready: false,
                ..
            } if self.standing == Standing::Rising => Change::Failed(exit.into()),
            _ => Change::Nothing,
        }
    }
}

impl Change {
    /// The first change counts: a generation fails or rises once.
    fn or(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            Self::Risen | Self::Failed(_) => self,
        }
    }
}

fn slots(options: &Options) -> Vec<Slot> {
    let slot = |_| Slot {
        child: Child::new(Policy {
            throttle: THROTTLE,
            ..Policy::default()
        }),
        channel: None,
        life: 0,
        awaited: false,
        farewell: ToWorker::Drain,
    };
    (0..options.workers.processes).map(slot).collect()
}
