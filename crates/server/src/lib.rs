//! An instance of uwgate: one master, a zygote for each generation of the application, and the workers that serve.
//!
//! This crate knows no Python. What calls the application is a [`Host`], and what forks workers a
//! [`zygote::Nursery`]; the `uwgate-python` crate brings both.
//!
//! # One request
//! `worker::accept` takes a connection, `connection` turns its bytes into an [`exchange::Request`], [`Host::serve`]
//! answers through an [`exchange::Response`], `log` writes the line. All of that happens on one thread without a
//! hand-off; only what a slow reader has not taken goes to `exchange::offload`.
//!
//! # One process
//! [`master`] binds the sockets and starts a zygote: the application's own Python, with this crate inside an
//! extension module. [`zygote`] loads the application and forks on demand; [`worker`] is what a fork becomes. They
//! talk in [`message`]s over `SOCK_SEQPACKET` pairs, and share a [`scoreboard`].
#![forbid(unsafe_code)]

mod activity;
mod at_rest;
pub mod background;
pub mod command;
mod connection;
pub mod environment;
pub mod exchange;
pub mod homage;
pub mod hooks;
mod host;
pub mod inherit;
pub mod listen;
pub mod log;
pub mod master;
pub mod message;
pub mod privileges;
pub mod queue;
pub mod scoreboard;
pub mod sent_config;
pub mod station;
mod stats;
pub mod successor;
pub mod title;
mod warm_up;
pub mod worker;
pub mod zygote;

pub use host::{Host, Served};
