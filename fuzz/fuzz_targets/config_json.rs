//! Any bytes as a JSON file: no panic, every origin a line of it, no value without bound.
#![no_main]

#[allow(dead_code, reason = "the other targets' checks")]
#[path = "../../crates/config/tests/config/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::json(bytes));
