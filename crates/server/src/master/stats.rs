//! What the master knows about the instance, for whoever asks: the stats servers, and the figures behind them.

use std::sync::Arc;

use tokio::sync::oneshot;
use uwgate_config::options::Stats as StatsOptions;
use uwgate_config::{Address, Located, Options, Protocol};
use uwgate_sys::clock::{coarse_now, coarse_realtime};
use uwgate_sys::process;

use super::annals::{Annals, Board};
use super::daemons::Figures;
use super::happenings::{Happening, Happenings};
use super::{Launcher, Master, Standing};
use crate::listen::Listening;
use crate::stats::{Ask, Book, Daemon, Server, Settings, Snapshot, Socket};

/// The stats servers and what has to be remembered for them.
pub(super) struct Stats {
    servers: Vec<Server>,
    show_secrets: bool,
    /// How many there are beside lock 0.
    locks: u32,
    /// Of generations that have gone, and of former binaries.
    annals: Annals,
}

impl Stats {
    /// `annals`: what was counted before.
    ///
    /// # Errors
    /// One sentence: an address cannot be had.
    pub(super) fn open(
        options: &Options,
        mut annals: Annals,
        happenings: &Happenings,
    ) -> Result<Self, String> {
        if annals.started == 0 {
            annals.started = coarse_realtime().as_secs();
        }
        annals.settle_unreadable();
        let mut stats = Self {
            servers: Vec::new(),
            show_secrets: options.stats.stats_show_secrets,
            locks: options.workers.locks,
            annals,
        };
        stats.listen(options, happenings)?;
        Ok(stats)
    }

    /// Takes over another configuration; what is wrong with it is logged.
    pub(super) fn renew(&mut self, options: &Options, happenings: &Happenings) {
        self.show_secrets = options.stats.stats_show_secrets;
        self.locks = options.workers.locks;
        if let Err(problem) = self.listen(options, happenings) {
            tracing::error!("{problem}");
        }
    }

    /// Binds what the options newly name and lets go what they no longer do; what serves already goes on.
    fn listen(&mut self, options: &Options, happenings: &Happenings) -> Result<(), String> {
        let wanted = wanted(options);
        self.servers.retain(|server| {
            let mut same = wanted.iter();
            same.any(|(address, settings)| {
                address.value == server.asked && *settings == server.settings
            })
        });
        for (address, settings) in wanted {
            let is_open = |server: &Server| server.asked == address.value;
            if !self.servers.iter().any(is_open) {
                let chmod = options.sockets.chmod_socket;
                let server = Server::start(&address, chmod, settings, ask(happenings))?;
                self.servers.push(server);
            }
        }
        Ok(())
    }

    /// Nobody is answered any more.
    pub(super) fn close(&mut self, vacuum: bool) {
        for server in self.servers.drain(..).filter(|_| vacuum) {
            server.vacuum();
        }
    }

    /// A generation serves.
    pub(super) fn risen(&mut self) {
        self.annals.risen += 1;
    }

    /// A reload came to nothing.
    pub(super) fn reload_failed(&mut self) {
        self.annals.failed_reloads += 1;
    }

    /// Keeps the figures of a generation that is gone.
    pub(super) fn bury(&mut self, books: &[Book]) {
        self.annals.gone.add(books);
    }

    /// The workers of former binaries are gone.
    pub(super) fn bury_former(&mut self) {
        for board in std::mem::take(&mut self.annals.boards) {
            self.bury(&board.books());
        }
    }
}

/// Every stats address and how it is served. As in uWSGI the path of a unix socket is seen from `chdir`.
fn wanted(options: &Options) -> Vec<(Located<Address>, Settings)> {
    let StatsOptions {
        stats,
        prometheus_listen,
        stats_http: _,
        stats_minified: _,
        stats_no_cores: _,
        stats_show_secrets: _,
    } = &options.stats;
    let settings = Settings::new(options);
    let plain = stats.iter().map(|address| (address, settings));
    let http = prometheus_listen.iter();
    let http = http.map(|address| (address, settings.with_http()));
    let in_chdir = |address: &Located<Address>| {
        let value = match &address.value {
            Address::Unix(path) => Address::Unix(options.in_chdir(path)),
            other => other.clone(),
        };
        Located::new(value, address.origin.clone())
    };
    plain
        .chain(http)
        .map(|(address, settings)| (in_chdir(address), settings))
        .collect()
}

fn ask(happenings: &Happenings) -> Ask {
    let sender = happenings.sender();
    // The master is gone when nobody receives.
    Arc::new(move |reply| drop(sender.send(Happening::Stats(reply))))
}

impl<L: Launcher> Master<'_, L> {
    /// Answers a stats client; one that has left in the meantime costs nothing.
    pub(super) fn tell_stats(&self, reply: oneshot::Sender<Snapshot>) {
        if !reply.is_closed() {
            let _ = reply.send(self.snapshot());
        }
    }

    fn snapshot(&self) -> Snapshot {
        let annals = &self.stats.annals;
        let mut ledger = annals.gone.clone();
        for board in &annals.boards {
            ledger.add(&board.books());
        }
        for generation in &self.generations {
            ledger.add(&generation.books());
        }
        let shown = self.shown_generation();
        let workers = shown
            .map(|generation| generation.figures(&ledger, self.paused, self.stats.show_secrets));
        let workers = workers.unwrap_or_default();
        let former = ledger.beyond(workers.len());
        let (leaving_processes, leaving_requests) = self.leaving();
        Snapshot {
            pid: process::this().as_raw(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            cwd: std::env::current_dir()
                .map_or_else(|_| String::new(), |dir| dir.to_string_lossy().into_owned()),
            started: annals.started,
            daemons: self
                .surroundings
                .daemons
                .figures()
                .into_iter()
                .map(daemon)
                .collect(),
            locks: (0..=self.stats.locks)
                .map(|lock| self.holder(lock))
                .collect(),
            sockets: self.listeners.iter().map(socket).collect(),
            former: former.iter().map(Book::total).sum(),
            former_harakiris: former.iter().map(|book| book.harakiris).sum(),
            workers,
            generation: shown.map_or(0, |it| self.reloads_before + it.number()),
            reloads: annals.risen.saturating_sub(1),
            failed_reloads: annals.failed_reloads,
            leaving_processes,
            leaving_requests,
        }
    }

    /// What there is to tell a newer binary.
    pub(super) fn annals(&self) -> Annals {
        let Annals {
            started,
            risen,
            failed_reloads,
            gone,
            boards,
        } = &self.stats.annals;
        let generations = self.generations.iter().map(super::Generation::scoreboard);
        Annals {
            started: *started,
            risen: *risen,
            failed_reloads: *failed_reloads,
            gone: gone.clone(),
            boards: boards
                .iter()
                .cloned()
                .chain(generations.map(Board::of))
                .collect(),
        }
    }

    fn holder(&self, lock: u32) -> i32 {
        let holder = self.locks.holder(lock).ok().flatten();
        holder.map_or(0, process::Pid::as_raw)
    }

    /// The one that serves; before and after that, the newest.
    fn shown_generation(&self) -> Option<&super::Generation> {
        let mut serving = self.generations.iter().rev();
        serving
            .find(|it| it.standing() == Standing::Serving)
            .or(self.generations.last())
    }

    /// Processes that others have taken over from, and requests in them.
    fn leaving(&self) -> (u64, u64) {
        let leaving = self.generations.iter().map(super::Generation::leaving);
        leaving.fold((0, 0), |(processes, requests), (more, in_them)| {
            (processes + more, requests + in_them)
        })
    }
}

fn daemon(figures: Figures) -> Daemon {
    let Figures {
        command,
        pid,
        respawns,
    } = figures;
    Daemon {
        command,
        pid,
        respawns,
    }
}

fn socket(listening: &Listening) -> Socket {
    let queue = listening.listener.queue().ok().flatten();
    Socket {
        name: listening.listener.address.to_string(),
        protocol: match listening.protocol {
            Protocol::Uwsgi => "uwsgi",
            Protocol::Http => "http",
        },
        waiting: queue.map_or(0, |queue| queue.waiting),
        max: queue.map_or(0, |queue| queue.max),
        dropped: queue.map_or(0, |queue| queue.dropped),
    }
}

/// Seconds since 1970 and milliseconds ago of a moment on the monotonic clock, in milliseconds.
pub(super) fn moment(millis: u64) -> (u64, u64) {
    let age = coarse_now().0.saturating_sub(millis);
    let now = u64::try_from(coarse_realtime().as_millis()).unwrap_or(u64::MAX);
    (now.saturating_sub(age) / 1000, age)
}
