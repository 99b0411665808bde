//! Any sequence of blocks, conditions and definitions: it ends in a list or in an error.
#![no_main]

#[allow(dead_code, reason = "the other targets' checks")]
#[path = "../../crates/config/tests/config/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::logic(bytes));
