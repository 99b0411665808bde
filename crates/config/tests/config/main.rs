//! The configuration through the crate's public face.

mod common;
mod docs;
mod fuzz;
mod language;
mod limits;
mod lints;
mod public;
mod start;
