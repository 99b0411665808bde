//! The loop: what happens goes to the realm, what the realm orders is done.

mod adoption;
mod answers;
mod hooks;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use uwgate_config::options::{Hook, Phase};
use uwgate_config::{Loaded, Located, Options};
use uwgate_server::hooks::of;
use uwgate_server::station::Station;
use uwgate_server::successor::started_from;
use uwgate_supervisor::{Millis, Roster, Throttle};
use uwgate_sys::clock::{coarse_now, coarse_realtime, local_ctime};
use uwgate_sys::process::{self, Exit, Pid, Signal};

use crate::commands::CommandSocket;
use crate::control;
use crate::happenings::{Happening, Happenings};
use crate::heritage::Heritage;
use crate::kept::Kept;
use crate::reconcile::{Event, FromVassal, Order, Realm, Report, Settings, What, Wish};
use crate::snapshot::{self, Snapshot, VassalView};
use crate::source::{Source, Teller};
use crate::spec::{Name, VassalSpec};
use crate::stats;
use crate::vassal::{self, Doors, Line, Manner, Outputs};

/// Sockets of the emperor itself.
pub(crate) struct Servers {
    pub(crate) stats: Vec<stats::Server>,
    pub(crate) control: Option<control::Server>,
    pub(crate) commands: Option<CommandSocket>,
}

/// How long hooks that nobody waits for may take when all else is over.
const HOOKS_AT_THE_END: Duration = Duration::from_secs(30);

/// How long the last processes of control groups may.
const GROUPS_AT_THE_END: Duration = Duration::from_secs(2);

/// The emperor.
pub(crate) struct Emperor {
    pub(crate) realm: Realm,
    sources: Vec<Source>,
    tellers: Vec<Teller>,
    tasks: Vec<JoinHandle<()>>,
    happenings: Happenings,
    pub(crate) station: Station,
    /// Closed when the emperor ends.
    _servers: Servers,
    pub(crate) manner: Manner,
    pub(crate) outputs: Outputs,
    /// Of live processes.
    pub(crate) lines: HashMap<Name, Line>,
    /// Of vassals on demand.
    pub(crate) doors: Doors,
    /// If vassals may outlive this emperor.
    pub(crate) kept: Option<Kept>,
    stop_hook: Option<String>,
    /// Hooks that run, and what the log calls them.
    hooks: HashMap<Pid, (Name, &'static str)>,
    /// Of control groups: how many processes the kernel had killed in each when its vassal was started.
    killed: HashMap<Name, u64>,
    /// Control groups on their way out.
    dissolving: JoinSet<()>,
    hooks_as_emperor: Vec<Located<Hook>>,
    hooks_on_demand: Vec<Located<Hook>>,
    roster: Roster<Name>,
    /// Events that orders have brought.
    answers: Vec<Event>,
    /// Lines of the log begin with a date anyway.
    dated: bool,
    pub(crate) started: u64,
    /// The file this process was started from, and with what.
    pub(crate) binary: Option<PathBuf>,
    pub(crate) args: Vec<OsString>,
}

impl Emperor {
    /// Must be called in a runtime.
    ///
    /// # Errors
    /// One sentence for each thing that cannot work.
    pub(crate) fn new(
        loaded: &Loaded,
        sources: Vec<Source>,
        station: Station,
        mut servers: Servers,
        happenings: Happenings,
        (args, heritage): (&[OsString], Option<Heritage>),
        mut kept: Option<Kept>,
    ) -> Result<Self, Vec<String>> {
        let options = &loaded.options;
        let system = |error: std::io::Error| vec![error.to_string()];
        let sender = happenings.sender();
        for server in &mut servers.stats {
            server.serve(&sender).map_err(system)?;
        }
        if let Some(control) = &mut servers.control {
            control.serve(sender.clone()).map_err(system)?;
        }
        if let Some(commands) = &mut servers.commands {
            commands.serve(happenings.sender()).map_err(system)?;
        }
        let of_phase = |phase| of(options, phase).cloned().collect();
        if let Some(kept) = &mut kept {
            kept.listen(happenings.sender()).map_err(system)?;
        }
        let doors = Doors::new(options, happenings.sender()).map_err(|problem| vec![problem])?;
        let mut emperor = Self {
            realm: Realm::new(settings(loaded), sources.len()),
            tellers: Vec::new(),
            tasks: Vec::new(),
            station,
            _servers: servers,
            manner: Manner::new(options, kept.as_ref().map(|it| it.place.as_path()))
                .map_err(|problem| vec![problem])?,
            outputs: Outputs::new().map_err(system)?,
            lines: HashMap::new(),
            doors,
            kept,
            stop_hook: options
                .emperor
                .vassals_stop_hook
                .as_ref()
                .map(|it| it.value.clone()),
            hooks: HashMap::new(),
            killed: HashMap::new(),
            dissolving: JoinSet::new(),
            hooks_as_emperor: of_phase(Phase::AsEmperor),
            hooks_on_demand: of_phase(Phase::AsOnDemandVassal),
            roster: Roster::default(),
            answers: Vec::new(),
            dated: options.log.log_date.is_some(),
            started: coarse_realtime().as_secs(),
            binary: started_from(),
            args: args.to_vec(),
            happenings,
            sources,
        };
        if options.vassals.emperor_wait_for_command {
            let free = &options.vassals.emperor_wait_for_command_ignore;
            let free = free.iter().map(|it| it.value.as_str().into());
            emperor.realm.wait_for_command(free);
        }
        let is_successor = heritage.is_some();
        if let Some(heritage) = heritage {
            emperor.inherit(heritage);
        }
        emperor.find_again();
        match emperor.follow_sources(options) {
            // The vassals there are go on.
            Err(problems) if is_successor => {
                problems.iter().for_each(|it| tracing::error!("{it}"));
            }
            result => result?,
        }
        if is_successor {
            // Of those who ended while nobody listened.
            emperor.reap();
            emperor.tell(Event::Wish(Wish::ReloadAll));
        }
        emperor.station.serving("The Emperor is governing");
        Ok(emperor)
    }

    /// Everything that has happened until now.
    pub(crate) fn handle_what_has_come(&mut self) {
        while let Some(happening) = self.happenings.try_next() {
            self.handle(happening);
        }
    }

    fn follow_sources(&mut self, options: &Options) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        for (id, source) in self.sources.iter().enumerate() {
            let teller = Teller::new(id, self.happenings.sender());
            self.tellers.push(teller.clone());
            match source.spawn(teller, options) {
                Ok(task) => self.tasks.push(task),
                Err(problem) => problems.push(problem),
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems),
        }
    }

    /// Until all is over.
    pub(crate) async fn live(mut self) {
        let mut last_moment = None;
        while !self.realm.has_ended() || !self.hooks.is_empty() {
            if self.realm.has_ended() {
                let now = coarse_now();
                if *last_moment.get_or_insert(now + HOOKS_AT_THE_END) <= now {
                    self.say("[emperor] hooks take too long: ending without them");
                    break;
                }
            }
            let deadlines = [
                last_moment,
                self.realm.deadline(),
                self.station.deadline(),
                self.doors.deadline(),
            ];
            let deadline = deadlines.into_iter().flatten().min();
            match self.happenings.next(deadline).await {
                Some(happening) => self.handle(happening),
                None => self.handle_time(),
            }
        }
        for task in &self.tasks {
            task.abort();
        }
        let dissolved = async { while self.dissolving.join_next().await.is_some() {} };
        let _ = timeout(GROUPS_AT_THE_END, dissolved).await;
        self.station.leave();
        self.say(&format!(
            "The Emperor has been buried (pid: {})",
            process::this()
        ));
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Child => self.reap(),
            Happening::Ended(pid) => self.ended(pid),
            Happening::Homage { pid, homage } => self.called(pid, *homage),
            Happening::Wanted { source, set } => self.tell(Event::Wanted { source, set }),
            Happening::Said { name, life, byte } => {
                if let Some(word) = FromVassal::of(byte) {
                    self.tell(Event::Said { name, life, word });
                }
            }
            Happening::Mute { name, life } => self.tell(Event::Mute { name, life }),
            Happening::Visitor(name) => self.tell(Event::Visitor(name)),
            Happening::Doors => {
                for name in self.doors.inspect() {
                    self.tell(Event::SocketLost(name));
                }
            }
            Happening::Wish(wish) => self.wish(wish),
            Happening::Look => self.look(),
            Happening::Show => self.show(),
            Happening::ReopenLogs => self.station.reopen_logs(),
            Happening::Stats(reply) => drop(reply.send(self.snapshot())),
            Happening::Control(request, client) => self.answer(request, client),
            Happening::Command(command) => self.command(command),
        }
    }

    fn handle_time(&mut self) {
        // Signs of life that have come are heard before anybody is killed for silence.
        self.handle_what_has_come();
        let now = coarse_now();
        self.station.handle_time(now);
        self.doors.handle_time(now);
        let orders = self.realm.handle_timer(now);
        self.perform(orders, now);
    }

    fn tell(&mut self, event: Event) {
        let now = coarse_now();
        let orders = self.realm.handle(event, now);
        self.perform(orders, now);
    }

    /// Orders bring events, which bring orders.
    fn perform(&mut self, orders: Vec<Order>, now: Millis) {
        let mut orders = orders;
        loop {
            for Order { name, what } in orders {
                self.obey(name, what);
            }
            let answers = std::mem::take(&mut self.answers);
            if answers.is_empty() {
                return;
            }
            let realm = &mut self.realm;
            let more = answers.into_iter().flat_map(|it| realm.handle(it, now));
            orders = more.collect();
        }
    }

    fn obey(&mut self, name: Name, what: What) {
        match what {
            What::Spawn { spec, life } => self.spawn(name, &spec, life),
            What::Say(word) => {
                let said = self.lines.get(&name).map(|line| line.say(word));
                if let Some(Err(error)) = said {
                    tracing::warn!("[emperor] vassal {name} does not listen: {error}");
                }
            }
            What::SendConfig(spec) => {
                let sent = self.lines.get(&name).map(|line| line.send_config(&spec));
                if let Some(Err(error)) = sent {
                    tracing::warn!("[emperor] vassal {name}: {error}");
                }
            }
            What::Keep { pid, spec, life } => self.keep(name, pid, &spec, life),
            What::LeaveBehind => {
                self.outputs.forget(&name);
                self.lines.remove(&name);
                self.doors.leave_open(&name);
            }
            What::Terminate(pid) => self.signal(pid, Signal::TERM),
            What::Kill(pid) => self.signal(pid, Signal::KILL),
            What::AwaitVisitor(spec) => self.doors.wait(&name, &spec),
            What::StopWaiting => self.doors.stop_waiting(&name),
            What::CloseSocket => self.doors.close(&name),
            What::Report(report) => {
                match &report {
                    Report::Removed => self.run_stop_hook(&name),
                    Report::OnDemand { .. } => self.run_on_demand_hooks(&name),
                    _ => {}
                }
                self.report(&name, &report);
            }
            What::Forget => {
                self.outputs.forget(&name);
                self.lines.remove(&name);
                self.doors.close(&name);
                self.note_held();
                self.killed.remove(&name);
                while self.dissolving.try_join_next().is_some() {}
                if let Some(group) = self.manner.group(&name) {
                    self.dissolving.spawn(group.dissolve());
                }
            }
        }
    }

    fn spawn(&mut self, name: Name, spec: &Arc<VassalSpec>, life: u64) {
        let sender = self.happenings.sender();
        let ends = self.doors.lend(&name, spec).and_then(|stdin| {
            let printed = self.outputs.writer(&name)?;
            Ok((stdin, printed))
        });
        self.note_killed(&name);
        let started = ends.and_then(|ends| vassal::start(&self.manner, spec, life, ends, &sender));
        match started {
            Ok((pid, line)) => {
                self.lines.insert(name.clone(), line);
                self.roster.expect();
                let early = self.roster.spawned(pid, name.clone());
                self.run_hooks_as_emperor(spec, pid);
                self.answers.push(Event::Spawned(name.clone(), pid));
                self.answers
                    .extend(early.map(|exit| Event::Exited(name, exit)));
            }
            Err(error) => {
                let why = error.to_string();
                self.answers.push(Event::SpawnFailed(name, why));
            }
        }
    }

    fn note_killed(&mut self, name: &Name) {
        if let Some(group) = self.manner.group(name) {
            let killed = group.killed_for_memory().unwrap_or(0);
            self.killed.insert(name.clone(), killed);
        }
    }

    /// Only to a child that was not reaped, or through a handle: only here are children reaped, and the roster forgets them then.
    fn signal(&self, pid: Pid, signal: Signal) {
        if self.roster.find(pid).is_some() {
            let _ = process::kill(pid, signal);
        } else if let Some(kept) = &self.kept {
            kept.signal(pid, signal);
        }
    }

    fn reap(&mut self) {
        loop {
            match process::reap_any() {
                Ok(Some((pid, exit))) => self.exited(pid, exit),
                Ok(None) => return,
                Err(error) => return tracing::error!("cannot wait for vassals: {error}"),
            }
        }
    }

    fn exited(&mut self, pid: Pid, exit: Exit) {
        if let Some(name) = self.roster.exited(pid, exit) {
            self.gone(name, pid, exit);
        } else {
            self.hook_exited(pid, exit);
        }
    }

    fn gone(&mut self, name: Name, pid: Pid, exit: Exit) {
        self.forget_process(pid);
        self.outputs.flush(&name);
        self.lines.remove(&name);
        self.tell(Event::Exited(name, exit));
    }

    fn wish(&mut self, wish: Wish) {
        match &wish {
            Wish::Leave => {
                self.station.stopping();
                self.say("[emperor] leaving; vassals go on for the next one");
            }
            Wish::EndAll(_) => {
                self.station.stopping();
                self.say("[emperor] *** RAGNAROK EVOKED ***");
            }
            Wish::ReloadAll => {
                self.upgrade_if_newer();
                self.say("[emperor] reloading all vassals");
            }
            Wish::Forgive => self.say("[emperor] the blacklist is forgotten"),
            _ => {}
        }
        self.tell(Event::Wish(wish));
        self.note_held();
    }

    fn look(&self) {
        for teller in &self.tellers {
            teller.look.notify_one();
        }
    }

    /// uWSGI's list goes to the log on SIGUSR1.
    fn show(&self) {
        self.say("[emperor] vassals:");
        for it in self.snapshot().vassals {
            let VassalView {
                name,
                pid,
                state,
                respawns,
                ..
            } = it;
            self.say(&format!(
                "[emperor] vassal: {name} pid: {pid} state: {state} respawns: {respawns}"
            ));
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: process::this().as_raw(),
            started: self.started,
            sources: self.sources.iter().map(|it| it.shown.clone()).collect(),
            vassals: snapshot::vassals(&self.realm, &self.sources),
        }
    }

    fn report(&self, name: &Name, report: &Report) {
        let line = self.with_date(&report.line(name));
        match report.is_trouble() {
            true => tracing::warn!("{line}"),
            false => tracing::info!("{line}"),
        }
    }

    fn say(&self, line: &str) {
        tracing::info!("{}", self.with_date(line));
    }

    /// The emperor's lines have a date in uWSGI's log, whatever `log-date` says.
    fn with_date(&self, line: &str) -> String {
        match self.dated {
            true => line.to_owned(),
            false => format!("{} - {line}", local_ctime()),
        }
    }
}

fn settings(loaded: &Loaded) -> Settings {
    let options = &loaded.options;
    let emperor = &options.emperor;
    let millis = |number: u32| Duration::from_millis(number.into());
    let seconds = |number: u32| Duration::from_secs(number.into());
    let base = millis(emperor.emperor_throttle);
    let growing = !emperor.emperor_no_blacklist;
    let default = Settings::default();
    let mercy_is_given = loaded.entries.iter().any(|it| it.key == "reload-mercy");
    Settings {
        throttle: Throttle {
            base,
            factor: if growing { 2.0 } else { 1.0 },
            cap: match growing {
                true => millis(emperor.emperor_max_throttle).max(base),
                false => base,
            },
            ..default.throttle
        },
        mercy: match mercy_is_given {
            true => seconds(options.control.reload_mercy),
            false => default.mercy,
        },
        heartbeat: seconds(emperor.emperor_required_heartbeat),
        tolerance: seconds(emperor.emperor_curse_tolerance),
        keeps: emperor.emperor_keep_vassals.is_some(),
    }
}
