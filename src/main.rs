//! uwgate: argv to role to run.
#![forbid(unsafe_code)]

fn main() {}
