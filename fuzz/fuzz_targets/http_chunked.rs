//! Any bytes as a chunked body: however they are cut, the outcome is the same.
#![no_main]

#[path = "../../crates/http/tests/http/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::chunked(bytes));
