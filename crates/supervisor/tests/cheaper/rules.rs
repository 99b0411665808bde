//! Single rules: memory, the operator's word, the minimum.

use uwgate_supervisor::cheaper::{Algorithm, Settings};

use crate::world::World;

fn settings(algorithm: Algorithm) -> Settings {
    Settings {
        min: 2,
        max: 6,
        step: 2,
        overload: 1,
        algorithm,
        rss_soft: 0,
        rss_hard: 0,
    }
}

#[test]
fn soft_memory_limit_stops_growth() {
    let settings = Settings {
        rss_soft: 150 << 20,
        ..settings(Algorithm::Spare)
    };
    let mut world = World::new(1, settings, 1, 20);
    world.run(|_| 10.0, 50.0, 60);
    // Two more were started when two used 100 MiB; four use 200.
    assert_eq!(world.active(), 4);
}

#[test]
fn hard_memory_limit_shrinks_to_the_minimum() {
    let mut world = World::new(1, settings(Algorithm::Spare), 1, 20);
    world.run(|_| 10.0, 50.0, 60);
    assert_eq!(world.active(), 6);

    let settings = Settings {
        rss_soft: 80 << 20,
        rss_hard: 90 << 20,
        ..settings(Algorithm::Manual)
    };
    let mut world = World::new(1, settings, 1, 20);
    world.wish(4);
    world.rss = 1 << 20;
    world.run(|_| 1.0, 50.0, 5);
    assert_eq!(world.active(), 6);
    world.rss = 40 << 20;
    world.run(|_| 1.0, 50.0, 20);
    assert_eq!(world.active(), 2);
}

#[test]
fn the_operator_decides_in_manual_mode() {
    let mut world = World::new(1, settings(Algorithm::Manual), 1, 20);
    world.run(|_| 10.0, 50.0, 30);
    assert_eq!(world.active(), 2, "nothing happens by itself");
    world.wish(1);
    world.run(|_| 0.0, 50.0, 3);
    assert_eq!(world.active(), 3);
    world.wish(100);
    world.run(|_| 0.0, 50.0, 3);
    assert_eq!(world.active(), 6);
    world.wish(-2);
    world.run(|_| 0.0, 50.0, 5);
    assert_eq!(world.active(), 4);
    world.wish(-3);
    world.run(|_| 0.0, 50.0, 10);
    assert_eq!(world.active(), 1);
    world.wish(-2);
    world.run(|_| 0.0, 50.0, 3);
    assert_eq!(world.active(), 1, "one is left");
    world.wish(1);
    world.run(|_| 0.0, 50.0, 3);
    assert_eq!(world.active(), 2, "what could not be had is forgotten");
}

#[test]
fn the_operator_is_obeyed_beside_an_algorithm() {
    let mut world = World::new(1, settings(Algorithm::Spare), 1, 20);
    world.wish(1);
    world.run(|_| 0.0, 50.0, 1);
    assert_eq!(world.active(), 3);
    world.wish(-5);
    world.run(|_| 0.0, 50.0, 5);
    assert_eq!(world.active(), 2, "not below the minimum");
}
