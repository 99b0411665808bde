//! Time limits of clients.

use std::time::Duration;

use crate::app::{DEADLINE, app, echo, start};
use crate::client::{Client, packet};
use crate::worker::Site;

fn expect_timeout(mut client: Client) {
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (408, Some("close"))
    );
    client.expect_end();
}

#[test]
fn half_a_head_is_told_that_time_is_up() {
    let site = Site::new(&["--http-headers-timeout=1"]);
    let _worker = site.worker(echo());
    let mut http = site.http_client();
    http.send("GET / HTTP/1.1\r\nHost:");
    let mut uwsgi = site.uwsgi_client();
    let packet = packet("/", &[]);
    uwsgi.send(packet.get(..10).expect("more than ten bytes"));
    expect_timeout(http);
    expect_timeout(uwsgi);
}

#[test]
fn a_head_that_drips_gets_no_more_time_than_one_that_stops() {
    let site = Site::new(&["--http-headers-timeout=1"]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX: ");
    let steps = DEADLINE.as_millis() / 100;
    let cut_off = (0..steps).any(|_| {
        // Between the drops, not for something to happen.
        std::thread::sleep(Duration::from_millis(100));
        client.try_send(b"x").is_err()
    });
    assert!(cut_off, "a drop every 100 ms keeps a head open for ever");
}

#[test]
fn a_silent_client_is_closed_without_a_word() {
    let site = Site::new(&["--http-headers-timeout=1"]);
    let _worker = site.worker(echo());
    let (mut http, mut uwsgi) = (site.http_client(), site.uwsgi_client());
    http.expect_end();
    uwsgi.expect_end();
}

#[test]
fn a_resting_connection_is_closed_after_its_time() {
    let site = Site::new(&["--http-keepalive=2"]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.get("/");
    assert_eq!(client.answer().text(), "hello");
    client.expect_end();
}

#[test]
fn a_body_that_stops_before_the_application_is_called_is_told_so() {
    let site = Site::new(&["--socket-timeout=1"]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.post("/echo", 100);
    client.send("only this");
    expect_timeout(client);
}

#[test]
fn an_application_learns_that_its_reader_has_stopped() {
    let site = Site::new(&["--socket-timeout=1"]);
    let (errors, seen) = std::sync::mpsc::channel();
    let _worker = site.worker(app(move |_, response| {
        start(response, "200 OK");
        let error = loop {
            if let Err(error) = response.write(&[b'x'; 100_000]) {
                break error.kind();
            }
        };
        errors
            .send((error, response.is_broken()))
            .expect("the test waits");
    }));
    let mut client = site.http_client();
    client.get("/");
    let timed_out = (std::io::ErrorKind::TimedOut, true);
    assert_eq!(seen.recv_timeout(DEADLINE), Ok(timed_out));
}
