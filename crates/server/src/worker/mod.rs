//! A worker: accepts, serves, and leaves when the master says so or is gone.

mod accept;
mod attention;
mod cores;
mod courtesy;
mod doors;
mod engine;
mod handover;
pub(crate) mod harakiri;
mod idle;
mod orders;
mod retirement;
mod room;
mod settings;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use uwgate_config::Options;
use uwgate_sys::channel::Channel;

pub(crate) use cores::Turn;
pub use engine::core;
pub(crate) use engine::{Endpoint, Engine};
pub use harakiri::set_user_harakiri;
pub use room::Room;
pub(crate) use settings::Settings;

use self::courtesy::Courtesy;
use self::doors::Doors;
use self::harakiri::{Harakiri, Watchdog};
use self::idle::Stake;
use self::orders::{Event, Events};
use crate::at_rest;
use crate::exchange::bundle;
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
    /// Where requests wait for whichever worker is free first; `None` for a worker without siblings.
    pub room: Option<Room>,
}

/// Serves until told to stop, until the master is gone, or until SIGTERM, SIGINT or SIGHUP comes to this process.
/// Requests that have begun are finished. Returns what it was told.
///
/// # Errors
/// When the runtime or a listening socket cannot be set up.
pub fn run<H: Host>(setup: Setup, host: H) -> io::Result<ToWorker> {
    let settings = Settings::new(&setup.options);
    let log = RequestLog::new(&setup.options, setup.row.worker);
    let threads = settings.threads;
    let engine = Arc::new(Engine::new(
        host,
        settings,
        Harakiri::new(&setup.options.harakiri, threads),
        log,
        &setup,
    ));
    let runtime = runtime(threads, &engine)?;
    let attending = attention::attend(Arc::clone(&engine));
    let serving = serve(setup, Arc::clone(&engine));
    let result = runtime.block_on(attention::beside(serving, attending));
    if engine.harakiri.stuck() > 0 {
        // Its thread will not come back, and may have Python for itself: nothing can be ended in good order here.
        engine.harakiri.end_process_after_watchdog();
    }
    harakiri::dismiss();
    // Tasks hold connections that are idle or lost; nothing is waited for.
    runtime.shutdown_background();
    result
}

/// With one thread the connections live on it; with several any of them may serve any connection.
fn runtime<H: Host>(threads: usize, engine: &Arc<Engine<H>>) -> io::Result<Runtime> {
    if threads == 1 {
        engine.host.thread_started();
        return Builder::new_current_thread()
            .on_thread_park(bundle::close)
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
    let mut doors = Doors::new(setup.listeners, &engine);
    harakiri::attend(Watchdog {
        engine: Arc::clone(&engine),
        master: setup.master.as_ref().map(Channel::try_clone).transpose()?,
        queues: doors.queues(),
    });
    // The successor of a paused worker does not take a single connection.
    let mut paused = setup.master.as_ref().is_some_and(orders::begins_paused);
    match paused {
        true => tell_pause(setup.row.worker, paused),
        false => doors.open(),
    }
    let mut courtesy = Courtesy::new(engine.settings.threads);
    let watches = Arc::clone(&engine.watches);
    tokio::spawn(idle::sweep_every_second(watches, move || courtesy.second()));
    tokio::spawn(async {
        tokio::time::sleep(at_rest::QUIET).await;
        at_rest::let_go_of_files("worker");
    });
    let retiring = &engine.retiring;
    retiring.tell_to(setup.master.as_ref(), events.sender())?;
    if let Some(master) = setup.master {
        let ready = FromWorker::Ready { apps: setup.apps };
        master.send(&ready.encode(), &[])?;
        events.follow(master)?;
    }
    // All sockets or none have somebody who accepts after us, unless we hear otherwise.
    let mut closing = 0;
    let mut has_asked = false;
    let order = loop {
        let pause = match events.next().await {
            Event::Order(ToWorker::Pause) => true,
            Event::Order(ToWorker::Resume) => false,
            Event::TogglePause => !paused,
            Event::Order(ToWorker::Closing { doors }) => {
                closing |= doors;
                continue;
            }
            Event::Emptied => continue,
            // A successor comes first, and then the master's order. Who insists is obeyed.
            Event::Asked(_) if !has_asked && engine.retiring.after_signal() => {
                has_asked = true;
                continue;
            }
            Event::Asked(order) | Event::Order(order @ (ToWorker::Drain | ToWorker::Stop)) => {
                break order;
            }
        };
        if pause != paused {
            tell_pause(setup.row.worker, pause);
        }
        paused = pause;
        match paused {
            true => doors.shut().await,
            false => doors.open(),
        }
    };
    doors.shut().await;
    match order {
        ToWorker::Stop => doors.take_the_rest(u32::MAX),
        _ => doors.take_the_rest(closing),
    }
    drop(doors);
    drain(&engine, order, &mut events).await;
    Ok(order)
}

/// uWSGI's words.
fn tell_pause(worker: u32, paused: bool) {
    let state = if paused { "suspended" } else { "resumed" };
    tracing::info!("*** worker {worker} {state} ***");
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
            ToWorker::Drain | ToWorker::Closing { .. } | ToWorker::Pause | ToWorker::Resume => {}
        }
        if engine.open() <= engine.harakiri.stuck() {
            return;
        }
        // Now and then, as a connection may have become idle since the last look.
        let next = tokio::time::timeout(Duration::from_millis(250), events.next()).await;
        if let Ok(Event::Order(stricter) | Event::Asked(stricter)) = next
            && matches!(stricter, ToWorker::Drain | ToWorker::Stop)
        {
            order = stricter;
        }
    }
}
