//! Requests and answers over HTTP.

use crate::app::{answer, app, echo, path, start};
use crate::worker::Site;

#[test]
fn a_connection_is_kept_alive_and_pipelined_requests_are_answered_in_order() {
    let site = Site::new(&[]);
    let worker = site.worker(app(|request, response| {
        answer(response, path(request).as_bytes());
    }));
    let mut client = site.http_client();
    // More than are served in a row before others get their turn.
    let paths: Vec<String> = (0..100).map(|number| format!("/{number}")).collect();
    let requests = paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    client.send(requests.collect::<String>());
    for path in &paths {
        let answer = client.answer();
        assert_eq!(
            (answer.text(), answer.header("Connection")),
            (path.as_str(), None)
        );
    }
    assert_eq!(worker.scoreboard.worker_requests(1), 100);
}

#[test]
fn a_head_may_arrive_in_two_pieces_cut_anywhere() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    for cut in 1..request.len() {
        let (first, second) = request.split_at(cut);
        client.send(first);
        client.send(second);
        assert_eq!(client.answer().text(), "hello", "cut at {cut}");
    }
}

#[test]
fn a_client_that_asks_for_it_is_closed_after_its_answer() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    for request in [
        "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let mut client = site.http_client();
        client.send(request);
        let answer = client.answer();
        assert_eq!(
            (answer.text(), answer.header("Connection")),
            ("hello", Some("close"))
        );
        client.expect_end();
    }
}

#[test]
fn without_keep_alive_every_answer_closes() {
    let site = Site::new(&["--http-keepalive=0"]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/");
    assert_eq!(client.answer().header("Connection"), Some("close"));
    client.expect_end();
}

#[test]
fn answers_without_a_body_keep_the_connection_in_step() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.send("HEAD /large HTTP/1.1\r\nHost: test\r\n\r\n");
    client.get("/empty");
    client.get("/");
    let head = client.answer_to("HEAD");
    assert_eq!(
        (head.status, head.header("Content-Length")),
        (200, Some("16777216"))
    );
    let empty = client.answer();
    assert_eq!((empty.status, empty.header("Content-Length")), (204, None));
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn a_streamed_answer_is_chunked_and_the_connection_goes_on() {
    let site = Site::new(&[]);
    let _worker = site.worker(app(|_, response| {
        start(response, "200 OK");
        for piece in ["one ", "two ", "three"] {
            response.write(piece.as_bytes()).expect("a reader");
        }
        response.finish().expect("a reader");
    }));
    let mut client = site.http_client();
    for _ in 0..2 {
        client.get("/");
        let answer = client.answer();
        assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
        assert_eq!(answer.text(), "one two three");
    }
}

#[test]
fn an_answer_shorter_than_it_said_ends_the_connection() {
    let site = Site::new(&[]);
    let _worker = site.worker(app(|_, response| {
        start(response, "200 OK");
        response.header(b"Content-Length", b"10").expect("a header");
        let _ = response.finish_with(b"short");
    }));
    let mut client = site.http_client();
    client.get("/");
    let all = client
        .rest()
        .expect("an end, not a wait for the missing bytes");
    assert!(all.ends_with(b"\r\n\r\nshort"));
}

#[test]
fn an_abandoned_answer_has_no_proper_end() {
    let site = Site::new(&[]);
    let _worker = site.worker(app(|_, response| {
        start(response, "200 OK");
        response.write(b"begun").expect("a reader");
        response.abandon();
    }));
    let mut client = site.http_client();
    client.get("/");
    let all = client.rest().expect("an end");
    assert!(all.ends_with(b"5\r\nbegun\r\n"), "no last chunk");
}
