//! Any variables, written in every way the writer offers and read back.
#![no_main]

#[path = "../../crates/uwsgi-codec/tests/codec/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::round_trip(&check::pairs(bytes)));
