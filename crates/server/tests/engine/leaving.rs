//! How a worker leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uwgate_server::message::ToWorker;

use crate::app::{answer, app, echo, gate};
use crate::client::{Client, packet};
use crate::worker::Site;

#[test]
fn a_draining_worker_tells_its_clients_to_connect_anew() {
    let site = Site::new(&[]);
    let worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/");
    assert_eq!(client.answer().header("Connection"), None);
    worker.tell(ToWorker::Drain);
    // The order and the request travel on different sockets: one more answer may be an ordinary one.
    let polite = (0..1000).any(|_| {
        client.get("/");
        client.answer().header("Connection") == Some("close")
    });
    assert!(polite, "the client is never told");
    client.expect_end();
    assert_eq!(worker.ended(), ToWorker::Drain);
}

#[test]
fn a_draining_worker_does_not_wait_for_ever_for_a_resting_client() {
    let site = Site::new(&["--http-keepalive=600"]);
    let worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/");
    assert_eq!(client.answer().text(), "hello");
    worker.tell(ToWorker::Drain);
    client.expect_end();
    assert_eq!(worker.ended(), ToWorker::Drain);
}

#[test]
fn a_request_in_the_application_is_finished_whoever_asks_to_leave() {
    for (threads, order) in [
        ("--threads=1", ToWorker::Stop),
        ("--threads=1", ToWorker::Drain),
        ("--threads=2", ToWorker::Stop),
        ("--threads=2", ToWorker::Drain),
    ] {
        let site = Site::new(&[threads]);
        let (gate, keeper) = gate();
        let worker = site.worker(app(move |_, response| {
            gate.pass();
            answer(response, b"finished");
        }));
        let mut client = site.uwsgi_client();
        client.send(packet("/", &[]));
        keeper.await_arrival();
        worker.tell(order);
        assert!(worker.is_running());
        keeper.open();
        assert_eq!(client.answer().text(), "finished", "{threads} {order:?}");
        assert_eq!(worker.ended(), order);
    }
}

#[test]
fn an_answer_on_its_way_is_sent_to_its_end() {
    let site = Site::new(&[]);
    let worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/large");
    assert!(client.exactly(15).starts_with(b"HTTP/1.1 200 OK"));
    worker.tell(ToWorker::Stop);
    let rest = client.rest().expect("all of it");
    assert!(rest.ends_with(crate::app::large()));
    assert_eq!(worker.ended(), ToWorker::Stop);
}

#[test]
fn a_worker_that_stops_closes_resting_and_silent_clients_at_once() {
    let site = Site::new(&["--http-keepalive=600", "--http-headers-timeout=600"]);
    let worker = site.worker(echo());
    let mut resting = site.http_client();
    resting.get("/");
    assert_eq!(resting.answer().text(), "hello");
    let mut silent = site.http_client();
    worker.tell(ToWorker::Stop);
    resting.expect_end();
    silent.expect_end();
    assert_eq!(worker.ended(), ToWorker::Stop);
}

#[test]
fn half_a_head_does_not_hold_up_a_stop() {
    let site = Site::new(&["--http-headers-timeout=600"]);
    let worker = site.worker(echo());
    let mut client = site.http_client();
    client.send("GET / HT");
    // A second connection is served only after the first one's bytes were seen.
    let mut other = site.http_client();
    other.get("/");
    assert_eq!(other.answer().text(), "hello");
    worker.tell(ToWorker::Stop);
    assert_eq!(worker.ended(), ToWorker::Stop);
    let _ = client.rest();
}

#[test]
fn a_stop_in_the_middle_of_a_drain_hurries() {
    let site = Site::new(&["--http-keepalive=600"]);
    let worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/");
    assert_eq!(client.answer().text(), "hello");
    worker.tell(ToWorker::Drain);
    worker.tell(ToWorker::Stop);
    client.expect_end();
    worker.ended();
}

#[test]
fn the_masters_death_is_an_order_to_stop() {
    let site = Site::new(&[]);
    let mut worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/");
    assert_eq!(client.answer().text(), "hello");
    worker.lose_master();
    client.expect_end();
    assert_eq!(worker.ended(), ToWorker::Stop);
}

/// Clients connect without pause while workers come and go; each of them is answered.
fn nobody_is_lost(threads: &str) {
    let site = Site::new(&[threads]);
    let mut worker = site.worker(echo());
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (over, http, uwsgi) = (Arc::clone(&over), site.http(), site.uwsgi());
            std::thread::spawn(move || {
                let mut answered = 0;
                while !over.load(Ordering::Relaxed) {
                    let mut client = match number % 2 {
                        0 => Client::tcp(http),
                        _ => Client::unix(&uwsgi),
                    };
                    match number % 2 {
                        0 => client.get("/"),
                        _ => client.send(packet("/", &[])),
                    }
                    assert_eq!(client.answer().text(), "hello");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for _ in 0..10 {
        let successor = site.worker(echo());
        worker.tell(ToWorker::Drain);
        assert_eq!(worker.ended(), ToWorker::Drain);
        worker = successor;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        let answered: u32 = client.join().expect("a client that always gets its answer");
        assert!(answered > 0);
    }
}

#[test]
fn a_change_of_workers_loses_nobody() {
    nobody_is_lost("--threads=1");
}

#[test]
fn a_change_of_threaded_workers_loses_nobody() {
    nobody_is_lost("--threads=4");
}
