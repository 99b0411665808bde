//! How many workers run: fewer in quiet times (`cheaper`), none without work (`cheap`, `idle`).

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use uwgate_config::Options;
use uwgate_config::options::{Cheaper as CheaperOptions, CheaperAlgo};
use uwgate_supervisor::cheaper::{Algorithm, Cheaper, Idle, Marks, Nap, Settings};
use uwgate_sys::clock::Millis;

use super::generation::{Change, Generation};
use super::happenings::{Happening, Happenings};
use super::{Launcher, Master};
use crate::listen::Listening;

/// What decides how many workers run, made anew by each configuration.
#[derive(Debug)]
pub(super) struct Workforce {
    cheaper: Option<Cheaper>,
    idle: Option<Idle>,
    die_on_idle: bool,
    /// How many workers begin.
    initial: u32,
    /// Nobody runs; somebody who connects wakes them.
    asleep: bool,
    doorbells: Vec<JoinHandle<()>>,
}

impl Workforce {
    pub(super) fn new(options: &Options) -> Self {
        let CheaperOptions {
            cheaper,
            cheaper_initial,
            cheap,
            idle,
            die_on_idle,
            ..
        } = options.cheaper;
        let processes = options.workers.processes;
        let initial = match cheaper {
            0 => processes,
            min => cheaper_initial
                .unwrap_or(min)
                .clamp(min, processes.max(min)),
        };
        Self {
            cheaper: (cheaper > 0).then(|| Cheaper::new(settings(options))),
            idle: (idle > 0).then(|| Idle::new(Duration::from_secs(idle.into()))),
            die_on_idle,
            initial,
            asleep: cheap && processes > 0,
            doorbells: Vec::new(),
        }
    }

    /// Takes over another configuration. Whoever sleeps, sleeps on.
    pub(super) fn renew(&mut self, options: &Options) {
        let asleep = self.asleep;
        let doorbells = std::mem::take(&mut self.doorbells);
        *self = Self {
            asleep,
            doorbells,
            ..Self::new(options)
        };
    }

    /// How many workers a new generation has, beside one of `others`.
    pub(super) fn begin_with(&self, others: u32) -> u32 {
        match self.asleep {
            true => 0,
            false if self.cheaper.is_some() => self.initial.max(others),
            false => self.initial,
        }
    }

    fn stop_listening(&mut self) {
        for doorbell in self.doorbells.drain(..) {
            doorbell.abort();
        }
    }
}

/// Whether these options need a look every second.
pub(super) fn needs_tick(options: &Options) -> bool {
    options.cheaper.cheaper > 0 || options.cheaper.idle > 0
}

/// Whether these options need the memory of the workers.
pub(super) fn needs_memory(options: &Options) -> bool {
    let cheaper = &options.cheaper;
    cheaper.cheaper > 0
        && (cheaper.cheaper_rss_limit_soft > 0 || cheaper.cheaper_rss_limit_hard > 0)
}

fn settings(options: &Options) -> Settings {
    let CheaperOptions {
        cheaper,
        cheaper_initial: _,
        cheaper_algo,
        cheaper_step,
        cheaper_overload,
        cheaper_idle,
        cheaper_rss_limit_soft,
        cheaper_rss_limit_hard,
        cheaper_busyness_max,
        cheaper_busyness_min,
        cheaper_busyness_multiplier,
        cheaper_busyness_penalty,
        cheaper_busyness_verbose,
        cheaper_busyness_backlog_alert,
        cheaper_busyness_backlog_multiplier,
        cheaper_busyness_backlog_step,
        cheaper_busyness_backlog_nonzero,
        cheap: _,
        idle: _,
        die_on_idle: _,
    } = options.cheaper;
    let algorithm = match cheaper_algo {
        CheaperAlgo::Spare => Algorithm::Spare,
        CheaperAlgo::Spare2 => Algorithm::Spare2 { idle: cheaper_idle },
        CheaperAlgo::Backlog => Algorithm::Backlog,
        CheaperAlgo::Manual => Algorithm::Manual,
        CheaperAlgo::Busyness => Algorithm::Busyness(Marks {
            max: cheaper_busyness_max,
            min: cheaper_busyness_min,
            multiplier: cheaper_busyness_multiplier,
            penalty: cheaper_busyness_penalty,
            verbose: cheaper_busyness_verbose,
            backlog_alert: cheaper_busyness_backlog_alert,
            backlog_multiplier: cheaper_busyness_backlog_multiplier,
            backlog_step: cheaper_busyness_backlog_step,
            backlog_nonzero: cheaper_busyness_backlog_nonzero,
        }),
    };
    Settings {
        min: cheaper,
        max: options.workers.processes,
        step: cheaper_step,
        overload: cheaper_overload,
        algorithm,
        rss_soft: cheaper_rss_limit_soft,
        rss_hard: cheaper_rss_limit_hard,
    }
}

impl<L: Launcher> Master<'_, L> {
    /// One look at how many workers there should be; `waiting` is the fullest listen queue.
    pub(super) fn look_at_workforce(&mut self, now: Millis, waiting: u32) {
        if self.ending.is_some() || self.workforce.asleep {
            return;
        }
        let Some(generation) = self.serving() else {
            return;
        };
        let (number, sights) = (generation.number(), generation.sights());
        let (requests, busy) = (generation.requests(), generation.is_busy());
        if let Some(idle) = &mut self.workforce.idle
            && let Nap::Yes { idle } = idle.look(now, requests, busy || waiting > 0)
        {
            return self.nobody_came(idle);
        }
        let Some(cheaper) = &mut self.workforce.cheaper else {
            return;
        };
        let decision = cheaper.look(now, &sights, waiting);
        for note in &decision.notes {
            tracing::info!("{note}");
        }
        let Some(why) = decision.why else {
            return;
        };
        self.with(number, |generation, hands| {
            if !decision.start.is_empty() {
                let many = decision.start.len();
                tracing::info!("[cheaper] starting {many} worker(s): {why}");
            }
            for worker in decision.start {
                generation.start_worker(worker, hands);
            }
            match decision.stop {
                Some(worker) => {
                    tracing::info!("[cheaper] stopping worker {worker}: {why}");
                    generation.stop_worker(worker, hands)
                }
                None => Change::Nothing,
            }
        });
    }

    /// `+` and `-` of the FIFO.
    pub(super) fn change_workforce(&mut self, delta: i32) {
        match &mut self.workforce.cheaper {
            Some(cheaper) => cheaper.wish(delta),
            None => {
                tracing::warn!("the number of workers is fixed: it can be changed with cheaper");
            }
        }
    }

    fn nobody_came(&mut self, idle: Duration) {
        let seconds = idle.as_secs();
        tracing::info!("workers have been inactive for more than {seconds} seconds");
        if self.workforce.die_on_idle {
            // An emperor has to know that it is no failure.
            if !self.lord.ask_to_be_stopped() {
                self.stop(None);
            }
            return;
        }
        self.go_cheap();
    }

    /// Sends all workers home; somebody who connects brings them back.
    pub(super) fn go_cheap(&mut self) {
        if self.ending.is_some() || self.workforce.asleep {
            return;
        }
        self.workforce.asleep = true;
        for number in self.numbers() {
            self.with(number, |generation, hands| {
                if !generation.is_leaving() {
                    generation.stop_workers(hands);
                }
                Change::Nothing
            });
        }
        self.fall_asleep();
    }

    /// Waits for somebody to connect, if nobody runs.
    pub(super) fn fall_asleep(&mut self) {
        if !self.workforce.asleep {
            return;
        }
        tracing::info!("cheap mode enabled: waiting for socket connection...");
        self.workforce.stop_listening();
        for listening in self.listeners.iter() {
            match doorbell(listening, &self.happenings) {
                Ok(task) => self.workforce.doorbells.push(task),
                Err(error) => {
                    let address = &listening.listener.address;
                    tracing::error!("{address} cannot be watched: {error}");
                    return self.wake_up();
                }
            }
        }
    }

    /// Somebody has connected.
    pub(super) fn wake_up(&mut self) {
        if self.ending.is_some() || !std::mem::take(&mut self.workforce.asleep) {
            return;
        }
        tracing::info!("somebody connected: starting workers");
        self.workforce.stop_listening();
        if let Some(idle) = &mut self.workforce.idle {
            idle.wake();
        }
        let initial = self.workforce.initial;
        for number in self.numbers() {
            self.with(number, |generation, hands| {
                if !generation.is_leaving() {
                    generation.wake_workers(initial, hands);
                }
                Change::Nothing
            });
        }
    }

    /// How many workers a new generation with these options has: with cheaper not fewer than serve now.
    pub(super) fn begin_with(&self, options: &Options) -> u32 {
        let others = self.serving().map_or(0, Generation::strength);
        let workforce = Workforce {
            asleep: self.workforce.asleep,
            ..Workforce::new(options)
        };
        workforce.begin_with(others)
    }
}

/// Tells once that somebody waits to be accepted.
fn doorbell(listening: &Listening, happenings: &Happenings) -> std::io::Result<JoinHandle<()>> {
    let fd = listening.listener.fd.try_clone()?;
    let readiness = uwgate_sys::readiness::readable(Arc::new(fd))?;
    let sender = happenings.sender();
    Ok(tokio::spawn(async move {
        if readiness.readable().await.is_ok() {
            let _ = sender.send(Happening::Visitor);
        }
    }))
}
