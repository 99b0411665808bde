//! Any bytes as packets: no panic, and what is accepted is exactly what the bytes say.
#![no_main]

#[path = "../../crates/uwsgi-codec/tests/codec/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::decode(bytes));
