//! Requests that never reach the application.

use uwgate_server::exchange::{Request, Response};

use crate::app::{DEADLINE, answer, app, echo, read_all};
use crate::client::Client;
use crate::worker::Site;

/// An application that must not be called.
fn never(_: &mut Request, _: &mut Response) {
    panic!("the application was called");
}

fn expect_refusal(mut client: Client, status: u16) {
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (status, Some("close"))
    );
    client.finish_sending();
    client.expect_end();
}

#[test]
fn what_is_not_http_is_told_so() {
    let site = Site::new(&[]);
    let _worker = site.worker(app(never));
    for (bytes, status) in [
        ("\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
    ] {
        let mut client = site.http_client();
        client.send(bytes);
        expect_refusal(client, status);
    }
}

#[test]
fn a_refusal_is_the_last_answer_of_a_connection() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/");
    client.send("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().text(), "hello");
    expect_refusal(client, 400);
}

#[test]
fn a_refusal_is_not_overtaken_by_a_reset_while_the_client_still_sends() {
    let site = Site::new(&["--limit-post=1000"]);
    let _worker = site.worker(app(never));
    let mut client = site.http_client();
    client.post("/", 10_000_000);
    for _ in 0..10 {
        client.send(vec![b'x'; 1_000_000]);
    }
    expect_refusal(client, 413);
}

#[test]
fn limit_post_holds_for_chunked_bodies_before_the_application_is_called() {
    let site = Site::new(&["--limit-post=1000"]);
    let _worker = site.worker(app(never));
    let mut client = site.http_client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
    client.send([b'x'; 1001]);
    expect_refusal(client, 413);
}

#[test]
fn limit_post_holds_for_chunked_bodies_that_are_read_as_they_come() {
    let site = Site::new(&["--limit-post=100000"]);
    let (lengths, seen) = std::sync::mpsc::channel();
    let _worker = site.worker(app(move |request, response| {
        let read = read_all(request).len();
        lengths
            .send((read, request.fill().is_err()))
            .expect("the test waits");
        answer(response, b"");
    }));
    let mut client = site.http_client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    // Enough to have the application called, then too much.
    for _ in 0..20 {
        client.send("2710\r\n");
        client.send([b'x'; 10_000]);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    let (read, failed) = seen.recv_timeout(DEADLINE).expect("the application reads");
    assert!(read <= 100_000 && failed, "{read} bytes read");
}

#[test]
fn a_refusal_of_the_body_names_its_fault() {
    let site = Site::new(&[]);
    let _worker = site.worker(app(never));
    let mut client = site.http_client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.text().contains("chunk")),
        (400, true)
    );
}
