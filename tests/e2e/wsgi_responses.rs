//! PEP 3333, the application's side: `start_response`, bodies, `write`, exceptions, `close`.

use crate::both;
use crate::support::{Kind, Packet, Request, Response, Server};

/// What `tests/apps/responses.py` answers: path, status and reason, headers, body.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

const ROWS: &[Row] = &[
    ("/one-item", "200 OK", &[TEXT], "one item"),
    ("/several", "200 OK", &[TEXT], "several items"),
    ("/generator", "200 OK", &[TEXT], "first second"),
    (
        "/late-generator",
        "202 Accepted",
        &[TEXT, ("X-Late", "yes")],
        "late",
    ),
    ("/nothing", "200 OK", &[TEXT], ""),
    ("/empty-item", "200 OK", &[TEXT], ""),
    ("/write", "200 OK", &[TEXT], "written twice then returned"),
    ("/write-only", "200 OK", &[TEXT], "written only"),
    (
        "/with-length",
        "200 OK",
        &[TEXT, ("Content-Length", "11")],
        "eleven byte",
    ),
    (
        "/zero-length",
        "200 OK",
        &[TEXT, ("Content-Length", "0")],
        "",
    ),
    ("/no-content", "204 No Content", &[], ""),
    (
        "/not-modified",
        "304 Not Modified",
        &[("ETag", "\"x\"")],
        "",
    ),
    (
        "/redirect",
        "302 Found",
        &[("Location", "/elsewhere"), TEXT],
        "elsewhere",
    ),
    (
        "/cookies",
        "200 OK",
        &[TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")],
        "two cookies",
    ),
    ("/odd-status", "299 Fine, thank you", &[TEXT], "odd"),
    ("/iterator", "200 OK", &[TEXT], "an iterator"),
    ("/a-tuple", "200 OK", &[TEXT], "a tuple"),
    ("/no-excuse", "200 OK", &[TEXT], "exc_info is None"),
];

/// The headers, without what a server may add to an application's own.
fn app_headers(response: &Response, expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let sets_length = expected.iter().any(|(name, _)| *name == "Content-Length");
    let added = |name: &str| match name {
        "Connection" | "Transfer-Encoding" | "Date" | "Server" => true,
        "Content-Length" => !sets_length,
        _ => false,
    };
    let headers = response.headers.iter();
    headers.filter(|(name, _)| !added(name)).cloned().collect()
}

fn check(row: &Row, response: &Response) {
    let (path, status, headers, body) = row;
    assert_eq!(
        format!("{} {}", response.status, response.reason),
        *status,
        "{path}"
    );
    let headers_seen = app_headers(response, headers);
    let headers_seen: Vec<_> = headers_seen
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(headers_seen, *headers, "{path}");
    assert_eq!(response.text(), *body, "{path}");
}

both! {
    fn all_ways_to_answer_over_uwsgi(kind) {
        let server = Server::app(kind, "responses.py");
        for row in ROWS {
            check(row, &server.uwsgi(&Packet::get(row.0)));
        }
    }
}

both! {
    fn all_ways_to_answer_over_http(kind) {
        let server = Server::app(kind, "responses.py");
        for row in ROWS {
            check(row, &server.get(row.0));
        }
    }
}

/// All of them on one connection: each response ends where the next begins.
#[test]
fn all_ways_to_answer_over_one_connection() {
    let server = Server::app(Kind::Uwgate, "responses.py");
    let mut client = server.client();
    for row in ROWS.iter().chain(ROWS) {
        check(row, &client.send(&Request::get(row.0)));
        client.send(&Request::new("HEAD", row.0));
    }
}

both! {
    fn bodies_of_many_small_pieces_are_whole(kind) {
        let server = Server::app(kind, "responses.py");
        let numbers: String = (0..20_000).map(|number| format!("{number},")).collect();
        for path in ["/many-items", "/many-generated", "/many-written"] {
            assert!(server.get(path).expect(200).text() == numbers, "{path}");
            assert!(server.uwsgi(&Packet::get(path)).expect(200).text() == numbers, "{path}");
        }
    }
}

both! {
    fn headers_keep_their_case_their_order_and_their_bytes(kind) {
        let server = Server::app(kind, "responses.py");
        let answer = server.raw_uwsgi(Packet::get("/odd-headers").bytes());
        let head = b"Content-Type: text/plain\r\nx-lower: a\r\nX-Empty: \r\nX-Latin: caf\xe9\r\n";
        let found = answer.windows(head.len()).any(|part| part == head);
        assert!(found, "{}", String::from_utf8_lossy(&answer));
    }
}

both! {
    fn two_hundred_headers(kind) {
        let server = Server::app(kind, "responses.py");
        let response = server.uwsgi(&Packet::get("/many-headers")).expect(200);
        assert_eq!(response.header("X-Header-199"), Some("v".repeat(100).as_str()));
        assert_eq!(response.text(), "many headers");
    }
}

/// PEP 3333: a second call with exc_info replaces the head, if it has not left. (uWSGI replaces
/// the head and loses the body.)
#[test]
fn an_excuse_before_the_head_replaces_it() {
    let server = Server::app(Kind::Uwgate, "responses.py");
    for response in [
        server.get("/excuse-before"),
        server.uwsgi(&Packet::get("/excuse-before")),
    ] {
        assert_eq!(response.status, 500);
        assert_eq!(response.reason, "Changed My Mind");
        assert_eq!(response.header("X-First"), None);
        assert_eq!(response.text(), "an error page");
    }
}

/// What the app of the request before noted about `start_response`.
fn last(server: &Server) -> String {
    server.get("/last").expect(200).text().to_owned()
}

both! {
    /// PEP 3333: it must raise the exception it was given.
    fn an_excuse_after_the_head_is_raised_again(kind) {
        let server = Server::app(kind, "faults.py");
        let mut client = server.client();
        client.write(Request::get("/excuse-after").bytes());
        assert_eq!(client.head().status, 200);
        client.rest();
        if kind == Kind::Uwgate {
            assert_eq!(last(&server), "KeyError");
        }
        server.wait_for_log("KeyError");
    }
}

#[test]
fn a_second_start_response_without_an_excuse_is_an_error() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    let response = server.get("/started-twice").expect(200);
    assert_eq!(response.text(), "the first one counts");
    assert_ne!(last(&server), "no error");
}

/// In uWSGI nothing is sent, or an empty 200.
#[test]
fn an_exception_before_the_head_is_a_500() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    for (path, message) in [
        ("/raise-at-call", "ValueError: raised before start_response"),
        (
            "/raise-after-start",
            "ValueError: raised after start_response",
        ),
        (
            "/raise-in-generator",
            "ValueError: raised before the first item",
        ),
        ("/exit-at-call", "an app called sys.exit"),
        ("/never-started", "start_response"),
        ("/never-started-empty", "start_response"),
        ("/return-none", "NoneType"),
        ("/return-number", "int"),
        ("/return-text", "str"),
    ] {
        for response in [server.get(path), server.uwsgi(&Packet::get(path))] {
            assert_eq!(response.status, 500, "{path}: {response:?}");
            assert!(
                !response.text().contains("Traceback"),
                "{path}: {response:?}"
            );
            assert!(!response.text().contains(message), "{path}: {response:?}");
        }
        server.wait_for_log(message);
    }
}

both! {
    fn an_exception_leaves_a_traceback_in_the_log(kind) {
        let server = Server::app(kind, "faults.py");
        server.raw_uwsgi(Packet::get("/raise-at-call").bytes());
        server.wait_for_log("Traceback (most recent call last)");
        server.wait_for_log("ValueError: raised before start_response");
        assert!(server.log().contains("faults.py"));
        server.uwsgi(&Packet::get("/last")).expect(200);
    }
}

/// The client must be able to tell a response that broke off from a whole one.
#[test]
fn an_exception_in_the_middle_cuts_the_response() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    for path in [
        "/raise-in-the-middle",
        "/raise-in-the-middle-with-length",
        "/yield-text-later",
    ] {
        let mut client = server.client();
        client.write(Request::get(path).bytes());
        let head = client.head();
        assert_eq!(head.status, 200, "{path}");
        let rest = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(
            !rest.ends_with("0\r\n\r\n"),
            "{path}: ended as if it were whole: {rest:?}"
        );
    }
    server.wait_for_log("ValueError: raised in the middle");
    server.get("/last").expect(200);
}

both! {
    fn what_was_sent_before_the_exception_arrives(kind) {
        let server = Server::app(kind, "faults.py");
        let answer = server.raw_uwsgi(Packet::get("/raise-in-the-middle").bytes());
        assert!(answer.ends_with(b"\r\n\r\nthe first part"), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Whatever the app gives as a header or status, no other header comes of it.
#[test]
fn bad_heads_are_refused() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    for path in [
        "newline-in-value",
        "bare-newline-in-value",
        "bare-return-in-value",
        "nul-in-value",
        "newline-in-name",
        "colon-in-name",
        "empty-name",
        "space-in-name",
        "bytes-name",
        "bytes-value",
        "number-value",
        "not-latin-1",
        "triple-header",
        "headers-none",
        "newline-in-status",
        "short-status",
        "word-status",
        "four-digit-status",
        "bytes-status",
        "status-100",
        "empty-status",
        "two-lengths",
        "word-length",
    ] {
        let target = format!("/{path}");
        for response in [server.get(&target), server.uwsgi(&Packet::get(&target))] {
            assert_eq!(response.header("Set-Cookie"), None, "{path}: {response:?}");
            assert_eq!(response.status, 500, "{path}: {response:?}");
            assert_eq!(response.text(), "start_response refused it", "{path}");
        }
        assert_ne!(last(&server), "no error", "{path}");
    }
}

/// Whether the connection stays, and how the body is framed, is the server's to say.
#[test]
fn the_app_does_not_rule_the_connection() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    for path in ["/connection-header", "/transfer-encoding-header"] {
        let request = Request::get(path).header("Connection", "close");
        let mut client = server.client();
        let response = client.send(&request);
        assert_eq!(response.header("Connection"), Some("close"), "{response:?}");
        assert_eq!(response.header("Transfer-Encoding"), None, "{response:?}");
        assert!(client.at_end());
        let response = server.uwsgi(&Packet::get(path));
        assert_eq!(response.header("Transfer-Encoding"), None, "{response:?}");
    }
}

#[test]
fn a_body_beyond_its_length_is_cut() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    let mut client = server.client();
    let response = client.send(&Request::get("/too-long")).expect(200);
    assert_eq!(response.text(), "12345");
    // The surplus must not be taken for the next response.
    if response.header("Connection") != Some("close") {
        client.send(&Request::get("/last")).expect(200);
    }
    let answer = server.raw_uwsgi(Packet::get("/too-long").bytes());
    assert!(
        answer.ends_with(b"\r\n\r\n12345"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn a_body_short_of_its_length_closes_the_connection() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    let mut client = server.client();
    client.write(Request::get("/too-short").bytes());
    assert_eq!(client.head().header("Content-Length"), Some("100"));
    assert_eq!(client.rest(), b"short");
}

/// RFC 9110: no body goes with these, whatever the app returns. (uWSGI sends it.)
#[test]
fn no_body_where_there_must_be_none() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    let mut client = server.client();
    for _ in 0..2 {
        client
            .send(&Request::new("HEAD", "/body-with-head"))
            .expect(200);
        client.send(&Request::get("/body-with-204")).expect(204);
        client.send(&Request::get("/body-with-304")).expect(304);
        client.send(&Request::get("/last")).expect(200);
    }
    let head = Packet::from_request(&Request::new("HEAD", "/body-with-head"));
    for packet in [
        head,
        Packet::get("/body-with-204"),
        Packet::get("/body-with-304"),
    ] {
        let answer = server.raw_uwsgi(packet.bytes());
        assert!(
            answer.ends_with(b"\r\n\r\n"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

both! {
    /// uWSGI takes it for the whole body, and so must we: iterating would give numbers.
    fn bare_bytes_are_a_body(kind) {
        let server = Server::app(kind, "faults.py");
        let response = server.uwsgi(&Packet::get("/bare-bytes")).expect(200);
        assert_eq!(response.text(), "not in a list");
    }
}

both! {
    fn what_the_app_prints_is_in_the_log(kind) {
        let server = Server::app(kind, "faults.py");
        server.get("/print-something").expect(200);
        for text in ["printed to stdout", "printed to stderr", "printed to wsgi.errors", "written as lines"] {
            server.wait_for_log(text);
        }
    }
}

both! {
    fn close_is_called_once_for_each_body(kind) {
        let server = Server::app(kind, "closes.py");
        for name in ["whole", "counted", "empty", "raise-first", "raise-later", "raise-in-close"] {
            server.raw_uwsgi(Packet::get(&format!("/{name}")).bytes());
        }
        let closed = server.get("/closed").expect(200);
        assert_eq!(closed.text(), "whole,counted,empty,raise-first,raise-later,raise-in-close");
    }
}

both! {
    fn close_is_called_for_a_body_of_the_wrong_type(kind) {
        let server = Server::app(kind, "closes.py");
        server.raw_uwsgi(Packet::get("/text").bytes());
        server.raw_uwsgi(Packet::get("/never-started").bytes());
        assert_eq!(server.get("/closed").expect(200).text(), "text,never-started");
    }
}

/// The client leaves in the middle of an endless body: the app hears of it by `close()`.
#[test]
fn close_is_called_when_the_client_leaves() {
    let server = Server::app(Kind::Uwgate, "closes.py");
    let mut client = server.client();
    client.write(Request::get("/endless").bytes());
    client.head();
    client.take(1_000_000);
    drop(client);
    crate::support::wait::until_true("close() after the client left", || {
        server.get("/closed").expect(200).text() == "endless"
    });
}
