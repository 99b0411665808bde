//! End to end: the real binary, a real Python, real nginx in front, and the real uWSGI as judge.
//!
//! Each module is one subject. A test starts the servers it needs on unix sockets and free ports
//! in a directory of its own; nothing is shared, so all run in parallel. What the tests need is
//! installed by `tests/setup.sh`; a test whose need is missing fails and says so.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "tests are read in their source")]
#![allow(
    unreachable_pub,
    reason = "support is shared by all modules of one binary"
)]

mod bundles;
mod chaos;
mod cheaper;
mod control;
mod daemons;
mod demo;
mod emperor;
mod endings;
mod environ_memory;
mod frameworks;
mod front_servers;
mod harakiri;
mod hooks;
mod http_basic;
mod http_environ;
mod http_refusals;
mod loading;
mod log_destinations;
mod log_formats;
mod log_lines;
mod logging;
mod memory;
mod options;
mod oracle;
mod processes;
mod python_api;
mod recycling;
mod regressions;
mod reliability;
mod reloads;
mod sample_configs;
mod slow_clients;
mod stats;
mod support;
mod surroundings;
mod upgrades;
mod uwsgi_protocol;
mod waiting_room;
mod warm_up;
mod wsgi_input;
mod wsgi_responses;
