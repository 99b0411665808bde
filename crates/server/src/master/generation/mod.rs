//! One generation of the application: a zygote that has loaded it, and the workers forked from there.

mod careers;
mod control;
mod figures;
mod fork;
mod harakiri;
mod slot;
mod standing;
mod strength;
mod succession;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use uwgate_config::{Loaded, Options};
use uwgate_supervisor::{Action, Event, Report, Roster, Status};
use uwgate_sys::channel;
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process::{self, Exit, Pid};
use uwgate_sys::record_locks::RecordLocks;

pub(super) use self::figures::books;
use self::fork::Zygote;
use self::harakiri::Backstop;
pub(super) use self::slot::Manner;
use self::slot::Slot;
pub(super) use self::standing::{Change, Fault, Key, Standing};
use super::Launcher;
use super::happenings::{Happenings, Heard};
use crate::inherit::bequeath;
use crate::listen::Listening;
use crate::message::{FromWorker, FromZygote, Message, ToWorker};
use crate::scoreboard::{Scoreboard, Side};
use crate::zygote::End;

/// What of the master a generation needs to act.
pub(super) struct Hands<'m> {
    /// Live workers of all generations.
    pub(super) roster: &'m mut Roster<Key>,
    pub(super) happenings: &'m Happenings,
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
    /// Of the applications that the options name, in the order in which they are loaded.
    mountpoints: Vec<String>,
    threads: u32,
    zygote: Zygote,
    /// None any more when it leaves.
    listeners: Arc<[Listening]>,
    scoreboard: Scoreboard,
    slots: Vec<Slot>,
    /// Workers that a chain reload has yet to replace, one after the other.
    chain: VecDeque<u32>,
    /// Processes that the zygote will be asked for when it has answered for others.
    to_fork: VecDeque<Key>,
    /// Workers leave new connections in the queue.
    paused: bool,
    backstop: Backstop,
}

impl Generation {
    /// Starts the zygote. `begin_with` of the workers will follow; `expects_apps`: somebody depends on an application.
    pub(super) fn start<L: Launcher>(
        (number, reloads): (u64, u64),
        loaded: &Loaded,
        listeners: Arc<[Listening]>,
        locks: &RecordLocks,
        launcher: &L,
        happenings: &Happenings,
        (expects_apps, begin_with): (bool, u32),
    ) -> io::Result<Self> {
        let options = &loaded.options;
        let scoreboard = super::scoreboard(options)?;
        strength::send_home_beyond(&scoreboard, begin_with, options.workers.processes);
        let (ours, theirs) = channel::pair()?;
        let legacy = bequeath(
            Some(theirs),
            &loaded.entries,
            &scoreboard,
            locks,
            &listeners,
        )?;
        let mut command = launcher
            .command(options, &legacy.word)
            .map_err(io::Error::other)?;
        command.fds = legacy.fds;
        // It may be deep in an import, with the sockets in its hands.
        command.death_signal = Some(process::Signal::KILL);
        super::start::tell_reloads(&mut command, reloads);
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
            mountpoints: mountpoints(options),
            threads: options.workers.threads.max(1),
            zygote: Zygote::new(pid, speaking),
            listeners,
            scoreboard,
            slots: slots(options, begin_with),
            chain: VecDeque::new(),
            to_fork: VecDeque::new(),
            paused: false,
            backstop: Backstop::new(options),
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

    pub(super) fn live_zygote(&self) -> Option<Pid> {
        self.zygote.alive.then_some(self.zygote.pid)
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
        let slots = self.slots.iter().filter_map(Slot::deadline);
        let others = [self.zygote.deadline(), self.backstop.deadline()];
        slots.chain(others.into_iter().flatten()).min()
    }

    /// Whether nothing is left.
    pub(super) fn is_gone(&self) -> bool {
        self.standing == Standing::Leaving
            && !self.zygote.alive
            && self.slots.iter().all(Slot::is_empty)
    }

    /// The sockets that its workers accept from.
    pub(super) fn listeners(&self) -> impl Iterator<Item = &Listening> {
        self.listeners.iter()
    }

    /// The same, to keep.
    pub(super) fn shared_listeners(&self) -> Arc<[Listening]> {
        Arc::clone(&self.listeners)
    }

    pub(super) fn handle_time(&mut self, hands: &mut Hands<'_>) -> Change {
        let now = coarse_now();
        self.zygote.handle_time(now);
        let mut change = Change::Nothing;
        for key in self.keys() {
            let Some(slot) = self.slot(key.worker) else {
                continue;
            };
            let actions = slot.at_mut(key.side).child.handle_timer(now);
            change = change.or(self.act(key, actions, hands));
        }
        self.end_frozen(now);
        change
    }

    pub(super) fn heard_zygote(
        &mut self,
        heard: Heard<FromZygote>,
        hands: &mut Hands<'_>,
    ) -> Change {
        match heard {
            Heard::Message(FromZygote::Loaded { apps }) => {
                self.loaded = true;
                self.apps = apps;
                // It was on its way when the generation was told to end: there will be no workers.
                if self.is_leaving() {
                    return Change::Nothing;
                }
                if apps == 0 && self.expects_apps && !self.lazy_apps {
                    return no_apps();
                }
                self.start_workers(hands)
            }
            Heard::Message(FromZygote::ForkFailed { worker, side }) => {
                self.never_started(self.key(worker, side), hands)
            }
            // What follows from it is decided when the process is reaped.
            Heard::Gone => Change::Nothing,
        }
    }

    fn start_workers(&mut self, hands: &mut Hands<'_>) -> Change {
        if self.strength() == 0 {
            self.standing = Standing::Serving;
            return Change::Risen;
        }
        let mut change = Change::Nothing;
        let wanted = |worker: &u32| {
            self.slots
                .get(*worker as usize - 1)
                .is_some_and(|it| it.wanted)
        };
        let workers: Vec<u32> = self.workers().filter(wanted).collect();
        for worker in workers {
            change = change.or(self.tell(self.key(worker, Side::First), Event::Start, hands));
        }
        change
    }

    fn never_started(&mut self, key: Key, hands: &mut Hands<'_>) -> Change {
        let Some(slot) = self.slot(key.worker) else {
            return Change::Nothing;
        };
        let occupant = slot.at_mut(key.side);
        if !std::mem::take(&mut occupant.awaited) {
            return Change::Nothing;
        }
        hands.roster.failed();
        let change = self.tell(key, Event::SpawnFailed, hands);
        self.predecessor_gone(key, hands);
        change.or(self.fork_next(hands))
    }

    pub(super) fn heard_worker(
        &mut self,
        key: Key,
        life: u64,
        heard: Heard<FromWorker>,
        hands: &mut Hands<'_>,
    ) -> Change {
        if let Heard::Message(FromWorker::Harakiri { .. }) = heard {
            // Its process may be gone by now, and have a successor.
            self.count_harakiri(key.worker);
        }
        let Some(slot) = self.slot(key.worker) else {
            return Change::Nothing;
        };
        let occupant = slot.at_mut(key.side);
        if occupant.life != life {
            return Change::Nothing;
        }
        match heard {
            Heard::Message(FromWorker::Started { pid }) => {
                let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
                    return Change::Nothing;
                };
                if !std::mem::take(&mut occupant.awaited) {
                    // The zygote has said that there is no such process, as the one that told it was killed.
                    if let Some(channel) = &occupant.channel {
                        let _ = rustix::net::shutdown(channel, rustix::net::Shutdown::Both);
                    }
                    return Change::Nothing;
                }
                occupant.born = coarse_now();
                occupant.is_done = false;
                self.worker_started(key, pid, hands)
            }
            Heard::Message(FromWorker::Ready { apps }) => {
                self.apps = self.apps.max(apps);
                if apps == 0 && self.expects_apps && self.standing == Standing::Rising {
                    return no_apps();
                }
                let change = self.tell(key, Event::Ready, hands);
                self.take_over(key, hands);
                change.or(self.risen())
            }
            // The master's business.
            Heard::Message(FromWorker::CodeChanged { .. } | FromWorker::Retire { .. }) => {
                Change::Nothing
            }
            Heard::Message(FromWorker::Harakiri { replace }) => {
                self.gave_up(key, replace, hands);
                Change::Nothing
            }
            Heard::Gone => self.never_started(key, hands),
        }
    }

    fn worker_started(&mut self, key: Key, pid: Pid, hands: &mut Hands<'_>) -> Change {
        let ended = hands.roster.spawned(pid, key);
        let change = self.tell(key, Event::Spawned(pid), hands);
        self.seat_process(key, pid);
        let change = match ended {
            Some(exit) => change.or(self.worker_exited(key, exit, hands)),
            None => change,
        };
        change.or(self.fork_next(hands))
    }

    fn risen(&mut self) -> Change {
        let all_run = self
            .slots
            .iter()
            .all(|slot| !slot.wanted || slot.current().child.status() == Status::Running);
        if self.standing == Standing::Rising && all_run {
            self.standing = Standing::Serving;
            return Change::Risen;
        }
        Change::Nothing
    }

    pub(super) fn worker_exited(&mut self, key: Key, exit: Exit, hands: &mut Hands<'_>) -> Change {
        self.scoreboard.clear(key.row());
        if let Some(slot) = self.slot(key.worker) {
            slot.at_mut(key.side).channel = None;
        }
        let change = self.tell(key, Event::Exited(exit), hands);
        self.unseat_process(key);
        self.predecessor_gone(key, hands);
        change
    }

    /// A newer generation serves.
    pub(super) fn leave(&mut self, hands: &mut Hands<'_>) -> Change {
        self.end(Event::Stop, ToWorker::Drain, hands)
    }

    /// The instance stops.
    pub(super) fn stop(&mut self, hands: &mut Hands<'_>) -> Change {
        self.end(Event::Stop, ToWorker::Stop, hands)
    }

    /// No patience any more.
    pub(super) fn kill(&mut self, hands: &mut Hands<'_>) -> Change {
        self.end(Event::Kill, ToWorker::Stop, hands)
    }

    fn end(&mut self, event: Event, farewell: ToWorker, hands: &mut Hands<'_>) -> Change {
        let was_leaving = self.standing == Standing::Leaving;
        self.standing = Standing::Leaving;
        // No worker will be replaced, and its sockets must not stay open behind our back.
        self.zygote.let_go();
        self.listeners = Arc::new([]);
        self.chain.clear();
        for slot in &mut self.slots {
            slot.handover = slot::Handover::None;
            for occupant in slot.occupants_mut() {
                occupant.farewell = farewell;
                let asked = was_leaving || occupant.child.status() == Status::Stopping;
                // Already asked to leave, and now to hurry: the state machine has nothing to add.
                if asked && let Some(channel) = &occupant.channel {
                    let _ = channel.send(&farewell.encode(), &[]);
                }
            }
        }
        for key in self.keys() {
            self.tell(key, event, hands);
        }
        self.fork_next(hands);
        // It may be deep in an import.
        if !self.loaded || event == Event::Kill {
            self.zygote.kill();
        }
        Change::Nothing
    }

    fn workers(&self) -> std::ops::RangeInclusive<u32> {
        1..=u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    fn key(&self, worker: u32, side: Side) -> Key {
        Key {
            generation: self.number,
            worker,
            side,
        }
    }

    /// Both sides of every slot.
    fn keys(&self) -> Vec<Key> {
        let both = |worker| [Side::First, Side::Second].map(|side| self.key(worker, side));
        self.workers().flat_map(both).collect()
    }

    fn slot(&mut self, worker: u32) -> Option<&mut Slot> {
        self.slots.get_mut((worker as usize).checked_sub(1)?)
    }

    fn tell(&mut self, key: Key, event: Event, hands: &mut Hands<'_>) -> Change {
        let Some(slot) = self.slot(key.worker) else {
            return Change::Nothing;
        };
        let actions = slot.at_mut(key.side).child.handle(event, coarse_now());
        self.act(key, actions, hands)
    }

    /// Does what the state machine of a process asks for.
    fn act(&mut self, key: Key, actions: Vec<Action>, hands: &mut Hands<'_>) -> Change {
        let mut change = Change::Nothing;
        for action in actions {
            match action {
                Action::Spawn => {
                    self.to_fork.push_back(key);
                    change = change.or(self.fork_next(hands));
                }
                Action::Signal(pid, kind) => self.signal(key, pid, kind),
                Action::Report(report) => {
                    self.report(key, report);
                    change = change.or(self.judge(report));
                }
                Action::Finished(_) => {}
            }
        }
        change
    }

    fn report(&self, key: Key, report: Report) {
        let again = self
            .scoreboard
            .seat(key.worker)
            .is_some_and(|seat| seat.last_spawn.load(std::sync::atomic::Ordering::Relaxed) > 0);
        super::report::log(key.worker, self.threads, again, report);
        let slot = self.slots.get((key.worker as usize).wrapping_sub(1));
        let cheap = slot.is_some_and(|slot| !slot.wanted) && !self.is_leaving();
        if let Report::Buried { pid, .. } = report {
            if cheap {
                tracing::info!("uWSGI worker {} cheaped.", key.worker);
            }
            if slot.is_some_and(|slot| slot.at(key.side).is_done) {
                tracing::info!("...The work of process {pid} is done. Seeya!");
            }
        }
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

/// The order is that in which Python loads them.
fn mountpoints(options: &Options) -> Vec<String> {
    let python = &options.python;
    let mains = usize::from(python.module.is_some()) + usize::from(python.wsgi_file.is_some());
    let mounts = python.mount.iter();
    let mounts = mounts.map(|mount| mount.value.mountpoint.clone());
    std::iter::repeat_n(String::new(), mains)
        .chain(mounts)
        .collect()
}

fn no_apps() -> Change {
    tracing::error!("the new code has no application");
    Change::Failed(Fault::Ended(End::NoApp.code()))
}

/// Of all places the first `begin_with` are filled.
fn slots(options: &Options, begin_with: u32) -> Vec<Slot> {
    let policy = slot::policy(options);
    let slots = (0..options.workers.processes).map(|place| Slot::new(policy, place < begin_with));
    slots.collect()
}
