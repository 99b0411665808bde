//! Clients that take their answers slowly must not cost the application's thread.

use std::os::fd::OwnedFd;

use uwgate_server::exchange::FileRange;
use uwgate_server::message::ToWorker;

use crate::app::{answer, app, echo, large, start};
use crate::client::packet;
use crate::worker::Site;

/// However busy the machine that tests, a reader whose turn has not come yet is not given up.
const PATIENT: &[&str] = &["--socket-timeout=60"];

#[test]
fn the_only_thread_serves_others_while_answers_wait_for_their_readers() {
    let site = Site::new(PATIENT);
    let _worker = site.worker(echo());
    let mut slow: Vec<_> = (0..5)
        .map(|_| {
            let mut client = site.http_client();
            client.get("/large");
            client
        })
        .collect();
    let mut uwsgi = site.uwsgi_client();
    uwsgi.send(packet("/large", &[]));
    let mut quick = site.http_client();
    for _ in 0..20 {
        quick.get("/");
        assert_eq!(quick.answer().text(), "hello");
    }
    let expected = large();
    slow.push(uwsgi);
    for mut client in slow {
        assert!(client.answer().body == expected);
    }
}

#[test]
fn a_connection_goes_on_after_its_slow_answer() {
    let site = Site::new(PATIENT);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/large");
    client.get("/");
    client.get("/large");
    let expected = large();
    assert!(client.answer().body == expected);
    assert_eq!(client.answer().text(), "hello");
    assert!(client.answer().body == expected);
}

#[test]
fn a_reader_that_stopped_does_not_hold_up_the_end() {
    let site = Site::new(&["--socket-timeout=1"]);
    let worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/large");
    // The answer has begun, so its rest is with the offload thread.
    assert!(client.exactly(15).starts_with(b"HTTP/1.1 200 OK"));
    worker.tell(ToWorker::Stop);
    assert_eq!(worker.ended(), ToWorker::Stop);
}

/// A file of these bytes that nobody else sees.
fn file(bytes: &[u8]) -> OwnedFd {
    uwgate_sys::memory::memfd("file", bytes).expect("memory")
}

#[test]
fn a_file_is_sent_from_its_offset_to_slow_and_quick_readers() {
    let site = Site::new(PATIENT);
    let content = large();
    let sent = file(content);
    let _worker = site.worker(app(move |_, response| {
        start(response, "200 OK");
        let range = FileRange {
            file: sent.try_clone().expect("a descriptor"),
            offset: 1000,
            left: 16 * 1024 * 1024 - 1000,
        };
        response.finish_with_file(range).expect("a reader");
    }));
    let (mut slow, mut quick) = (site.http_client(), site.http_client());
    slow.get("/");
    quick.get("/");
    let expected = content.get(1000..).expect("the rest");
    assert!(quick.answer().body == expected);
    assert!(slow.answer().body == expected);
    quick.get("/");
    assert!(quick.answer().body == expected);
}

#[test]
fn a_file_that_became_shorter_ends_the_connection() {
    let site = Site::new(PATIENT);
    let content = large();
    let shorter = file(content.get(..1_000_000).expect("a part"));
    let _worker = site.worker(app(move |_, response| {
        start(response, "200 OK");
        let range = FileRange {
            file: shorter.try_clone().expect("a descriptor"),
            offset: 0,
            left: 2_000_000,
        };
        let _ = response.finish_with_file(range);
    }));
    let mut client = site.http_client();
    client.get("/");
    let all = client
        .rest()
        .expect("an end, not a wait for the missing bytes");
    assert!(all.len() < 1_001_000, "{} bytes", all.len());
}

#[test]
fn a_far_too_quick_application_loses_nothing() {
    let site = Site::new(PATIENT);
    let _worker = site.worker(app(|_, response| {
        start(response, "200 OK");
        for piece in large().chunks(100_000) {
            response.write(piece).expect("a reader");
        }
        response.finish().expect("a reader");
    }));
    let mut client = site.http_client();
    client.get("/");
    assert!(client.answer().body == large());
}

#[test]
fn an_answer_to_a_client_that_left_is_no_error_of_others() {
    let site = Site::new(PATIENT);
    let _worker = site.worker(app(|request, response| {
        answer(response, large());
        let _ = request.fill();
    }));
    for _ in 0..5 {
        site.http_client().get("/");
    }
    let mut client = site.http_client();
    client.get("/");
    assert!(client.answer().body == large());
}
