//! The master: owns the sockets, starts a zygote for each generation of the application, keeps its workers alive,
//! replaces them without a gap. It runs no Python and never forks without exec.
//!
//! Everything that happens reaches [`Master::handle`] through one queue ([`Happening`]); what a single process of it
//! means is decided by `uwgate-supervisor`, what a generation means in `generation`, what is to be done next here.

mod annals;
mod begin;
mod cheaper;
mod chores;
mod daemons;
mod ending;
mod fifo;
mod generation;
mod happenings;
mod heritage;
pub(crate) mod lord;
mod memory;
mod pidfile;
mod queues;
mod recycling;
mod reload;
mod report;
mod rest;
mod sources;
mod start;
mod stats;
mod surroundings;
mod systemd;
mod tick;
mod touch;
mod upgrade;
mod veterans;
mod watch;
mod wish;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uwgate_config::{Finding, Loaded, Options};
use uwgate_supervisor::Roster;
use uwgate_supervisor::recycling::Recycling;
use uwgate_sys::clock::coarse_now;
use uwgate_sys::process::{self, Exit, Pid};
use uwgate_sys::record_locks::RecordLocks;

use self::cheaper::Workforce;
use self::ending::Ending;
use self::generation::{Change, Generation, Hands, Key, Manner, Standing};
use self::happenings::{Happening, Happenings, Heard};
pub use self::heritage::Heritage;
use self::lord::Lord;
pub(crate) use self::pidfile::Pidfiles;
use self::rest::Rest;
use self::sources::Sources;
use self::stats::Stats;
use self::surroundings::{Phase, Surroundings};
pub(crate) use self::systemd::Notifier;
use self::tick::Tick;
use self::upgrade::Upgrade;
pub use self::upgrade::{SUCCESSION, try_to_succeed};
use self::veterans::Veterans;
use crate::background::Background;
use crate::listen::Listening;
use crate::log::Logs;
use crate::message::FromWorker;
use crate::zygote::End;

/// What the master does not know by itself: where options come from and what runs the application.
pub trait Launcher {
    /// Reads the configuration again.
    ///
    /// # Errors
    /// What is wrong with it, all at once.
    fn load(&self) -> Result<Loaded, Vec<Finding>>;

    /// The command line without the program's name, for a newer binary to take over with.
    fn arguments(&self) -> &[std::ffi::OsString];

    /// The command that becomes a zygote (or, without master, the worker). `word` is to be handed to
    /// [`Inherited::take`](crate::inherit::Inherited::take) there.
    ///
    /// # Errors
    /// Why there is none, in words for the operator.
    fn command(&self, options: &Options, word: &str) -> Result<process::Spawn, String>;
}

/// Runs an instance until it is told to stop. Returns the process's exit code. `heritage`: what the process had as an
/// instance before it became this binary.
pub fn run<L: Launcher>(
    loaded: &Loaded,
    launcher: &L,
    heritage: Option<Heritage>,
    mut background: Background,
) -> i32 {
    match start::start(loaded, launcher, heritage, &mut background) {
        Ok(code) => code,
        Err(problems) => {
            for problem in &problems {
                tracing::error!("{problem}");
            }
            background.failed(End::Failed.code(), &problems);
            End::Failed.code()
        }
    }
}

pub(crate) fn scoreboard(options: &Options) -> io::Result<crate::scoreboard::Scoreboard> {
    let workers = &options.workers;
    let (processes, threads) = (workers.processes as usize, workers.threads as usize);
    let exhibits = crate::inherit::shows_requests(options);
    crate::scoreboard::Scoreboard::create(processes, threads, exhibits)
}

/// The instance.
struct Master<'l, L> {
    launcher: &'l L,
    /// Those of the generation that serves, or else of the first one.
    listeners: Arc<[Listening]>,
    /// The application's, for all generations.
    locks: RecordLocks,
    /// Reloads of the former selves of this master.
    reloads_before: u64,
    vacuum: bool,
    exit_on_reload: bool,
    /// How long SIGINT and SIGQUIT leave to requests that are being served.
    reload_mercy: Duration,
    pidfiles: Pidfiles,
    /// New connections wait.
    paused: bool,
    /// The configuration that serves.
    served: Arc<Loaded>,
    /// That of the rising generation, to be taken over when it serves: until then nothing has changed.
    rising: Option<Arc<Loaded>>,
    happenings: Happenings,
    sources: Sources,
    stats: Stats,
    /// Oldest first: at most one serving and one rising, any number leaving.
    generations: Vec<Generation>,
    next_number: u64,
    /// When the newest generation was begun, since 1970.
    raised_at: Duration,
    /// Live workers.
    roster: Roster<Key>,
    /// Live zygotes, by the number of their generation.
    zygotes: Roster<u64>,
    /// When to start the successor of a zygote that died.
    reload_at: Option<uwgate_sys::clock::Millis>,
    zygote_wait: Duration,
    /// A reload was asked for before anything served.
    reload_when_risen: bool,
    /// How those before the rising generation are to leave.
    manner: Manner,
    tick: Tick,
    rest: Rest,
    workforce: Workforce,
    recycling: Recycling,
    /// An option needs to know how much memory the workers take.
    memory_is_wanted: bool,
    /// Workers of the binary that this process was before.
    veterans: Veterans,
    /// The file this process was started from.
    binary: Option<PathBuf>,
    upgrade: Option<Upgrade>,
    surroundings: Surroundings,
    lord: Lord,
    logs: Logs,
    ending: Option<Ending>,
}

impl<L: Launcher> Master<'_, L> {
    async fn live(&mut self) -> i32 {
        loop {
            if let Some(code) = self.ended() {
                return self.leave(code);
            }
            match self.happenings.next(self.deadline()).await {
                Some(happening) => {
                    self.handle(happening);
                    self.rest.put_off(coarse_now());
                }
                None => self.handle_time(),
            }
            self.upgrade().await;
            self.bury_generations();
            if self.surroundings.notice(self.phase()) {
                self.lord.accepting();
            }
            if self.surroundings.want_an_end() {
                self.stop(None);
            }
        }
    }

    /// What there is to say to whoever waits for us.
    fn phase(&self) -> Phase {
        match (
            self.ending,
            self.is_serving(),
            self.is_any(Standing::Rising),
        ) {
            (Some(ending), ..) => Phase::Ending { code: ending.code },
            (None, true, false) => Phase::Serving {
                generation: self.serving().map_or(0, Generation::number),
            },
            (None, true, true) => Phase::Reloading,
            (None, false, _) => Phase::Starting,
        }
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Child => self.reap(),
            Happening::Wish(wish) => self.grant(wish),
            Happening::Stats(reply) => self.tell_stats(reply),
            Happening::Visitor => self.wake_up(),
            Happening::Emperor(byte) => self.heard_emperor(byte),
            Happening::EmperorFound { channel, printed } => self.found_emperor(&channel, printed),
            Happening::Zygote { number, heard } => self.heard_zygote(number, heard),
            Happening::Worker {
                heard: Heard::Message(FromWorker::CodeChanged { seconds, nanos }),
                ..
            } => self.code_changed(Duration::new(seconds.into(), nanos)),
            Happening::Worker {
                key,
                life,
                heard: Heard::Message(FromWorker::Retire { why, requests }),
            } => self.retire(key, life, why, requests),
            Happening::Worker { key, life, heard } => {
                self.with(key.generation, |generation, hands| {
                    generation.heard_worker(key, life, heard, hands)
                });
                self.recycle_waiting();
            }
        }
    }

    fn deadline(&self) -> Option<uwgate_sys::clock::Millis> {
        let children = self.generations.iter().filter_map(Generation::deadline);
        let kill = self.ending.and_then(|ending| ending.kill_at);
        let others = [
            kill,
            self.reload_at,
            self.tick.deadline(),
            self.rest.deadline(),
            self.veterans.deadline(),
            self.upgrade_deadline(),
            self.surroundings.deadline(),
            self.lord.deadline(),
        ];
        children.chain(others.into_iter().flatten()).min()
    }

    fn handle_time(&mut self) {
        let now = coarse_now();
        if self.reload_at.is_some_and(|at| at <= now) {
            self.reload_at = None;
            self.reload(Manner::Graceful);
        }
        if self
            .ending
            .is_some_and(|ending| ending.kill_at.is_some_and(|at| at <= now))
        {
            self.kill_all();
        }
        for number in self.numbers() {
            self.with(number, Generation::handle_time);
        }
        self.veterans.handle_time(now);
        self.lord.handle_time(now);
        self.hurry_upgrade(now);
        if self.tick.is_due(now) {
            self.every_second(now);
        }
        self.rest.handle_time(now);
    }

    fn numbers(&self) -> Vec<u64> {
        self.generations.iter().map(Generation::number).collect()
    }

    /// Does something with a generation and draws the consequences.
    fn with(&mut self, number: u64, act: impl FnOnce(&mut Generation, &mut Hands<'_>) -> Change) {
        let Some(generation) = self.generations.iter_mut().find(|it| it.number() == number) else {
            return;
        };
        let mut hands = Hands {
            roster: &mut self.roster,
            happenings: &self.happenings,
        };
        match act(generation, &mut hands) {
            Change::Nothing => {}
            Change::Risen => self.promote(number),
            Change::Failed(fault) => self.fallen(number, fault),
        }
    }

    fn reap(&mut self) {
        loop {
            match process::reap_any() {
                Ok(Some((pid, exit))) => self.exited(pid, exit),
                Ok(None) => return,
                Err(error) => return tracing::error!("cannot wait for children: {error}"),
            }
        }
    }

    fn exited(&mut self, pid: Pid, exit: Exit) {
        if let Some(number) = self.zygotes.exited(pid, exit) {
            self.zygote_exited(number, exit);
        } else if let Some(key) = self.roster.exited(pid, exit) {
            self.with(key.generation, |generation, hands| {
                generation.worker_exited(key, exit, hands)
            });
        } else if !self.trial_ended(pid, exit) && !self.veterans.exited(pid) {
            self.surroundings.exited(pid, exit);
        }
    }

    fn heard_zygote(&mut self, number: u64, heard: Heard<crate::message::FromZygote>) {
        self.with(number, |generation, hands| {
            generation.heard_zygote(heard, hands)
        });
    }

    /// How many applications the code that serves now has: if any, then code without is no successor.
    fn apps(&self) -> u32 {
        let serving = |it: &&Generation| it.standing() == Standing::Serving;
        let generation = self.generations.iter().find(serving);
        generation.map_or(self.veterans.apps(), Generation::apps)
    }

    /// The generation that serves.
    fn serving(&self) -> Option<&Generation> {
        let mut generations = self.generations.iter().rev();
        generations.find(|it| it.standing() == Standing::Serving)
    }

    fn is_serving(&self) -> bool {
        self.is_any(Standing::Serving) || self.veterans.are_serving()
    }

    fn is_any(&self, standing: Standing) -> bool {
        self.generations.iter().any(|it| it.standing() == standing)
    }

    /// Forgets generations of which nothing is left but, at most, a zygote on its way out.
    fn bury_generations(&mut self) {
        for gone in self.generations.extract_if(.., |it| it.is_gone()) {
            self.stats.bury(&gone.books());
        }
        if self.veterans.is_empty() {
            self.stats.bury_former();
        }
    }
}
