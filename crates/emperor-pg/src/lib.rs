//! Vassals from a PostgreSQL table, for those who have outgrown one machine: any number of emperors follow one table,
//! and run all of it or their share of it.
//!
//! In scope: where the database is ([`Place::parse`]), reading the table, hearing of changes at once (`LISTEN`) with
//! polling as the net under it, coming back after the database was away, and which host runs what. Out of scope: what
//! becomes of the rows; the emperor makes vassals of them.
//!
//! One call follows a place for ever: [`follow`]. It tells the whole set each time the set has changed, and only what
//! the database has really answered: while it is away or refuses to answer nothing is told, and what was told stays
//! wanted.
//!
//! What thinks is apart from what talks: [`settings`], [`password`], [`rows`], [`share`] take text and times and return
//! values; [`session`] and [`mod@follow`] hold the connection and the clock.

#![forbid(unsafe_code)]

mod cache;
mod follow;
mod password;
mod place;
mod rows;
mod session;
mod settings;
mod share;
mod stable_hash;
mod tls;
mod trouble;

pub use follow::{Pace, follow};
pub use place::{Here, Place};
pub use rows::Row;
