//! The number of workers in made-up worlds: requests arrive by chance in a given shape, workers serve them, and every
//! virtual second the decision is asked for and followed.
//!
//! In every world: the bounds hold, nothing is started twice, only what runs is stopped. By shape: a steady load
//! comes to rest, a rising one is followed, an instance without work returns to its minimum.
//!
//! `UWGATE_SEED=n` replays one seed.

mod rules;
mod shapes;
mod world;

fn seed() -> u64 {
    match std::env::var("UWGATE_SEED") {
        Ok(seed) => seed.parse().expect("UWGATE_SEED is a number"),
        Err(_) => 1,
    }
}
