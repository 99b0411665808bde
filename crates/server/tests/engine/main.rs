//! The engine through its public face: a worker on real sockets, and in place of Python a closure.

mod app;
mod bodies;
mod client;
mod http;
mod leaving;
mod loans;
mod patience;
mod refusals;
mod slow_readers;
mod streams;
mod threads;
mod uwsgi;
mod worker;
