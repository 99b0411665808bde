//! Programs that run beside the workers (`attach-daemon` and its kin), in uWSGI's log lines.
//!
//! A plain daemon is started once the application serves, started anew when new code does, and stopped with the
//! instance. One with a pidfile ("smart") is looked for there first, watched, and left alone by reloads and by the end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uwgate_config::Options;
use uwgate_config::options::Daemon;
use uwgate_supervisor::{
    Action, Child, Event, Policy, Report, Status, StopKind, Throttle, Verdict,
};
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process::{self, Exit, Pid, Signal, Spawn};

use crate::environment::environment;

/// How long a daemon may take to end before it is killed.
const MERCY: Duration = Duration::from_secs(60);

/// How often the files are looked at whose touch starts a daemon anew.
const TOUCH: Duration = Duration::from_secs(1);

/// All daemons of the instance.
#[derive(Default)]
pub(super) struct Daemons {
    running: Vec<Running>,
    setup: Setup,
    /// What the code that is on its way wants.
    next: Setup,
    control_ended: bool,
}

/// What daemons the options want, and in which surroundings.
#[derive(Clone, Default)]
struct Setup {
    daemons: Vec<Daemon>,
    directory: Option<PathBuf>,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    honour_stdin: bool,
}

impl Setup {
    fn of(options: &Options) -> Self {
        let daemons = &options.daemons;
        Self {
            daemons: daemons.attached.iter().map(|it| it.value.clone()).collect(),
            directory: options.python.chdir.as_ref().map(|dir| dir.value.clone()),
            environment: environment(&options.python),
            honour_stdin: daemons.daemons_honour_stdin,
        }
    }

    /// A path of the options, as the daemon sees it.
    fn path(&self, path: &Path) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }
}

/// What the statistics tell of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) command: String,
    /// 0 when none runs now.
    pub(super) pid: i32,
    pub(super) respawns: u32,
}

impl Daemons {
    /// Makes what these options want the next set, for when their code serves.
    pub(super) fn prepare(&mut self, options: &Options) {
        self.next = Setup::of(options);
    }

    /// New code serves: its daemons are wanted. Those of the same command go on in new life, others end.
    pub(super) fn renew(&mut self) {
        self.setup = self.next.clone();
        let mut before = std::mem::take(&mut self.running);
        for daemon in &self.setup.daemons {
            let same = before.iter().position(|it| it.is_for(daemon));
            let mut running = match same {
                Some(at) => before.remove(at),
                None => Running::new(daemon),
            };
            running.renew(daemon, &self.setup);
            self.running.push(running);
        }
        // Smart ones are left alone, and nobody looks after them any more.
        for mut unwanted in before.into_iter().filter(|it| !it.is_smart()) {
            unwanted.stop(&self.setup);
            self.running.push(unwanted);
        }
        self.settle();
    }

    /// The instance ends.
    pub(super) fn stop(&mut self) {
        for running in &mut self.running {
            running.stop(&self.setup);
        }
        self.settle();
    }

    /// No patience any more.
    pub(super) fn kill(&mut self) {
        for running in &mut self.running {
            running.kill(&self.setup);
        }
        self.settle();
    }

    /// A process was reaped. Whether it was a daemon.
    pub(super) fn exited(&mut self, pid: Pid, exit: Exit) -> bool {
        let setup = &self.setup;
        let found = self
            .running
            .iter_mut()
            .any(|it| it.exited(pid, exit, setup));
        self.settle();
        found
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.running.iter().filter_map(Running::deadline).min()
    }

    pub(super) fn handle_time(&mut self, now: Millis) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        for running in &mut self.running {
            running.handle_time(now, &self.setup);
        }
        self.settle();
    }

    /// Whether no daemon keeps the instance from ending.
    pub(super) fn are_gone(&self) -> bool {
        self.running.iter().all(Running::is_gone)
    }

    /// Whether a daemon has ended whose end is that of the instance. Says so once.
    pub(super) fn take_end(&mut self) -> bool {
        std::mem::take(&mut self.control_ended)
    }

    /// For the statistics.
    pub(super) fn figures(&self) -> Vec<Figures> {
        self.running.iter().map(Running::figures).collect()
    }

    /// The processes that an upgrade leaves to the next binary: pid and command.
    pub(super) fn processes(&self) -> impl Iterator<Item = (Pid, &str)> {
        let plain = self.running.iter().filter(|it| it.daemon.pidfile.is_none());
        plain.filter_map(|it| Some((it.child.pid()?, &*it.daemon.command)))
    }

    /// Takes over a daemon of the binary that this process was before.
    pub(super) fn adopt(&mut self, pid: Pid, command: &str) {
        self.setup = self.next.clone();
        let first_line = |it: &Daemon| it.command.lines().next() == Some(command);
        let wanted = self
            .next
            .daemons
            .iter()
            .find(|it| first_line(it) && it.pidfile.is_none());
        match wanted {
            Some(daemon) => self.running.push(Running::adopted(daemon, pid)),
            None => {
                let _ = process::kill_group(pid, Signal::TERM);
            }
        }
    }

    /// Draws the consequences of what daemons did.
    fn settle(&mut self) {
        self.control_ended |= self
            .running
            .iter()
            .any(|it| it.daemon.control && it.has_died);
        let wanted = &self.setup.daemons;
        self.running
            .retain(|it| !it.is_over() || wanted.iter().any(|daemon| it.is_for(daemon)));
    }
}

/// One daemon.
struct Running {
    daemon: Daemon,
    child: Child,
    /// Our own child, which is reaped; else it is looked for.
    is_ours: bool,
    /// The process that will go to the background, or was told to.
    launcher: Option<Pid>,
    /// When to look at the pidfile again.
    look_at: Option<Millis>,
    touched: Touched,
    lives: u32,
    has_died: bool,
}

/// The files whose touch starts a daemon anew.
#[derive(Default)]
struct Touched {
    seen: Vec<Option<SystemTime>>,
    next: Option<Millis>,
}

impl Running {
    fn new(daemon: &Daemon) -> Self {
        let policy = Policy {
            respawn: !daemon.control,
            throttle: Throttle {
                base: Duration::from_secs(1),
                factor: 2.0,
                cap: Duration::from_secs(daemon.max_throttle.into()),
                free: 0,
                stable: Duration::from_secs(3),
            },
            start_timeout: None,
            mercy: MERCY,
            verdict: |_| Verdict::Failed,
        };
        Self {
            daemon: daemon.clone(),
            child: Child::new(policy),
            is_ours: true,
            launcher: None,
            look_at: None,
            touched: Touched::default(),
            lives: 0,
            has_died: false,
        }
    }

    fn adopted(daemon: &Daemon, pid: Pid) -> Self {
        let mut running = Self::new(daemon);
        running.child.handle(Event::Start, coarse_now());
        running.child.handle(Event::Spawned(pid), coarse_now());
        running.child.handle(Event::Ready, coarse_now());
        running.lives = 1;
        running
    }

    fn is_smart(&self) -> bool {
        self.daemon.pidfile.is_some()
    }

    fn is_for(&self, daemon: &Daemon) -> bool {
        self.daemon.command == daemon.command && self.daemon.pidfile == daemon.pidfile
    }

    fn is_over(&self) -> bool {
        self.child.status() == Status::Idle
    }

    fn is_gone(&self) -> bool {
        self.is_smart() || self.is_over()
    }

    fn figures(&self) -> Figures {
        Figures {
            command: self.daemon.command.clone(),
            pid: self.child.pid().map_or(0, Pid::as_raw),
            respawns: self.lives.saturating_sub(1),
        }
    }

    /// Starts it, or has new code reach it.
    fn renew(&mut self, daemon: &Daemon, setup: &Setup) {
        self.daemon = daemon.clone();
        self.touched = Touched::default();
        if !daemon.touch.is_empty() {
            self.touched.look(daemon, setup);
            self.touched.next = Some(coarse_now() + TOUCH);
        }
        match (self.child.pid(), daemon.reload_signal) {
            (None, _) => self.tell(Event::Start, setup),
            (Some(pid), Some(signal)) => self.signal(pid, signal),
            (Some(_), None) if self.is_smart() => {}
            (Some(_), None) => self.tell(Event::Restart, setup),
        }
    }

    fn stop(&mut self, setup: &Setup) {
        if !self.is_smart() {
            self.tell(Event::Stop, setup);
        }
    }

    fn kill(&mut self, setup: &Setup) {
        if !self.is_smart() {
            self.tell(Event::Kill, setup);
        }
    }

    fn exited(&mut self, pid: Pid, exit: Exit, setup: &Setup) -> bool {
        if self.launcher == Some(pid) {
            self.launcher = None;
            return true;
        }
        let mine = self.is_ours && self.child.pid() == Some(pid);
        if mine {
            self.tell(Event::Exited(exit), setup);
        }
        mine
    }

    fn deadline(&self) -> Option<Millis> {
        let all = [self.child.deadline(), self.look_at, self.touched.next];
        all.into_iter().flatten().min()
    }

    fn handle_time(&mut self, now: Millis, setup: &Setup) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look(now, setup);
        }
        if self.touched.next.is_some_and(|at| at <= now) {
            self.touched.next = Some(now + TOUCH);
            if self.touched.look(&self.daemon, setup) {
                tracing::info!(
                    "a file of the daemon \"{}\" has been touched... restarting it",
                    self.daemon.command
                );
                self.tell(Event::Restart, setup);
            }
        }
        let actions = self.child.handle_timer(now);
        self.act(actions, setup);
    }

    /// Whether the process that the pidfile names is there.
    fn look(&mut self, now: Millis, setup: &Setup) {
        self.look_at = Some(now + Duration::from_secs(self.daemon.freq.into()));
        let found = self.in_pidfile(setup);
        match self.child.status() {
            Status::Spawning => match found {
                Some(pid) => self.found(pid, setup),
                None if self.launcher.is_none() => self.tell(Event::SpawnFailed, setup),
                None => {}
            },
            Status::Starting | Status::Running | Status::Stopping if !self.is_ours => {
                let known = self.child.pid();
                if known.is_some() && !known.is_some_and(process::exists) {
                    self.tell(Event::Exited(Exit::Code(0)), setup);
                }
            }
            _ => {}
        }
    }

    fn found(&mut self, pid: Pid, setup: &Setup) {
        tracing::info!(
            "[uwsgi-daemons] found valid/active pidfile for \"{}\" (pid: {pid})",
            self.daemon.command
        );
        self.is_ours = false;
        self.began(pid, setup);
    }

    fn began(&mut self, pid: Pid, setup: &Setup) {
        self.lives += 1;
        self.tell(Event::Spawned(pid), setup);
        self.tell(Event::Ready, setup);
    }

    fn in_pidfile(&self, setup: &Setup) -> Option<Pid> {
        let path = setup.path(self.daemon.pidfile.as_ref()?);
        let text = fs::read_to_string(path).ok()?;
        let pid = Pid::from_raw(text.trim().parse().ok()?)?;
        // Ours would be a number that was given again.
        (pid != process::this() && process::exists(pid)).then_some(pid)
    }

    fn tell(&mut self, event: Event, setup: &Setup) {
        let actions = self.child.handle(event, coarse_now());
        self.act(actions, setup);
    }

    fn act(&mut self, actions: Vec<Action>, setup: &Setup) {
        for action in actions {
            match action {
                Action::Spawn => self.spawn(setup),
                Action::Signal(pid, StopKind::Graceful) => {
                    tracing::info!(
                        "[uwsgi-daemons] stopping daemon (pid: {pid}): {}",
                        self.daemon.command
                    );
                    self.signal(pid, self.daemon.stop_signal);
                }
                Action::Signal(pid, StopKind::Kill) => self.signal(pid, Signal::KILL.as_raw()),
                Action::Report(report) => self.report(report),
                Action::Finished(_) => {}
            }
        }
    }

    /// To all of its group: what the shell has started is the daemon as well.
    fn signal(&self, pid: Pid, signal: i32) {
        let Some(signal) = Signal::from_named_raw(signal) else {
            return;
        };
        let _ = match self.is_ours {
            true => process::kill_group(pid, signal),
            false => process::kill(pid, signal),
        };
    }

    fn spawn(&mut self, setup: &Setup) {
        if let Some(pid) = self.in_pidfile(setup) {
            self.look_at = Some(coarse_now() + Duration::from_secs(self.daemon.freq.into()));
            return self.found(pid, setup);
        }
        let again = if self.lives > 0 { "re" } else { "" };
        tracing::info!(
            "[uwsgi-daemons] {again}spawning \"{}\" (uid: {} gid: {})",
            self.daemon.command,
            rustix::process::getuid(),
            rustix::process::getgid()
        );
        match self.start(setup) {
            Ok(pid) if self.is_smart() && self.daemon.goes_to_background => {
                self.launcher = Some(pid);
                self.look_at = Some(coarse_now() + TOUCH);
            }
            Ok(pid) => {
                self.is_ours = true;
                self.write_pid(pid, setup);
                self.began(pid, setup);
            }
            Err(error) => {
                tracing::error!(
                    "[uwsgi-daemons] unable to spawn \"{}\": {error}",
                    self.daemon.command
                );
                self.tell(Event::SpawnFailed, setup);
            }
        }
    }

    fn start(&self, setup: &Setup) -> io::Result<Pid> {
        let directory = match &self.daemon.chdir {
            Some(chdir) => Some(setup.path(chdir)),
            None => setup.directory.clone(),
        };
        let mut fds = Vec::new();
        if !self.daemon.stdin && !setup.honour_stdin {
            fds.push((File::open("/dev/null")?.into(), 0));
        }
        Spawn {
            args: vec!["-c".into(), self.daemon.command.clone().into()],
            env: Some(setup.environment.clone()),
            fds,
            cwd: directory,
            new_session: true,
            ..Spawn::new("/bin/sh")
        }
        .spawn()
    }

    fn write_pid(&self, pid: Pid, setup: &Setup) {
        let Some(pidfile) = &self.daemon.pidfile else {
            return;
        };
        let path = setup.path(pidfile);
        if let Err(error) = fs::write(&path, format!("{pid}\n")) {
            tracing::error!(
                "cannot write the pid of a daemon to {}: {error}",
                path.display()
            );
        }
    }

    fn report(&mut self, report: Report) {
        let command = &self.daemon.command;
        match report {
            Report::Throttled { wait, .. } => tracing::info!(
                "[uwsgi-daemons] throttling \"{command}\" for {} seconds",
                wait.as_secs()
            ),
            Report::Died { pid, exit, .. } => {
                self.has_died = true;
                tracing::info!("[uwsgi-daemons] daemon \"{command}\" (pid: {pid}) {exit}");
            }
            Report::Mercy { pid, .. } => tracing::warn!(
                "[uwsgi-daemons] daemon did not die in time, killing (pid: {pid}): {command}"
            ),
            Report::Buried { pid, .. } => {
                tracing::info!("daemon \"{command}\" (pid: {pid}) annihilated");
            }
            Report::Spawned { .. }
            | Report::SpawnFailed
            | Report::Ready { .. }
            | Report::StartTimeout { .. }
            | Report::Respawning => {}
        }
    }
}

impl Touched {
    /// Whether a file has changed since the last look. One that comes or goes has not been touched.
    fn look(&mut self, daemon: &Daemon, setup: &Setup) -> bool {
        let modified = |path: &PathBuf| {
            let metadata = fs::metadata(setup.path(path));
            metadata.and_then(|it| it.modified()).ok()
        };
        let now: Vec<_> = daemon.touch.iter().map(modified).collect();
        let touched = self
            .seen
            .iter()
            .zip(&now)
            .any(|(before, now)| before.is_some() && now.is_some() && before != now);
        self.seen = now;
        touched
    }
}
