//! Any bytes as a request: no panic, and what is accepted is what httparse says, too.
#![no_main]

#[path = "../../crates/http/tests/http/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::head(bytes));
