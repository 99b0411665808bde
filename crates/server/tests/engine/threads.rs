//! Several threads in the application.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use uwgate_server::worker::core;

use crate::app::{DEADLINE, answer, app, echo, gate, path};
use crate::client::packet;
use crate::worker::Site;

#[test]
fn as_many_requests_as_threads_are_in_the_application_and_no_more() {
    let site = Site::new(&["--threads=3"]);
    let (gate, keeper) = gate();
    let (cores, seen) = channel();
    let worker = site.worker(app(move |_, response| {
        cores.send(core()).expect("the test waits");
        gate.pass();
        answer(response, b"passed");
    }));
    let mut clients: Vec<_> = (0..5)
        .map(|_| {
            let mut client = site.http_client();
            client.get("/");
            client
        })
        .collect();
    for _ in 0..3 {
        keeper.await_arrival();
    }
    let busy = worker
        .scoreboard
        .worker(1)
        .iter()
        .filter(|core| core.busy_since.load(std::sync::atomic::Ordering::Relaxed) > 0);
    assert_eq!(busy.count(), 3);
    assert!(keeper.nobody_else());
    let distinct: BTreeSet<usize> = seen.try_iter().collect();
    assert_eq!(distinct, BTreeSet::from([0, 1, 2]));
    // Each one that leaves makes room for one that waits.
    for _ in 0..2 {
        keeper.open();
        keeper.await_arrival();
    }
    for _ in 0..3 {
        keeper.open();
    }
    for client in &mut clients {
        assert_eq!(client.answer().text(), "passed");
    }
}

#[test]
fn while_all_threads_but_one_are_blocked_the_last_one_serves_everybody() {
    let site = Site::new(&["--threads=4"]);
    let (gate, keeper) = gate();
    let _worker = site.worker(app(move |request, response| {
        if path(request) == "/gate" {
            gate.pass();
        }
        answer(response, b"through");
    }));
    let mut resting: Vec<_> = (0..8).map(|_| site.http_client()).collect();
    for client in &mut resting {
        client.get("/");
        assert_eq!(client.answer().text(), "through");
    }
    let mut blocked: Vec<_> = (0..3).map(|_| site.http_client()).collect();
    for client in &mut blocked {
        client.get("/gate");
        keeper.await_arrival();
    }
    for _ in 0..20 {
        for client in &mut resting {
            client.get("/");
        }
        for client in &mut resting {
            assert_eq!(client.answer().text(), "through");
        }
        let mut uwsgi = site.uwsgi_client();
        uwsgi.send(packet("/", &[]));
        assert_eq!(uwsgi.answer().text(), "through");
    }
    // Which of them goes first is nobody's choice.
    for _ in &blocked {
        keeper.open();
    }
    for client in &mut blocked {
        assert_eq!(client.answer().text(), "through");
    }
}

#[test]
fn a_crowd_is_served_completely() {
    let site = Site::new(&["--threads=4"]);
    let worker = site.worker(echo());
    let (address, uwsgi) = (site.http(), site.uwsgi());
    let (done, finished) = channel();
    for _ in 0..8 {
        let (done, uwsgi) = (done.clone(), uwsgi.clone());
        std::thread::spawn(move || {
            let mut kept = crate::client::Client::tcp(address);
            for _ in 0..50 {
                kept.get("/");
                assert_eq!(kept.answer().text(), "hello");
                let mut client = crate::client::Client::unix(&uwsgi);
                client.send(packet("/", &[]));
                assert_eq!(client.answer().text(), "hello");
            }
            done.send(()).expect("the test waits");
        });
    }
    for _ in 0..8 {
        finished
            .recv_timeout(DEADLINE)
            .expect("every client gets its answers");
    }
    assert_eq!(worker.scoreboard.worker_requests(1), 800);
}
