//! Answers made piece by piece: none may wait for the next one, though many are sent together.

use uwgate_server::exchange::Response;

use crate::app::{app, gate, large, path, start};
use crate::worker::Site;

/// However busy the machine that tests, a reader whose turn has not come yet is not given up.
const PATIENT: &[&str] = &["--socket-timeout=60"];

/// So little fits into a socket that most of an answer has to wait for its reader.
const NARROW: &[&str] = &["--socket-timeout=60", "--socket-sndbuf=4096"];

/// Less than an application may be ahead of its reader, and more than a narrow socket holds.
const LEN: usize = 200_000;

fn body() -> &'static [u8] {
    large().get(..LEN).expect("a part")
}

/// Writes the body in pieces of so many bytes.
fn write(response: &mut Response, piece: usize) {
    for piece in body().chunks(piece) {
        response.write(piece).expect("a reader");
    }
}

#[test]
fn nothing_waits_for_the_next_piece() {
    for (options, piece) in [
        (PATIENT, 100),
        (PATIENT, 5_000),
        (PATIENT, LEN),
        (NARROW, 100),
        (NARROW, 5_000),
        (NARROW, LEN),
    ] {
        let site = Site::new(options);
        let (gate, keeper) = gate();
        let _worker = site.worker(app(move |_, response| {
            start(response, "200 OK");
            response
                .header(b"Content-Length", (LEN + 3).to_string().as_bytes())
                .expect("a number");
            write(response, piece);
            gate.pass();
            response.write(b"end").expect("a reader");
            response.finish().expect("a reader");
        }));
        let mut client = site.http_client();
        client.get("/");
        keeper.await_arrival();
        client.answer_to("HEAD");
        assert!(
            client.exactly(LEN) == body(),
            "{options:?}, pieces of {piece}"
        );
        keeper.open();
        assert_eq!(client.exactly(3), b"end");
    }
}

#[test]
fn each_answer_of_a_connection_is_whole_however_it_is_written() {
    for options in [PATIENT, NARROW] {
        let site = Site::new(options);
        let _worker = site.worker(app(|request, response| {
            start(response, "200 OK");
            match &*path(request) {
                "/pieces" => write(response, 1_000),
                "/ahead" => {
                    for piece in body().chunks(1_000) {
                        response.write_ahead(piece).expect("a reader");
                    }
                }
                _ => {
                    let (first, second) = body().split_at(LEN / 2);
                    for piece in first.chunks(10) {
                        response.write(piece).expect("a reader");
                    }
                    for piece in second.chunks(50_000) {
                        response.write_ahead(piece).expect("a reader");
                    }
                }
            }
            response.finish().expect("a reader");
        }));
        let mut client = site.http_client();
        let paths = ["/pieces", "/ahead", "/both"];
        for path in paths {
            client.get(path);
        }
        for path in paths {
            assert!(client.answer().body == body(), "{options:?}, {path}");
        }
        client.send("HEAD /pieces HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer_to("HEAD");
        client.get("/ahead");
        assert!(client.answer().body == body());
    }
}

#[test]
fn what_was_written_before_a_failure_arrives() {
    let site = Site::new(PATIENT);
    let _worker = site.worker(app(|_, response| {
        start(response, "200 OK");
        write(response, 1_000);
        response.abandon();
    }));
    let mut client = site.uwsgi_client();
    client.send(crate::client::packet("/", &[]));
    let all = client.rest().expect("an end");
    assert!(all.ends_with(body()), "{} bytes", all.len());
}

#[test]
fn the_client_has_its_end_while_the_application_goes_on() {
    let site = Site::new(NARROW);
    let (gate, keeper) = gate();
    let _worker = site.worker(app(move |_, response| {
        start(response, "200 OK");
        write(response, 1_000);
        response.disconnect().expect("a reader");
        gate.pass();
        response.write(b"nobody hears this").expect("no error");
    }));
    let mut client = site.http_client();
    client.get("/");
    assert!(client.answer().body == body());
    client.expect_end();
    keeper.await_arrival();
    keeper.open();
}

#[test]
fn an_application_hears_that_its_reader_is_gone() {
    for options in [PATIENT, NARROW] {
        let site = Site::new(options);
        let (gate, keeper) = gate();
        let _worker = site.worker(app(move |_, response| {
            start(response, "200 OK");
            while response.write(&[b'x'; 1_000]).is_ok() {}
            gate.pass();
        }));
        for _ in 0..3 {
            let mut client = site.http_client();
            client.get("/");
            client.exactly(LEN);
            drop(client);
            keeper.await_arrival();
            keeper.open();
        }
    }
}

#[test]
fn a_reader_that_stopped_is_given_up() {
    let site = Site::new(&["--socket-timeout=1", "--socket-sndbuf=4096"]);
    let (gate, keeper) = gate();
    let _worker = site.worker(app(move |_, response| {
        start(response, "200 OK");
        while response.write(&[b'x'; 1_000]).is_ok() {}
        gate.pass();
    }));
    let mut client = site.http_client();
    client.get("/");
    keeper.await_arrival();
    keeper.open();
}
