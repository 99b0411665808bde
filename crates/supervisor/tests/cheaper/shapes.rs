//! Loads of many shapes against every algorithm.

use uwgate_supervisor::cheaper::{Algorithm, Marks, Settings};

use crate::seed;
use crate::world::World;

fn automatic() -> [Algorithm; 4] {
    [
        Algorithm::Spare,
        Algorithm::Spare2 { idle: 10 },
        Algorithm::Backlog,
        Algorithm::Busyness(Marks::default()),
    ]
}

fn settings(algorithm: Algorithm) -> Settings {
    Settings {
        min: 2,
        max: 16,
        step: 1,
        overload: 3,
        algorithm,
        rss_soft: 0,
        rss_hard: 0,
    }
}

/// Every algorithm, with workers that are there at once and with such that import for 4 seconds, with one thread and
/// with three, and requests of two lengths.
fn everywhere(check: impl Fn(World, f64) -> Result<(), String>) {
    let seed = seed();
    let mut broken = Vec::new();
    for algorithm in automatic() {
        for (cores, starts_in) in [(1, 20), (1, 4000), (3, 20)] {
            for takes in [80.0, 300.0] {
                let world = World::new(seed, settings(algorithm), cores, starts_in);
                if let Err(what) = check(world, takes) {
                    broken.push(format!(
                        "UWGATE_SEED={seed}: {what}: {algorithm:?}, {cores} cores, start in {starts_in} ms, \
                         requests of {takes} ms"
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}: {broken:#?}", broken.len());
}

fn must(fine: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    fine.then_some(()).ok_or_else(what)
}

/// Twenty minutes, of which the first five minutes are for finding the number.
#[test]
fn a_steady_load_comes_to_rest() {
    everywhere(|mut world, takes| {
        world.run(|_| 5.2, takes, 1200);
        let turns = world.turns_after(300);
        must(turns <= 12, || {
            format!("{turns} changes of direction: {:?}", world.changes)
        })?;
        let active = world.active();
        must((6..=16).contains(&active), || format!("{active} workers"))
    });
}

#[test]
fn a_load_of_one_worker_comes_to_rest_near_the_minimum() {
    everywhere(|mut world, takes| {
        world.run(|_| 0.3, takes, 900);
        let active = world.active();
        must(active <= 4, || format!("{active} workers"))?;
        let turns = world.turns_after(120);
        must(turns <= 8, || {
            format!("{turns} changes of direction: {:?}", world.changes)
        })
    });
}

/// Up to the work of 12 workers in 10 minutes.
#[test]
fn a_rising_load_is_followed() {
    everywhere(|mut world, takes| {
        world.run(|second| (second / 50.0).min(12.0), takes, 900);
        let (active, waiting) = (world.active(), world.waiting());
        must(active >= 12, || format!("{active} workers"))?;
        must(waiting < 100, || format!("{waiting} requests wait"))
    });
}

/// From nothing to 10 workers' work at once: within two minutes nobody waits long any more.
#[test]
fn a_jump_is_followed() {
    everywhere(|mut world, takes| {
        world.run(|_| 0.0, takes, 60);
        world.run(|_| 10.0, takes, 240);
        let waiting = world.waiting();
        must(waiting < 100, || format!("{waiting} requests wait"))
    });
}

#[test]
fn without_work_the_minimum_runs() {
    everywhere(|mut world, takes| {
        for _ in 0..3 {
            world.run(
                |second| if second % 40.0 < 20.0 { 12.0 } else { 0.5 },
                takes,
                240,
            );
        }
        world.run(|_| 0.0, takes, 900);
        let active = world.active();
        must(active == world.settings.min, || format!("{active} workers"))
    });
}

/// A spike of a second is no reason to keep workers, and waves are followed with some calm.
#[test]
fn spikes_and_waves_are_taken_calmly() {
    everywhere(|mut world, takes| {
        world.run(
            |second| if second % 30.0 < 1.0 { 8.0 } else { 0.8 },
            takes,
            600,
        );
        world.run(|second| 4.0 + 3.0 * (second / 60.0).sin(), takes, 900);
        let changes = world.changes.len();
        must(changes <= 160, || {
            format!("{changes} changes in 25 minutes")
        })
    });
}

/// A day in one hour: quiet night, morning rise, lunch dip, evening peak, with noise.
#[test]
fn a_day() {
    everywhere(|mut world, takes| {
        let day = |second: f64| {
            let hour = second / 150.0;
            let rise = 1.0 / (1.0 + (-(hour - 8.0) * 2.0).exp());
            let fall = 1.0 / (1.0 + ((hour - 22.0) * 2.0).exp());
            let lunch = 1.0 - 0.4 * (-(hour - 12.5).powi(2)).exp();
            let noise = 1.0 + 0.15 * (second * 0.7).sin() * (second * 0.131).cos();
            (0.3 + 9.0 * rise * fall * lunch) * noise
        };
        world.run(day, takes, 3600);
        let turns = world.turns_after(0);
        must(turns <= 60, || format!("{turns} changes of direction"))?;
        let mut waits = std::mem::take(&mut world.waits);
        waits.sort_unstable();
        let p95 = waits[waits.len() * 95 / 100];
        must(p95 < 2000, || format!("p95 of waiting is {p95} ms"))?;
        world.run(|_| 0.3, takes, 600);
        let active = world.active();
        must(active <= 5, || format!("{active} workers at night"))
    });
}
