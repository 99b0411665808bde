use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uwgate_config::Protocol;

use super::Setup;
use super::cores::{Cores, Turn};
use super::harakiri::Harakiri;
use super::idle::Watches;
use super::retirement::Retiring;
use super::room::Room;
use super::settings::Settings;
use crate::connection::{Outcome, Refusal};
use crate::exchange::{Offload, Request, Response, Tally, bundle};
use crate::log::request::{Context, RequestLog};
use crate::scoreboard::{Core, Row, Scoreboard, sum};

/// One listening socket as its connections see it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) protocol: Protocol,
    /// Its number among the sockets of the instance, from 0.
    pub(crate) door: u16,
    /// Its peers have no address.
    pub(crate) is_unix: bool,
    /// As uWSGI prints it: `127.0.0.1:8080`, `/run/app.sock`, `@name`.
    pub(crate) name: String,
    /// The machine's name, as uWSGI's HTTP says it.
    pub(crate) server_name: String,
    /// The socket's port; uWSGI says 80 for a unix socket.
    pub(crate) server_port: String,
}

/// How many prompt peers one slow one outweighs: it may have cost a millisecond.
const SLOW_PEER: u32 = 8;

/// So many connections more than a sibling's are no crowd yet.
const CROWD: u64 = 4;

/// Requests that take so many microseconds are slow: it is worth some more to have each served by whichever worker is
/// free first.
const SLOW: u64 = 500;

/// A worker whose requests take no longer will soon have time for somebody else.
const ALIVE: Duration = Duration::from_secs(1);

/// What all connections of a worker share.
pub(crate) struct Engine<H> {
    pub(crate) host: H,
    pub(crate) settings: Settings,
    pub(crate) watches: Arc<Watches>,
    pub(crate) offload: Arc<Offload>,
    pub(crate) cores: Arc<Cores>,
    pub(crate) harakiri: Arc<Harakiri>,
    pub(crate) retiring: Retiring,
    pub(super) room: Option<Room>,
    /// The moving average of what requests take, in microseconds.
    pace: AtomicU64,
    /// Connections that were found to have a request, and of which it is not decided yet who serves it.
    pub(super) ready: AtomicUsize,
    log: RequestLog,
    scoreboard: Scoreboard,
    row: Row,
    /// What each application does has to be counted apart.
    several_apps: bool,
    draining: AtomicBool,
    /// The sweep from which on new peers are waited for on the spot.
    prompt_from: AtomicU32,
    /// Prompt peers, less the slow ones with their weight.
    prompt_peers: AtomicU32,
    open: AtomicUsize,
    /// Told when a draining worker's last connection has gone.
    pub(crate) emptied: Notify,
}

thread_local! {
    /// The core on which this thread serves its current (or last) request.
    static CORE: Cell<usize> = const { Cell::new(0) };
}

/// The core, from 0, on which the current thread serves its request.
pub fn core() -> usize {
    CORE.get()
}

impl<H> Engine<H> {
    pub(crate) fn new(
        host: H,
        settings: Settings,
        harakiri: Harakiri,
        log: RequestLog,
        setup: &Setup,
    ) -> Self {
        let (scoreboard, row) = (setup.scoreboard.clone(), setup.row);
        let before = sum(scoreboard.row(row));
        Self {
            host,
            cores: Cores::new(settings.threads),
            room: setup.room.clone(),
            ready: AtomicUsize::new(0),
            pace: AtomicU64::new(0),
            settings,
            harakiri: Arc::new(harakiri),
            retiring: Retiring::new(&setup.options.recycling, row.worker, before),
            watches: Arc::default(),
            offload: Arc::default(),
            log,
            scoreboard,
            row,
            several_apps: setup.apps > 1,
            draining: AtomicBool::new(false),
            prompt_from: AtomicU32::new(0),
            prompt_peers: AtomicU32::new(2 * SLOW_PEER),
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
        }
    }

    /// The right to call the application; `None` when all cores are busy. With one thread whoever runs has it.
    pub(crate) fn try_turn(&self) -> Option<Option<Turn>> {
        match self.settings.threads {
            1 => Some(None),
            _ => self.cores.try_turn().map(Some),
        }
    }

    /// Notes that this thread begins a request.
    pub(crate) fn begin(&self, turn: Option<&Turn>, request: &Request) -> Instant {
        if let Some(turn) = turn {
            CORE.set(turn.number());
            super::handover::let_another_watch();
        }
        if let Some(exhibit) = self.scoreboard.exhibit(self.row, CORE.get()) {
            exhibit.show(request.block());
        }
        self.core().begin();
        Instant::now()
    }

    /// Notes how the request that began at `begun` ended.
    pub(crate) fn count(&self, begun: Instant, app: Option<u16>, outcome: &Outcome) {
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.core().end(micros, outcome);
        bundle::note(micros);
        if self.room.as_ref().is_some_and(Room::is_shared) {
            self.note_pace(micros);
        }
        if self.several_apps
            && let Some(app) = app
            && let Some(tally) = self.scoreboard.tally(self.row.worker, app.into())
        {
            tally.count(outcome.raised);
        }
        if self.retiring.counts_requests() {
            self.retiring.has_served(sum(self.scoreboard.row(self.row)));
        }
    }

    /// Which worker this is, and its row of the scoreboard.
    pub(crate) fn row(&self) -> Row {
        self.row
    }

    /// Has the watchdog see the request that this thread begins.
    pub(crate) fn watch(&self, request: &mut Request, response: &mut Response) {
        let core = CORE.get();
        self.note_wish(0);
        self.harakiri
            .board(core, request, response, response.rules());
    }

    /// Notes when the application wants the request of this thread to end.
    pub(crate) fn note_wish(&self, at: u64) {
        self.core().deadline.store(at, Ordering::Relaxed);
    }

    /// Counts an answer whose rest goes to the offload thread.
    pub(crate) fn count_offloaded(&self) {
        self.scoreboard.count_offloaded(self.row);
    }

    /// Logs a request of a core that was given up, with what its client was told.
    pub(crate) fn log_given_up(
        &self,
        request: &Request,
        told: &Tally,
        core: usize,
        begun: Instant,
    ) {
        let context = Context {
            app: (!self.several_apps).then_some(0),
            core,
            ..self.context(begun)
        };
        self.log.request(request, told, &context);
    }

    /// Logs the request that was just answered, or whose peer was lost before.
    pub(crate) fn log_request(
        &self,
        request: &Request,
        response: &Response,
        app: Option<u16>,
        begun: Instant,
    ) {
        let wanted = || request.notes().is_some_and(|notes| notes.log_anyway);
        if self.log.is_off() && !wanted() {
            return;
        }
        let context = Context {
            app,
            write_error: response.is_broken(),
            ..self.context(begun)
        };
        self.log.request(request, response.tally(), &context);
    }

    fn context(&self, begun: Instant) -> Context {
        Context {
            app: None,
            worker_requests: self.scoreboard.worker_requests(self.row.worker),
            total_requests: self.scoreboard.total_requests(),
            core: CORE.get(),
            begun,
            write_error: false,
        }
    }

    /// Logs a request that was refused before the application saw it.
    pub(crate) fn log_refused(&self, refusal: &Refusal, endpoint: &Endpoint, addr: &str) {
        self.log
            .refused(refusal, endpoint.protocol, &endpoint.name, addr);
    }

    fn core(&self) -> &Core {
        self.scoreboard.core(self.row, CORE.get())
    }

    /// Whether answers should tell clients not to come back on their connection.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn start_draining(&self) {
        self.scoreboard.set_accepting(self.row, false);
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Says in the log what this worker has done (SIGUSR1).
    pub(crate) fn log_counters(&self) {
        crate::activity::log_counters(&self.scoreboard, self.row.worker, std::process::id());
    }

    /// Says in the log what this worker is doing (SIGUSR2).
    pub(crate) fn log_activity(&self) {
        crate::activity::log_activity(&self.scoreboard, self.row, std::process::id());
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether nearly all new peers have lately sent something as soon as they were connected.
    pub(crate) fn expects_prompt_peers(&self) -> bool {
        self.watches.now() >= self.prompt_from.load(Ordering::Relaxed)
    }

    /// Notes whether a new peer has. One that has not outweighs [`SLOW_PEER`] that have; when the balance is used up,
    /// nobody is expected to for a second.
    pub(crate) fn note_peer(&self, prompt: bool) {
        let credit = self.prompt_peers.load(Ordering::Relaxed);
        let credit = match prompt {
            true => (credit + 1).min(2 * SLOW_PEER),
            false => credit.saturating_sub(SLOW_PEER),
        };
        if credit == 0 {
            let after_a_second = self.watches.deadline_in(1);
            self.prompt_from.store(after_a_second, Ordering::Relaxed);
        }
        self.prompt_peers.store(credit, Ordering::Relaxed);
    }

    /// Says that this worker takes connections from now on.
    pub(crate) fn start_accepting(&self) {
        self.draining.store(false, Ordering::Relaxed);
        self.scoreboard.set_connections(self.row, self.open());
        self.scoreboard.set_accepting(self.row, true);
    }

    /// Whether a sibling that could take the next connection has fewer than this worker. A connection that is kept
    /// alive stays where it was accepted, so this is where they are spread.
    pub(crate) fn sibling_should_accept(&self) -> bool {
        let least = self
            .scoreboard
            .least_loaded_sibling(self.row, Duration::ZERO);
        least.is_some_and(|least| least < self.open() as u64)
    }

    /// Whether clients should be asked to connect anew, as siblings have far fewer connections (they were
    /// replaced since, or came later).
    pub(crate) fn is_crowded(&self) -> bool {
        let least = self.scoreboard.least_loaded_sibling(self.row, ALIVE);
        least.is_some_and(|least| self.open() as u64 > least * 2 + CROWD)
    }

    /// Whether there is a sibling that takes connections and is not stuck.
    pub(super) fn has_live_sibling(&self) -> bool {
        let least = self.scoreboard.least_loaded_sibling(self.row, ALIVE);
        least.is_some()
    }

    /// Whether requests have lately taken long.
    pub(super) fn is_slow(&self) -> bool {
        self.pace.load(Ordering::Relaxed) >= SLOW
    }

    /// Notes how long a request took. That of a quick one counts the time in which the kernel had something else to
    /// run, so a single one, however long, does not make a worker slow. A note that another thread overwrites is no loss.
    fn note_pace(&self, micros: u64) {
        let pace = self.pace.load(Ordering::Relaxed);
        let pace = pace - pace / 8 + micros.min(3 * SLOW) / 8;
        self.pace.store(pace, Ordering::Relaxed);
    }

    /// Counts a connection for as long as the guard lives.
    pub(crate) fn opened(self: &Arc<Self>) -> Open<H> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        self.scoreboard.set_connections(self.row, before + 1);
        Open {
            engine: Arc::clone(self),
        }
    }
}

/// A counted connection.
pub(crate) struct Open<H> {
    engine: Arc<Engine<H>>,
}

impl<H> Drop for Open<H> {
    fn drop(&mut self) {
        let before = self.engine.open.fetch_sub(1, Ordering::Relaxed);
        let engine = &self.engine;
        engine.scoreboard.set_connections(engine.row, before - 1);
        if before == 1 && self.engine.is_draining() {
            self.engine.emptied.notify_one();
        }
    }
}
