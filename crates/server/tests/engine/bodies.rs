//! Request bodies.

use std::io::ErrorKind;
use std::sync::mpsc::channel;

use crate::app::{DEADLINE, answer, app, echo, read_all};
use crate::client::packet;
use crate::worker::Site;

#[test]
fn bodies_of_either_framing_share_a_connection_with_what_follows() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    let sized = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nsized";
    let chunked = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nchu\r\n4;x=y\r\nnked\r\n0\r\nTrailer: t\r\n\r\n";
    let plain = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    let all = [sized, chunked, plain].concat();
    for cut in (1..all.len()).step_by(7) {
        let (first, second) = all.split_at(cut);
        client.send(first);
        client.send(second);
        for expected in ["sized", "chunked", "hello"] {
            assert_eq!(client.answer().text(), expected, "cut at {cut}");
        }
    }
}

#[test]
fn a_large_body_is_read_as_it_comes() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let body = vec![b'x'; 3_000_000];
    let mut client = site.http_client();
    client.post("/echo", body.len());
    client.send(&body);
    assert!(client.answer().body == body);
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(100_000) {
        client.send(format!("{:x}\r\n", piece.len()));
        client.send(piece);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert!(client.answer().body == body);
    let mut client = site.uwsgi_client();
    let length = body.len().to_string();
    client.send(packet("/echo", &[("CONTENT_LENGTH", &length)]));
    client.send(&body);
    assert!(client.answer().body == body);
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.answer().status, 100);
    client.send("hello");
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn with_post_buffering_the_body_is_whole_and_can_be_read_again() {
    // In memory and, beyond 1000 bytes, in a file.
    let site = Site::new(&["--post-buffering=1000"]);
    let _worker = site.worker(app(|request, response| {
        let first = read_all(request);
        assert!(request.seek(0));
        let second = read_all(request);
        assert_eq!(request.spooled_len(), Some(first.len() as u64));
        assert!(first == second);
        answer(response, &first);
    }));
    let mut client = site.http_client();
    for size in [10, 100_000] {
        let body = vec![b'y'; size];
        client.post("/", size);
        client.send(&body);
        assert!(client.answer().body == body);
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_once_and_for_ever() {
    let site = Site::new(&[]);
    let (errors, seen) = channel();
    let _worker = site.worker(app(move |request, response| {
        let error = loop {
            match request.fill().map(<[u8]>::len) {
                Ok(len) => request.consume(len),
                Err(error) => break error.kind(),
            }
        };
        let again = request
            .fill()
            .map(<[u8]>::len)
            .map_err(|error| error.kind());
        errors.send((error, again)).expect("the test waits");
        answer(response, b"sorry");
    }));
    let mut client = site.http_client();
    client.post("/", 200_000);
    client.send(vec![b'x'; 100_000]);
    client.finish_sending();
    let eof = ErrorKind::UnexpectedEof;
    assert_eq!(seen.recv_timeout(DEADLINE), Ok((eof, Err(eof))));
    assert_eq!(client.answer().text(), "sorry");
    client.expect_end();
}

#[test]
fn an_answer_given_before_the_upload_is_over_reaches_the_client() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    client.post("/unread", 20_000_000);
    for _ in 0..20 {
        client.send(vec![b'x'; 1_000_000]);
    }
    assert_eq!(client.answer().text(), "not read");
    client.finish_sending();
    client.expect_end();
}

#[test]
fn a_small_unread_body_is_skipped() {
    let site = Site::new(&[]);
    let _worker = site.worker(echo());
    let mut client = site.http_client();
    // Whether the kernel still has the body when the application answers is a matter of microseconds.
    for _ in 0..200 {
        client.post("/unread", 1000);
        client.send([b'x'; 1000]);
        assert_eq!(client.answer().text(), "not read");
    }
}
