//! Any values that refer to each other: the passes end, and nothing grows without bound.
#![no_main]

#[allow(dead_code, reason = "the other targets' checks")]
#[path = "../../crates/config/tests/config/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::expansion(bytes));
