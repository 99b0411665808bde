//! Slow requests on kept connections: whichever worker is free serves them, and none is lost on the way.

use std::collections::HashMap;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::load::APP;
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Load, Request, Server, Setup, Way};

/// Each request takes two milliseconds.
fn slow_app() -> String {
    APP.replace("import os\n", "import os, time\n").replace(
        "    start_response(",
        "    time.sleep(0.002)\n    start_response(",
    )
}

fn start(threads: usize) -> Server {
    let server = Setup::source(Kind::Uwgate, &slow_app())
        .option("processes", 2)
        .option("threads", threads)
        .start();
    until_true("both workers", || server.workers().len() == 2);
    server
}

#[test]
fn a_kept_connection_is_served_by_whichever_worker_is_free() {
    for threads in [1, 2] {
        let server = start(threads);
        let mut clients: Vec<_> = (0..12).map(|_| server.client()).collect();
        let mut first = HashMap::new();
        until("a connection that has changed its worker", || {
            for client in &mut clients {
                client.write(Request::get("/pid").bytes());
            }
            for (number, client) in clients.iter_mut().enumerate() {
                let response = client.response("GET").expect(200);
                let before = first
                    .entry(number)
                    .or_insert_with(|| response.text().to_owned());
                if before.as_str() != response.text() {
                    return Some(());
                }
            }
            None
        });
    }
}

#[test]
fn reloads_lose_none_of_those_who_wait() {
    for threads in [1, 2] {
        let server = start(threads);
        let load = Load::start(&[Way::Keep(server.http.clone())], 12, Duration::ZERO);
        load.wait_for(200);
        for _ in 0..2 {
            server.wait_until_it_catches_signals();
            let before = server.workers();
            server.signal(Signal::HUP);
            until_true("new workers only", || {
                let now = server.workers();
                now.len() == 2 && !before.iter().any(|pid| now.contains(pid))
            });
            load.wait_for(200);
        }
        load.finish().expect_no_loss(600);
    }
}
