//! The uwsgi protocol.

use uwsgi_codec::ping;

use crate::app::{answer, app, echo, variable};
use crate::client::packet;
use crate::worker::Site;

#[test]
fn the_application_sees_the_front_servers_variables() {
    let site = Site::new(&[]);
    let _worker = site.worker(app(|request, response| {
        let remote = variable(request, "REMOTE_USER");
        answer(
            response,
            format!("{} vars for {remote}", request.vars().len()).as_bytes(),
        );
    }));
    let mut client = site.uwsgi_client();
    client.send(packet("/", &[("REMOTE_USER", "ada")]));
    assert_eq!(client.answer().text(), "4 vars for ada");
    client.expect_end();
}

#[test]
fn a_packet_may_arrive_in_two_pieces_cut_anywhere() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut bytes = packet("/echo", &[("CONTENT_LENGTH", "4")]);
    bytes.extend(b"body");
    for cut in 1..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        let mut client = site.uwsgi_client();
        client.send(first);
        client.send(second);
        assert_eq!(client.answer().text(), "body", "cut at {cut}");
        client.expect_end();
    }
}

#[test]
fn a_ping_is_answered() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.uwsgi_client();
    client.send(ping::REQUEST);
    assert_eq!(client.rest().expect("an answer"), ping::RESPONSE);
}

#[test]
fn what_cannot_be_served_is_refused_with_a_reason() {
    let site = Site::new(&["--buffer-size=4096"]);
    let _worker = site.worker(echo());
    let long = "x".repeat(5000);
    let too_large = packet("/", &[("HTTP_COOKIE", &long)]);
    let cases: [(&[u8], &str); 5] = [
        (&[5, 0, 0, 0], "modifier"),
        (&[0, 0, 0, 0], "variable"),
        (&[0, 4, 0, 0, 9, 0, 9, 0], "block"),
        (&too_large, "buffer-size"),
        (b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", ""),
    ];
    for (bytes, reason) in cases {
        let mut client = site.uwsgi_client();
        client.send(bytes);
        let answer = client.answer();
        assert!(matches!(answer.status, 400..=599), "{answer:?}");
        assert!(answer.text().contains(reason), "{reason} in {answer:?}");
        client.finish_sending();
        client.expect_end();
    }
}

#[test]
fn http_answers_do_not_depend_on_the_order_in_which_protocols_are_used() {
    let site = Site::new(&[]);
    let worker = site.worker(echo());
    for _ in 0..5 {
        let (mut http, mut uwsgi) = (site.http_client(), site.uwsgi_client());
        uwsgi.send(packet("/", &[]));
        http.get("/");
        assert_eq!(uwsgi.answer().text(), "hello");
        assert_eq!(http.answer().text(), "hello");
    }
    assert_eq!(worker.scoreboard.worker_requests(1), 10);
}
