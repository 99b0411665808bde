//! Any bytes as status and headers of an application: a client reads back what was accepted, and nothing else.
#![no_main]

#[path = "../../crates/http/tests/http/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::response(bytes));
