//! A worker: accepts, serves, and leaves when the master says so or is gone.

mod accept;
mod cores;
mod engine;
mod handover;
mod idle;
mod offload;
mod orders;
mod settings;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use uwgate_config::Options;
use uwgate_sys::channel::Channel;

pub(crate) use cores::Turn;
pub use engine::core;
pub(crate) use engine::{Endpoint, Engine};
pub(crate) use settings::Settings;

use self::idle::Stake;
use self::orders::{Event, Events};
use crate::host::Host;
use crate::listen::Listening;
use crate::log::request::RequestLog;
use crate::message::{FromWorker, Message, ToWorker};
use crate::scoreboard::{Row, Scoreboard};

/// What a worker is given.
pub struct Setup {
    /// The worker's number, and which row of the scoreboard is this process's.
    pub row: Row,
    /// The typed options.
    pub options: Arc<Options>,
    /// The sockets to accept from.
    pub listeners: Vec<Listening>,
    /// The way to the master; `None` without one.
    pub master: Option<Channel>,
    /// Where the worker's figures go.
    pub scoreboard: Scoreboard,
    /// How many applications the host has, for the master.
    pub apps: u32,
}

/// Serves until told to stop, until the master is gone, or until SIGTERM, SIGINT or SIGHUP comes to this process.
/// Requests that have begun are finished. Returns what it was told.
///
/// # Errors
/// When the runtime or a listening socket cannot be set up.
pub fn run<H: Host>(setup: Setup, host: H) -> io::Result<ToWorker> {
    let settings = Settings::new(&setup.options);
    let log = RequestLog {
        enabled: !setup.options.log.disable_logging,
        pid: std::process::id(),
    };
    let threads = settings.threads;
    let engine = Arc::new(Engine::new(
        host,
        settings,
        log,
        setup.scoreboard.clone(),
        setup.row,
    ));
    let runtime = runtime(threads, &engine)?;
    let result = runtime.block_on(serve(setup, Arc::clone(&engine)));
    // Tasks hold connections that are idle or lost; nothing is waited for.
    runtime.shutdown_background();
    result
}

/// With one thread the connections live on it; with several any of them may serve any connection.
fn runtime<H: Host>(threads: usize, engine: &Arc<Engine<H>>) -> io::Result<Runtime> {
    if threads == 1 {
        engine.host.thread_started();
        return Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
    }
    let (starting, stopping) = (Arc::clone(engine), Arc::clone(engine));
    Builder::new_multi_thread()
        // One more than may be in the application; see `cores`.
        .worker_threads(threads + 1)
        .thread_name("core")
        .on_thread_start(move || starting.host.thread_started())
        .on_thread_unpark(handover::woken)
        .on_thread_stop(move || stopping.host.thread_stopping())
        .enable_io()
        .enable_time()
        .build()
}

async fn serve<H: Host>(setup: Setup, engine: Arc<Engine<H>>) -> io::Result<ToWorker> {
    let mut events = orders::subscribe(&engine)?;
    let mut acceptors = Vec::new();
    let mut queues = Vec::new();
    for listening in setup.listeners {
        let endpoint = Arc::new(listening.endpoint());
        let queue: Arc<OwnedFd> = Arc::new(listening.into_fd());
        queues.push((Arc::clone(&queue), Arc::clone(&endpoint)));
        let accepting = accept::accept_connections(queue, endpoint, Arc::clone(&engine));
        acceptors.push(tokio::spawn(accepting));
    }
    engine.start_accepting();
    tokio::spawn(idle::sweep_every_second(Arc::clone(&engine.watches)));
    if let Some(master) = setup.master {
        let ready = FromWorker::Ready { apps: setup.apps };
        master.send(&ready.encode(), &[])?;
        events.follow(master)?;
    }
    let order = events.order().await;
    engine.start_draining();
    for acceptor in acceptors {
        acceptor.abort();
        // Another thread may be in the middle of it, with a connection that is not counted yet.
        let _ = acceptor.await;
    }
    if order == ToWorker::Stop {
        // Nobody else will take those who connected in time.
        for (queue, endpoint) in &queues {
            accept::accept_the_rest(queue, endpoint, &engine);
        }
    }
    drop(queues);
    drain(&engine, order, &mut events).await;
    Ok(order)
}

/// How long a client that has begun a head may go on with it when the instance stops.
const HEADS_AT_STOP: Duration = Duration::from_secs(2);

/// How long a resting client has for a next request, whose answer tells it to connect anew, when a newer generation
/// serves.
const IDLE_AT_DRAIN: Duration = Duration::from_secs(5);

/// Waits until the last connection is closed. When nobody comes after this worker, connections without a request are
/// closed at once.
async fn drain<H: Host>(engine: &Engine<H>, mut order: ToWorker, events: &mut Events) {
    let begun = Instant::now();
    loop {
        let after = begun.elapsed();
        match order {
            ToWorker::Stop if after > HEADS_AT_STOP => engine.watches.expire_up_to(Stake::Head),
            ToWorker::Stop => engine.watches.expire_up_to(Stake::Nothing),
            ToWorker::Drain if after > IDLE_AT_DRAIN => engine.watches.expire_up_to(Stake::Nothing),
            ToWorker::Drain => {}
        }
        if engine.open() == 0 {
            return;
        }
        // Now and then, as a connection may have become idle since the last look.
        let next = tokio::time::timeout(Duration::from_millis(250), events.next()).await;
        if let Ok(Event::Order(stricter)) = next {
            order = stricter;
        }
    }
}
