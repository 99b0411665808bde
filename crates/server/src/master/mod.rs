//! The master: owns the sockets, starts a zygote for each generation of the application, keeps its workers alive,
//! replaces them without a gap. It runs no Python and never forks without exec.
//!
//! Everything that happens reaches [`Master::handle`] through one queue ([`Happening`]); what a single process of it
//! means is decided by `uwgate-supervisor`, what a generation means in `generation`, what is to be done next here.

mod cheaper;
mod chores;
mod daemons;
mod fifo;
mod generation;
mod happenings;
mod heritage;
mod memory;
mod pidfile;
mod queues;
mod recycling;
mod report;
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

use uwgate_config::{Entry, Finding, Loaded, Options};
use uwgate_supervisor::Roster;
use uwgate_supervisor::recycling::Recycling;
use uwgate_sys::clock::{coarse_now, coarse_realtime};
use uwgate_sys::process::{self, Exit, Pid};
use uwgate_sys::record_locks::RecordLocks;

use self::cheaper::Workforce;
use self::generation::{Change, Fault, Generation, Hands, Key, Manner, Standing};
use self::happenings::{Happening, Happenings, Heard};
pub use self::heritage::Heritage;
use self::pidfile::Pidfiles;
use self::sources::Sources;
use self::stats::Stats;
use self::surroundings::{Phase, Surroundings};
use self::tick::Tick;
use self::upgrade::Upgrade;
pub use self::upgrade::{SUCCESSOR, TRY, try_to_succeed};
use self::veterans::Veterans;
use self::wish::Wish;
use crate::background::Background;
use crate::listen::{self, Listening};
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

/// How long to wait before the successor of a zygote that died is started, the first time.
const ZYGOTE_WAIT: Duration = Duration::from_secs(1);

/// The longest such wait.
const ZYGOTE_WAIT_AT_MOST: Duration = Duration::from_secs(30);

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

/// What a master begins with.
struct Beginning {
    listeners: Vec<Listening>,
    /// Of a successor.
    veterans: Veterans,
    /// Of a successor: pids and commands.
    daemons: Vec<(Pid, String)>,
    /// The configuration cannot be served: the veterans have to go on.
    refused: bool,
    /// The application's.
    locks: RecordLocks,
    /// How often the instance was reloaded before.
    reloads: u64,
}

fn supervise<L: Launcher>(
    loaded: &Loaded,
    beginning: Beginning,
    logs: Logs,
    launcher: &L,
    background: &mut Background,
) -> io::Result<i32> {
    process::become_subreaper()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let happenings = Happenings::subscribe(&loaded.options.hooks.signals)?;
        // What came meanwhile is handled now.
        uwgate_sys::signals::unblock_all();
        tracing::info!(
            "spawned uWSGI master process (pid: {})",
            process::this().as_raw()
        );
        let options = &loaded.options;
        let Beginning {
            listeners,
            veterans,
            daemons,
            refused,
            locks,
            reloads,
        } = beginning;
        let sources = match Sources::open(options, veterans.are_serving(), &happenings) {
            Err(problem) if veterans.are_serving() => {
                tracing::error!("{problem}");
                Sources::default()
            }
            sources => sources.map_err(io::Error::other)?,
        };
        let is_successor = veterans.are_serving();
        let mut master = Master {
            launcher,
            listeners: listeners.into(),
            vacuum: options.sockets.vacuum,
            exit_on_reload: options.control.exit_on_reload,
            reload_mercy: reload_mercy(options),
            pidfiles: Pidfiles::new(options),
            announced: false,
            paused: false,
            entries: loaded.entries.clone(),
            sources,
            locks,
            reloads_before: reloads,
            stats: Stats::open(options, &happenings).map_err(io::Error::other)?,
            happenings,
            generations: Vec::new(),
            next_number: 1,
            raised_at: Duration::ZERO,
            roster: Roster::default(),
            zygotes: Roster::default(),
            reload_at: None,
            zygote_wait: ZYGOTE_WAIT,
            reload_when_risen: false,
            manner: Manner::Graceful,
            tick: Tick::new(&loaded.options),
            workforce: Workforce::new(&loaded.options),
            recycling: Recycling::new(recycling::limits(&loaded.options)),
            memory_is_wanted: memory::is_wanted(&loaded.options),
            veterans,
            binary: upgrade::started_from(),
            upgrade: None,
            surroundings: Surroundings::new(background, is_successor),
            logs,
            ending: None,
        };
        master.surroundings.begin(options, &daemons);
        // Of those who ended while nobody listened.
        master.reap();
        if refused {
            master.reload_failed("the old configuration goes on");
        } else if let Err(error) = master.raise(loaded, Arc::clone(&master.listeners)) {
            if !master.veterans.are_serving() {
                return Err(error);
            }
            master.reload_failed(&format!("{error}; the old code goes on"));
        }
        let code = master.live().await;
        master.surroundings.chores.finish();
        Ok(code)
    })
}

fn reload_mercy(options: &Options) -> Duration {
    Duration::from_secs(options.control.reload_mercy.into())
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
    /// Somebody waits for the pidfiles that say that the instance serves.
    announced: bool,
    /// New connections wait.
    paused: bool,
    /// The configuration that was read last.
    entries: Vec<Entry>,
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
    logs: Logs,
    ending: Option<Ending>,
}

/// Why and until when the instance is ending.
#[derive(Clone, Copy)]
struct Ending {
    code: i32,
    /// When patience with requests ends.
    kill_at: Option<uwgate_sys::clock::Millis>,
}

impl<L: Launcher> Master<'_, L> {
    async fn live(&mut self) -> i32 {
        loop {
            if let Some(code) = self.ended() {
                return self.leave(code);
            }
            match self.happenings.next(self.deadline()).await {
                Some(happening) => self.handle(happening),
                None => self.handle_time(),
            }
            self.upgrade().await;
            self.bury_generations();
            self.surroundings.notice(self.phase());
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

    fn ended(&self) -> Option<i32> {
        let ending = self.ending?;
        let nobody =
            self.generations.is_empty() && self.zygotes.is_empty() && self.veterans.is_empty();
        let nobody = nobody && self.surroundings.are_gone();
        nobody.then_some(ending.code)
    }

    fn leave(&mut self, code: i32) -> i32 {
        self.forget_upgrade();
        self.close_sockets();
        self.stats.close(self.vacuum);
        if self.vacuum {
            self.pidfiles.remove();
        }
        tracing::info!("goodbye to uWSGI.");
        code
    }

    /// Whoever connects from now on is refused at once and can try the next server, instead of waiting for one that
    /// will not come back.
    fn close_sockets(&mut self) {
        for listening in std::mem::replace(&mut self.listeners, Arc::new([])).iter() {
            listening.close_queue();
            if self.vacuum
                && let Err(error) = listening.listener.unlink_if_ours()
            {
                tracing::warn!("vacuum: {}: {error}", listening.listener.address);
            }
        }
    }

    /// How often the instance will have been reloaded when the next generation serves.
    fn reloads(&self) -> u64 {
        self.reloads_before + self.next_number - 1
    }

    /// Starts a new generation beside what there is.
    fn raise(&mut self, loaded: &Loaded, listeners: Arc<[Listening]>) -> io::Result<()> {
        self.surroundings.prepare(&loaded.options);
        let number = self.next_number;
        let reloads = self.reloads();
        self.next_number += 1;
        self.raised_at = coarse_realtime();
        let mut generation = Generation::start(
            (number, reloads),
            loaded,
            listeners,
            &self.locks,
            self.launcher,
            &self.happenings,
            (self.apps() > 0, self.begin_with()),
        )?;
        generation.pause(self.paused);
        self.zygotes.expect();
        if let Some(exit) = self.zygotes.spawned(generation.zygote_pid(), number) {
            self.generations.push(generation);
            self.zygote_exited(number, exit);
            return Ok(());
        }
        self.generations.push(generation);
        Ok(())
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Child => self.reap(),
            Happening::Wish(wish) => self.grant(wish),
            Happening::Stats(reply) => self.tell_stats(reply),
            Happening::Visitor => self.wake_up(),
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

    /// Every worker tells, sooner or later; a generation that was begun since has read the new code.
    fn code_changed(&mut self, when: Duration) {
        if when > self.raised_at {
            self.grant(Wish::Reload);
        }
    }

    fn deadline(&self) -> Option<uwgate_sys::clock::Millis> {
        let children = self.generations.iter().filter_map(Generation::deadline);
        let kill = self.ending.and_then(|ending| ending.kill_at);
        let others = [
            kill,
            self.reload_at,
            self.tick.deadline(),
            self.veterans.deadline(),
            self.upgrade_deadline(),
            self.surroundings.deadline(),
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
        self.hurry_upgrade(now);
        if self.tick.is_due(now) {
            self.every_second(now);
        }
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

    fn zygote_exited(&mut self, number: u64, exit: Exit) {
        let Some(generation) = self.generations.iter_mut().find(|it| it.number() == number) else {
            return;
        };
        generation.zygote_gone();
        match generation.standing() {
            Standing::Leaving => {}
            Standing::Rising => {
                let fault = Fault::from(exit);
                if fault != Fault::Ended(End::NoApp.code()) {
                    tracing::error!("the application's Python {exit} before it could serve");
                }
                self.fallen(number, fault);
            }
            Standing::Serving if self.ending.is_none() => {
                tracing::error!("the zygote {exit}; its workers go on, a successor is started");
                self.replace_zygote();
            }
            Standing::Serving => {}
        }
    }

    /// Workers without a zygote cannot be replaced, so a successor is tried until one serves, ever more slowly.
    fn replace_zygote(&mut self) {
        let mut serving = self
            .generations
            .iter()
            .filter(|it| it.standing() == Standing::Serving);
        if serving.any(Generation::lost_zygote) {
            self.try_again();
        }
    }

    /// Starts a new generation after a while, which is longer each time until one serves.
    fn try_again(&mut self) {
        self.reload_at = Some(coarse_now() + self.zygote_wait);
        self.zygote_wait = (self.zygote_wait * 2).min(ZYGOTE_WAIT_AT_MOST);
    }

    /// A rising generation serves: those before it may go.
    fn promote(&mut self, number: u64) {
        self.zygote_wait = ZYGOTE_WAIT;
        self.reload_at = None;
        self.stats.risen();
        if !std::mem::replace(&mut self.announced, true) {
            self.pidfiles.write_safe();
        }
        let manner = std::mem::replace(&mut self.manner, Manner::Graceful);
        self.adopt_sockets(number);
        self.veterans.leave();
        for older in self.numbers() {
            if older != number {
                let farewell = match manner {
                    Manner::Graceful => Generation::leave,
                    Manner::Brutal => Generation::kill,
                };
                self.with(older, farewell);
            }
        }
        self.fall_asleep();
        if std::mem::take(&mut self.reload_when_risen) {
            self.reload(Manner::Graceful);
        }
    }

    /// The sockets of a generation are those of the instance from now on. Others are closed, by each worker when it
    /// has taken those who had connected by then.
    fn adopt_sockets(&mut self, number: u64) {
        let Some(generation) = self.generations.iter().find(|it| it.number() == number) else {
            return;
        };
        let new = generation.shared_listeners();
        let stays = |old: &Listening| {
            let same = |it: &Listening| it.listener.address == old.listener.address;
            new.iter().any(same)
        };
        for older in self.generations.iter().filter(|it| it.number() != number) {
            older.close_after(|old| !stays(old));
        }
        self.listeners = new;
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

    /// A rising generation will never serve.
    fn fallen(&mut self, number: u64, fault: Fault) {
        let generation = self.generations.iter().find(|it| it.number() == number);
        let was_loaded = generation.is_some_and(Generation::is_loaded);
        // Those of its workers that are ready may be serving.
        self.with(number, Generation::leave);
        if self.ending.is_some() {
            return;
        }
        if self.is_serving() {
            return self.reload_failed("the new code cannot serve; the old code goes on");
        }
        match fault {
            Fault::Killed if was_loaded => self.try_again(),
            Fault::Killed => self.give_up(End::Failed.code()),
            Fault::Ended(code) => self.give_up(code),
        }
    }

    /// Says so, and sees to it that workers which cannot be replaced do not remain so.
    fn reload_failed(&mut self, why: &str) {
        self.stats.reload_failed();
        tracing::error!("RELOAD FAILED: {why}");
        match self.veterans.are_serving() {
            true => self.try_again(),
            false => self.replace_zygote(),
        }
    }

    /// Nothing serves and nothing will.
    fn give_up(&mut self, code: i32) {
        let kill_at = None;
        self.ending = Some(Ending { code, kill_at });
        self.kill_all();
    }

    fn reload(&mut self, manner: Manner) {
        if self.ending.is_some() {
            return;
        }
        if !self.is_serving() && self.is_any(Standing::Rising) {
            // What is rising may be the only code that works.
            self.reload_when_risen = true;
            return;
        }
        if self.upgrade_if_newer() {
            return;
        }
        self.surroundings.notice(Phase::Reloading);
        tracing::info!("...gracefully reloading: new workers first, then the old ones leave");
        let loaded = match self.launcher.load() {
            Ok(loaded) => loaded,
            Err(findings) => {
                for finding in findings {
                    tracing::error!("{finding}");
                }
                return self.reload_failed("the old configuration goes on");
            }
        };
        let listeners = match self.bind(&loaded.options) {
            Ok(listeners) => listeners,
            Err(problems) => {
                for problem in problems {
                    tracing::error!("{problem}");
                }
                return self.reload_failed("the old configuration goes on");
            }
        };
        self.overtake();
        self.manner = manner;
        self.adopt(&loaded);
        if let Err(problem) = self.logs.adopt(&loaded.options) {
            tracing::error!("{problem}; the log stays as it was");
        }
        if let Err(error) = self.raise(&loaded, listeners) {
            self.reload_failed(&format!("{error}; the old code goes on"));
        }
    }

    /// Takes over what a new configuration says about the master itself.
    fn adopt(&mut self, loaded: &Loaded) {
        let options = &loaded.options;
        self.vacuum = options.sockets.vacuum;
        self.exit_on_reload = options.control.exit_on_reload;
        self.reload_mercy = reload_mercy(options);
        self.tick = Tick::new(options);
        self.workforce.renew(options);
        self.recycling.renew(recycling::limits(options));
        self.memory_is_wanted = memory::is_wanted(options);
        self.sources.renew(options, &self.happenings);
        self.stats.renew(options, &self.happenings);
        self.entries.clone_from(&loaded.entries);
    }

    /// Binds what the options newly name; what is open already, for whichever generation, stays so.
    fn bind(&self, options: &Options) -> Result<Arc<[Listening]>, Vec<String>> {
        let mut open = Vec::new();
        let generations = self.generations.iter().flat_map(Generation::listeners);
        for listening in self.listeners.iter().chain(generations) {
            let address = &listening.listener.address;
            if !open
                .iter()
                .any(|it: &Listening| it.listener.address == *address)
            {
                let clone = listening.try_clone();
                open.push(clone.map_err(|error| vec![error.to_string()])?);
            }
        }
        Ok(listen::rebind(options, &open)?.into())
    }

    /// Gives up a generation that does not serve yet.
    fn overtake(&mut self) {
        let rising = |it: &&Generation| it.standing() == Standing::Rising;
        if let Some(number) = self.generations.iter().find(rising).map(Generation::number) {
            tracing::info!("a newer reload overtakes the one under way");
            // Some of its workers may serve already.
            self.with(number, Generation::leave);
        }
    }

    fn stop(&mut self, patience: Option<Duration>) {
        let again = self.ending.is_some();
        let kill_at = patience.map(|patience| coarse_now() + patience);
        if again && patience.is_some() {
            tracing::info!("asked again: killing workers");
            return self.kill_all();
        }
        self.ending = Some(Ending {
            code: End::Clean.code(),
            kill_at,
        });
        match patience {
            Some(_) => tracing::info!("SIGINT/SIGQUIT received...killing workers..."),
            None => tracing::info!("...gracefully killing workers..."),
        }
        for number in self.numbers() {
            self.with(number, Generation::stop);
        }
        self.veterans.stop();
        self.close_sockets();
    }

    fn kill_all(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.kill_at = None;
        }
        self.veterans.kill();
        self.surroundings.kill();
        for number in self.numbers() {
            self.with(number, Generation::kill);
        }
    }

    /// Forgets generations of which nothing is left but, at most, a zygote on its way out.
    fn bury_generations(&mut self) {
        for gone in self.generations.extract_if(.., |it| it.is_gone()) {
            self.stats.bury(&gone);
        }
    }
}
