//! Requests, workers and a clock.

use std::collections::VecDeque;

use uwgate_supervisor::Millis;
use uwgate_supervisor::cheaper::{Algorithm, Cheaper, Decision, Life, Service, Settings, Worker};

/// One step of the clock, in milliseconds.
const STEP: u64 = 20;

/// xorshift64*, by Vigna.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.below(1 << 30) as f64 / (1u64 << 30) as f64
    }

    /// Exponential with this mean.
    fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// So many workers' time of work, at a second of a run.
pub(crate) type Work = fn(f64) -> f64;

struct Process {
    since: u64,
    ready_at: u64,
    cores: Vec<Core>,
    leaving: bool,
}

#[derive(Clone)]
struct Core {
    /// When it is done with what it has.
    free_at: u64,
    /// Milliseconds of all its requests, the current one's whole length included.
    work: u64,
}

impl Process {
    fn new(cores: u32, now: u64, ready_at: u64) -> Self {
        let core = Core {
            free_at: ready_at,
            work: 0,
        };
        Self {
            since: now,
            ready_at,
            cores: vec![core; cores as usize],
            leaving: false,
        }
    }

    fn busy(&self, now: u64) -> usize {
        self.cores.iter().filter(|core| core.free_at > now).count()
    }
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) now: u64,
    dice: Dice,
    cheaper: Cheaper,
    cores: u32,
    starts_in: u64,
    places: Vec<Option<Process>>,
    next_arrival: f64,
    queue: VecDeque<f64>,
    /// Milliseconds that requests waited in the queue.
    pub(crate) waits: Vec<u64>,
    /// Every start and stop: the second, and by how much.
    pub(crate) changes: Vec<(u64, i32)>,
    pub(crate) rss: u64,
}

impl World {
    pub(crate) fn new(seed: u64, settings: Settings, cores: u32, starts_in: u64) -> Self {
        let mut places: Vec<_> = (0..settings.max).map(|_| None).collect();
        for place in places.iter_mut().take(settings.min as usize) {
            *place = Some(Process::new(cores, 1000, 1000));
        }
        Self {
            settings,
            now: 1000,
            dice: Dice::new(seed),
            cheaper: Cheaper::new(settings),
            cores,
            starts_in,
            places,
            next_arrival: 0.0,
            queue: VecDeque::new(),
            waits: Vec::new(),
            changes: Vec::new(),
            rss: 50 << 20,
        }
    }

    pub(crate) fn wish(&mut self, delta: i32) {
        self.cheaper.wish(delta);
    }

    /// `takes`: milliseconds of an average request.
    pub(crate) fn run(&mut self, work: Work, takes: f64, seconds: u64) {
        let begin = self.now;
        self.next_arrival = begin as f64;
        while self.now < begin + seconds * 1000 {
            self.now += STEP;
            self.arrive(work, takes, begin);
            self.finish();
            self.serve(takes);
            if self.now.is_multiple_of(1000) {
                self.look();
            }
        }
    }

    /// Workers that run or are on their way.
    pub(crate) fn active(&self) -> u32 {
        let running = self.places.iter().flatten().filter(|it| !it.leaving);
        u32::try_from(running.count()).unwrap()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How often it changed its direction after that second.
    pub(crate) fn turns_after(&self, second: u64) -> usize {
        let late = self.changes.iter().filter(|(at, _)| *at > second);
        let directions: Vec<bool> = late.map(|(_, by)| *by > 0).collect();
        directions.windows(2).filter(|two| two[0] != two[1]).count()
    }

    fn arrive(&mut self, work: Work, takes: f64, begin: u64) {
        while self.next_arrival <= self.now as f64 {
            let second = (self.next_arrival - begin as f64) / 1000.0;
            let rate = work(second) * f64::from(self.cores) * 1000.0 / takes;
            if rate <= 0.0 {
                self.next_arrival += 100.0;
                continue;
            }
            self.queue.push_back(self.next_arrival);
            self.next_arrival += self.dice.wait(1000.0 / rate);
        }
        // Clients give up, or the kernel turns them away.
        self.queue.truncate(200);
    }

    fn finish(&mut self) {
        let now = self.now;
        for place in &mut self.places {
            let gone = |process: &Process| process.leaving && process.busy(now) == 0;
            if place.as_ref().is_some_and(gone) {
                *place = None;
            }
        }
    }

    /// Whoever is free first takes the next request.
    fn serve(&mut self, takes: f64) {
        let now = self.now;
        let processes = self.places.iter_mut().flatten();
        let taking = processes.filter(|it| !it.leaving && it.ready_at <= now);
        let mut cores: Vec<&mut Core> = taking.flat_map(|it| &mut it.cores).collect();
        while let Some(&came) = self.queue.front() {
            let first = cores.iter_mut().min_by_key(|core| core.free_at);
            let Some(core) = first.filter(|core| core.free_at <= now) else {
                return;
            };
            self.queue.pop_front();
            let came = came as u64;
            let begun = core.free_at.max(came);
            let takes = self.dice.wait(takes).clamp(1.0, 20.0 * takes).round() as u64;
            core.free_at = begun + takes;
            core.work += takes;
            self.waits.push(begun - came);
        }
    }

    fn look(&mut self) {
        let workers: Vec<Worker> = (1..)
            .zip(&self.places)
            .map(|(number, place)| self.seen(number, place.as_ref()))
            .collect();
        let waiting = u32::try_from(self.queue.len()).unwrap();
        let decision = self.cheaper.look(Millis(self.now), &workers, waiting);
        let before = self.active();
        self.follow(&decision);
        let Settings { min, max, .. } = self.settings;
        let after = self.active();
        assert!(after <= max, "at most {max}: {after}");
        if self.settings.algorithm != Algorithm::Manual {
            assert!(after >= min.min(before), "at least {min}: {after}");
        }
    }

    fn seen(&self, number: u32, place: Option<&Process>) -> Worker {
        let life = match place {
            None => Life::Cheap,
            Some(process) if process.leaving => Life::Leaving,
            Some(process) if process.ready_at > self.now => Life::Starting {
                since: Millis(process.since),
            },
            Some(process) => {
                let done = |core: &Core| core.work - core.free_at.saturating_sub(self.now);
                let busy = u32::try_from(process.busy(self.now)).unwrap();
                Life::Serving(Service {
                    since: Millis(process.since),
                    cores: self.cores,
                    busy,
                    busy_micros: process.cores.iter().map(done).sum::<u64>() * 1000,
                    connections: busy,
                })
            }
        };
        let rss = if place.is_some() { self.rss } else { 0 };
        Worker { number, life, rss }
    }

    fn follow(&mut self, decision: &Decision) {
        let second = self.now / 1000;
        for number in &decision.start {
            let place = &mut self.places[*number as usize - 1];
            if let Some(process) = &*place {
                assert!(process.leaving, "worker {number} runs already");
            }
            let ready_at = self.now + self.starts_in;
            *place = Some(Process::new(self.cores, self.now, ready_at));
        }
        if !decision.start.is_empty() {
            let by = i32::try_from(decision.start.len()).unwrap();
            self.changes.push((second, by));
        }
        if let Some(number) = decision.stop {
            let process = self.places[number as usize - 1].as_mut();
            let process = process.expect("who is stopped runs");
            assert!(!process.leaving, "worker {number} was stopped already");
            process.leaving = true;
            self.changes.push((second, -1));
        }
        let change = !decision.start.is_empty() || decision.stop.is_some();
        assert_eq!(decision.why.is_some(), change, "{decision:?}");
    }
}
