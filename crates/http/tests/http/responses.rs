//! Response heads: what is sent, and what an application may not say.

use uwgate_http::{
    BodyMode, HeadWriter, HeaderError, Method, Plan, Protocol, ResponseRules, Version,
};

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

const HTTP11: ResponseRules = ResponseRules {
    protocol: Protocol::Http11,
    method: Method::Get,
    keep_alive: true,
};
const HTTP10: ResponseRules = ResponseRules {
    protocol: Protocol::Http10,
    ..HTTP11
};
const UWSGI: ResponseRules = ResponseRules {
    protocol: Protocol::UwsgiHttp11,
    ..HTTP11
};
const HEAD: ResponseRules = ResponseRules {
    method: Method::Head,
    ..HTTP11
};
const CLOSING: ResponseRules = ResponseRules {
    keep_alive: false,
    ..HTTP11
};

/// The head without its last, empty line, and the plan; without a Date.
fn response(
    rules: ResponseRules,
    status: &str,
    headers: &[(&str, &str)],
    one_item: Option<u64>,
) -> (String, BodyMode, bool) {
    let mut out = Vec::new();
    let mut head = HeadWriter::start(&mut out, rules, status.as_bytes()).unwrap();
    for (name, value) in headers {
        head.header(name.as_bytes(), value.as_bytes()).unwrap();
    }
    let Plan {
        body, keep_alive, ..
    } = head.finish(one_item, None);
    let head = String::from_utf8(out).unwrap();
    (
        head.strip_suffix("\r\n\r\n").unwrap().to_owned(),
        body,
        keep_alive,
    )
}

#[track_caller]
fn expect(
    (head, body, keep_alive): (String, BodyMode, bool),
    lines: &[&str],
    expected_body: BodyMode,
    expected_keep_alive: bool,
) {
    assert_eq!(head.split("\r\n").collect::<Vec<_>>(), lines);
    assert_eq!(body, expected_body);
    assert_eq!(keep_alive, expected_keep_alive);
}

#[test]
fn framing_for_http11() {
    use BodyMode::{Chunked, Length, None as NoBody};
    let length = [("Content-Length", "5")];
    expect(
        response(HTTP11, "200 OK", &[("A", "b")], None),
        &["HTTP/1.1 200 OK", "A: b", "Transfer-Encoding: chunked"],
        Chunked,
        true,
    );
    expect(
        response(HTTP11, "200 OK", &length, None),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        Length(5),
        true,
    );
    expect(
        response(HTTP11, "200 OK", &[], Some(7)),
        &["HTTP/1.1 200 OK", "Content-Length: 7"],
        Length(7),
        true,
    );
    expect(
        response(HTTP11, "200 OK", &length, Some(7)),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        Length(5),
        true,
    );
    expect(
        response(HTTP11, "204 No Content", &[], Some(0)),
        &["HTTP/1.1 204 No Content"],
        NoBody,
        true,
    );
    expect(
        response(HTTP11, "304 Not Modified", &[], Some(0)),
        &["HTTP/1.1 304 Not Modified"],
        NoBody,
        true,
    );
    expect(
        response(CLOSING, "200 OK", &[], None),
        &[
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked",
            "Connection: close",
        ],
        Chunked,
        false,
    );
    expect(
        response(CLOSING, "200 OK", &[], Some(1)),
        &["HTTP/1.1 200 OK", "Content-Length: 1", "Connection: close"],
        Length(1),
        false,
    );
}

#[test]
fn framing_for_http10() {
    use BodyMode::{Close, Length, None as NoBody};
    expect(
        response(HTTP10, "200 OK", &[], None),
        &["HTTP/1.0 200 OK", "Connection: close"],
        Close,
        false,
    );
    expect(
        response(HTTP10, "200 OK", &[], Some(2)),
        &[
            "HTTP/1.0 200 OK",
            "Content-Length: 2",
            "Connection: keep-alive",
        ],
        Length(2),
        true,
    );
    expect(
        response(HTTP10, "304 Not Modified", &[], None),
        &["HTTP/1.0 304 Not Modified", "Connection: keep-alive"],
        NoBody,
        true,
    );
    let closing = ResponseRules {
        keep_alive: false,
        ..HTTP10
    };
    expect(
        response(closing, "200 OK", &[], Some(2)),
        &["HTTP/1.0 200 OK", "Content-Length: 2", "Connection: close"],
        Length(2),
        false,
    );
}

#[test]
fn nothing_is_added_for_uwsgi() {
    use BodyMode::{Close, Length, None as NoBody};
    expect(
        response(UWSGI, "200 OK", &[("A", "b")], None),
        &["HTTP/1.1 200 OK", "A: b"],
        Close,
        false,
    );
    let length = [("Content-Length", "5")];
    expect(
        response(UWSGI, "200 OK", &length, None),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        Length(5),
        false,
    );
    expect(
        response(UWSGI, "200 OK", &[], Some(5)),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        Length(5),
        false,
    );
    let head = ResponseRules {
        method: Method::Head,
        ..UWSGI
    };
    expect(
        response(head, "200 OK", &length, None),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        NoBody,
        false,
    );
    let zero = [("Content-Length", "0")];
    expect(
        response(UWSGI, "204 No", &zero, None),
        &["HTTP/1.1 204 No", "Content-Length: 0"],
        NoBody,
        false,
    );
    let old = ResponseRules {
        protocol: Protocol::UwsgiHttp10,
        ..UWSGI
    };
    expect(
        response(old, "200 OK", &[], None),
        &["HTTP/1.0 200 OK"],
        Close,
        false,
    );

    let mut out = Vec::new();
    let _ = HeadWriter::start(&mut out, UWSGI, b"200 OK")
        .unwrap()
        .finish(None, Some(DATE));
    assert_eq!(out, b"HTTP/1.1 200 OK\r\n\r\n");
}

/// The body is never sent, but the length is that of the body GET would have.
#[test]
fn head_requests() {
    use BodyMode::None as NoBody;
    expect(
        response(HEAD, "200 OK", &[], None),
        &["HTTP/1.1 200 OK"],
        NoBody,
        true,
    );
    expect(
        response(HEAD, "200 OK", &[], Some(5)),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        NoBody,
        true,
    );
    expect(
        response(HEAD, "200 OK", &[], Some(0)),
        &["HTTP/1.1 200 OK"],
        NoBody,
        true,
    );
    let length = [("Content-Length", "5")];
    expect(
        response(HEAD, "200 OK", &length, Some(0)),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        NoBody,
        true,
    );
}

/// RFC 9110 section 8.6: 204 has no Content-Length, 304 may have that of the 200.
#[test]
fn lengths_of_responses_without_body() {
    let length = [("content-length", "0"), ("A", "b")];
    expect(
        response(HTTP11, "204 No", &length, None),
        &["HTTP/1.1 204 No", "A: b"],
        BodyMode::None,
        true,
    );
    let length = [("content-length", "9")];
    expect(
        response(HTTP11, "304 Same", &length, None),
        &["HTTP/1.1 304 Same", "content-length: 9"],
        BodyMode::None,
        true,
    );
}

#[test]
fn a_length_that_repeats_itself_is_sent_once() {
    let lengths = [("Content-Length", "5"), ("content-length", " 5 ")];
    expect(
        response(HTTP11, "200 OK", &lengths, None),
        &["HTTP/1.1 200 OK", "Content-Length: 5"],
        BodyMode::Length(5),
        true,
    );
}

#[test]
fn a_date_is_added_once() {
    let head = |headers: &[(&str, &str)]| {
        let mut out = Vec::new();
        let mut head = HeadWriter::start(&mut out, HTTP11, b"204 No").unwrap();
        for (name, value) in headers {
            head.header(name.as_bytes(), value.as_bytes()).unwrap();
        }
        head.finish(None, Some(DATE));
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        head(&[]),
        "HTTP/1.1 204 No\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    );
    assert_eq!(
        head(&[("date", "mine")]),
        "HTTP/1.1 204 No\r\ndate: mine\r\n\r\n"
    );
}

#[test]
fn statuses() {
    for (status, line) in [
        ("200 OK", "HTTP/1.1 200 OK"),
        ("200", "HTTP/1.1 200 OK"),
        ("200 ", "HTTP/1.1 200 OK"),
        ("299", "HTTP/1.1 299 "),
        ("404 Not Found At All", "HTTP/1.1 404 Not Found At All"),
        ("999 x", "HTTP/1.1 999 x"),
    ] {
        let (head, ..) = response(CLOSING, status, &[], Some(0));
        assert_eq!(head.split("\r\n").next(), Some(line));
    }
    for (status, error) in [
        ("", HeaderError::Status),
        ("20", HeaderError::Status),
        ("200OK", HeaderError::Status),
        ("2000 OK", HeaderError::Status),
        (" 200 OK", HeaderError::Status),
        ("+20 OK", HeaderError::Status),
        ("2x0 OK", HeaderError::Status),
        ("099 OK", HeaderError::Status),
        ("100 Continue", HeaderError::Status),
        ("101 Switching Protocols", HeaderError::Status),
        ("OK", HeaderError::Status),
        ("200 OK\r\nSet-Cookie: x", HeaderError::StatusControl),
        ("200 OK\n", HeaderError::StatusControl),
        ("200 O\0K", HeaderError::StatusControl),
    ] {
        let mut out = b"before".to_vec();
        let result = HeadWriter::start(&mut out, HTTP11, status.as_bytes());
        assert_eq!(result.err(), Some(error), "{status:?}");
        assert_eq!(out, b"before");
    }
}

#[test]
fn headers_that_are_refused_leave_nothing() {
    for (name, value, error) in [
        ("", "x", HeaderError::Name),
        ("A b", "x", HeaderError::Name),
        ("A:", "x", HeaderError::Name),
        ("A\r\nB", "x", HeaderError::Name),
        ("\u{e4}", "x", HeaderError::Name),
        ("A", "x\r\nSet-Cookie: y", HeaderError::Value),
        ("A", "x\n", HeaderError::Value),
        ("A", "\rx", HeaderError::Value),
        ("A", "x\0y", HeaderError::Value),
        ("A", "x\u{7f}", HeaderError::Value),
        ("Content-Length", "", HeaderError::ContentLength),
        ("Content-Length", "-1", HeaderError::ContentLength),
        ("Content-Length", "+1", HeaderError::ContentLength),
        ("Content-Length", "1.0", HeaderError::ContentLength),
        ("Content-Length", "1, 1", HeaderError::ContentLength),
        (
            "Content-Length",
            "9223372036854775808",
            HeaderError::ContentLength,
        ),
        ("content-length", "6", HeaderError::ContentLengthDiffers),
        ("Connection", "close", HeaderError::HopByHop),
        ("keep-alive", "x", HeaderError::HopByHop),
        ("Proxy-Authenticate", "x", HeaderError::HopByHop),
        ("Proxy-Authorization", "x", HeaderError::HopByHop),
        ("Proxy-Connection", "x", HeaderError::HopByHop),
        ("TE", "x", HeaderError::HopByHop),
        ("Trailer", "x", HeaderError::HopByHop),
        ("Trailers", "x", HeaderError::HopByHop),
        ("Transfer-Encoding", "chunked", HeaderError::HopByHop),
        ("Upgrade", "x", HeaderError::HopByHop),
    ] {
        let mut out = Vec::new();
        let mut head = HeadWriter::start(&mut out, CLOSING, b"200 OK").unwrap();
        head.header(b"Content-Length", b"5").unwrap();
        assert_eq!(
            head.header(name.as_bytes(), value.as_bytes()),
            Err(error),
            "{name}: {value:?}"
        );
        assert!(!error.to_string().is_empty());
        let plan = head.finish(None, None);
        assert_eq!(
            out,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(plan.body, BodyMode::Length(5));
    }
}

#[test]
fn values_that_are_odd_but_in_order() {
    let headers = [
        ("X-Empty", ""),
        ("X", "a\tb"),
        ("x~y", "\u{e4}"),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
    ];
    expect(
        response(HTTP11, "200 OK", &headers, Some(0)),
        &[
            "HTTP/1.1 200 OK",
            "X-Empty: ",
            "X: a\tb",
            "x~y: \u{e4}",
            "Set-Cookie: a",
            "Set-Cookie: b",
            "Content-Length: 0",
        ],
        BodyMode::Length(0),
        true,
    );
}

/// `start_response` is one call, the first bytes of the body come with another; an error may replace the head between.
#[test]
fn a_head_can_wait_and_be_replaced() {
    let mut out = b"earlier response".to_vec();
    let mut head = HeadWriter::start(&mut out, HTTP11, b"200 OK").unwrap();
    head.header(b"Content-Type", b"text/html").unwrap();
    head.header(b"Content-Length", b"5").unwrap();
    head.header(b"Server", b"mine").unwrap();
    let pending = head.pause();
    assert_eq!((pending.status(), pending.content_length()), (200, Some(5)));
    assert!(pending.has_content_type() && pending.has_server() && !pending.has_date());

    pending.resume(&mut out).discard();
    assert_eq!(out, b"earlier response");
    let pending = HeadWriter::start(&mut out, HTTP11, b"500 Oh")
        .unwrap()
        .pause();
    let plan = pending.resume(&mut out).finish(Some(2), None);
    assert_eq!(
        out,
        b"earlier responseHTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n"
    );
    assert_eq!(
        plan,
        Plan {
            status: 500,
            body: BodyMode::Length(2),
            keep_alive: true
        }
    );
}

#[test]
fn protocols() {
    assert_eq!(Protocol::http(Version::Http10), Protocol::Http10);
    assert_eq!(Protocol::http(Version::Http11), Protocol::Http11);
    for (server_protocol, expected) in [
        (None, Protocol::UwsgiHttp10),
        (Some(&b""[..]), Protocol::UwsgiHttp10),
        (Some(b"HTTP/1.0"), Protocol::UwsgiHttp10),
        (Some(b"HTTP/1.1"), Protocol::UwsgiHttp11),
        (Some(b"HTTP/2.0"), Protocol::UwsgiHttp11),
    ] {
        assert_eq!(Protocol::uwsgi(server_protocol), expected);
    }
}
