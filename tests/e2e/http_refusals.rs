//! Bad HTTP: every request below is answered with a refusal and a closed connection, and none of
//! it reaches the application.

use crate::support::{Kind, Response, Server};

/// Sends the bytes on a fresh connection; the answer must be one refusal and the end.
fn refusal(server: &Server, bytes: &[u8]) -> Response {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let mut client = server.client();
    let response = client.write(bytes).response("GET");
    assert_eq!(
        response.header("Connection"),
        Some("close"),
        "{shown:?} was answered with {response:?}"
    );
    assert!(client.at_end(), "not closed after {shown:?}");
    response
}

/// Each of the requests must be refused with the status; the app must not have been called, and
/// the server must still serve.
fn all_refused(status: u16, requests: &[&str]) {
    let server = Server::app(Kind::Uwgate, "hello.py");
    for request in requests {
        let response = refusal(&server, request.as_bytes());
        assert_eq!(response.status, status, "{request:?} gave {response:?}");
    }
    server.get("/pid").expect(200);
}

/// A GET with one more header line, written as it is.
fn with_line(line: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n")
}

/// A POST with these header lines and this body.
fn post(lines: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n{body}")
}

fn refused_lines(status: u16, lines: &[&str]) {
    let requests: Vec<String> = lines.iter().map(|line| with_line(line)).collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    all_refused(status, &requests);
}

#[test]
fn two_framings_at_once() {
    all_refused(
        400,
        &[
            &post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
                "0\r\n\r\n",
            ),
            &post(
                "Transfer-Encoding: chunked\r\nContent-Length: 5",
                "0\r\n\r\n",
            ),
        ],
    );
}

#[test]
fn repeated_content_length() {
    all_refused(
        400,
        &[
            &post("Content-Length: 3\r\nContent-Length: 5", "abcde"),
            &post("Content-Length: 3\r\nContent-Length: 3", "abc"),
            &post("Content-Length: 3, 3", "abc"),
        ],
    );
}

#[test]
fn malformed_content_length() {
    let values = [
        "",
        "+3",
        "-3",
        "3x",
        "0x3",
        "3.0",
        "3 3",
        "three",
        "\"3\"",
        "3;",
        "3,",
        "18446744073709551616",
        "99999999999999999999999999",
    ];
    let requests = values.map(|value| post(&format!("Content-Length: {value}"), "abc"));
    all_refused(400, &requests.each_ref().map(String::as_str));
}

#[test]
fn transfer_encodings_other_than_chunked() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let values = [
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "identity",
        "chunked;q=1",
        "",
        "chunked,",
    ];
    for value in values {
        let request = post(&format!("Transfer-Encoding: {value}"), "0\r\n\r\n");
        let response = refusal(&server, request.as_bytes());
        // 501 is what RFC 9112 section 6.1 proposes for a coding that is not understood.
        assert!(
            matches!(response.status, 400 | 501),
            "{value:?}: {response:?}"
        );
    }
    server.get("/").expect(200);
}

#[test]
fn repeated_transfer_encoding() {
    all_refused(
        400,
        &[&post(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        )],
    );
}

/// RFC 9112 section 6.1: a server that only knows HTTP/1.0 would take the chunks for the body.
#[test]
fn transfer_encoding_in_http_1_0() {
    all_refused(
        400,
        &["POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    );
}

#[test]
fn folded_headers() {
    refused_lines(
        400,
        &[
            "X-A: one\r\n two",
            "X-A: one\r\n\ttwo",
            " X-A: first line",
            "X-A:\r\n one",
        ],
    );
}

#[test]
fn bare_carriage_returns() {
    refused_lines(
        400,
        &["X-A: one\rtwo", "X-A: one\r", "\rX-A: one", "X-A\r: one"],
    );
}

#[test]
fn bare_line_feeds() {
    all_refused(
        400,
        &[
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET / HTTP/1.1\r\nHost: x\nX-A: one\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\n",
        ],
    );
}

#[test]
fn whitespace_around_names() {
    refused_lines(
        400,
        &[
            "X-A : one",
            "X-A\t: one",
            "Content-Length : 5",
            "X A: one",
            "\tX-A: one",
        ],
    );
}

#[test]
fn bad_header_names() {
    refused_lines(
        400,
        &[
            ": nothing",
            "no colon",
            "X(A): one",
            "X@A: one",
            "X\u{e9}: one",
            "X\0A: one",
        ],
    );
}

#[test]
fn control_characters_in_values() {
    refused_lines(
        400,
        &[
            "X-A: a\0b",
            "X-A: \0",
            "X-A: a\x01b",
            "X-A: a\x7fb",
            "X-A: a\x1bb",
        ],
    );
}

#[test]
fn bad_request_lines() {
    all_refused(
        400,
        &[
            "GET\r\n\r\n",
            "garbage\r\n\r\n",
            "GET / HTTP/1.1 more\r\nHost: x\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / x HTTP/1.1\r\nHost: x\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a\x7fb HTTP/1.1\r\nHost: x\r\n\r\n",
            "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n",
        ],
    );
}

#[test]
fn a_nul_in_the_decoded_path() {
    all_refused(400, &["GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n"]);
}

#[test]
fn bad_percent_encoding() {
    all_refused(
        400,
        &[
            "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /% HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /%4 HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
    );
}

/// RFC 9112 section 3.2.
#[test]
fn missing_or_repeated_host() {
    all_refused(
        400,
        &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        ],
    );
}

#[test]
fn other_versions() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    for line in [
        "GET /",
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "GET / HTTP/1.2",
        "GET / HTTP/1.",
        "GET / HTTP/11",
        "GET / http/1.1",
        "GET / XTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        let request = format!("{line}\r\nHost: x\r\n\r\n");
        let response = refusal(&server, request.as_bytes());
        let refused = matches!(response.status, 400 | 505);
        assert!(refused, "{line}: {response:?}");
    }
}

#[test]
fn invalid_chunks() {
    let bodies = [
        "g\r\n",
        "-1\r\n",
        "\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "5 \0\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    ];
    let server = Server::app(Kind::Uwgate, "echo.py");
    for body in bodies {
        let request = post("Transfer-Encoding: chunked", body).replace("POST /", "POST /raw");
        let response = refusal(&server, request.as_bytes());
        assert_eq!(response.status, 400, "{body:?}");
    }
    server.post("/raw", "x").expect(200);
}

#[test]
fn a_head_that_is_too_large() {
    refused_lines(431, &[&format!("X-A: {}", "a".repeat(100_000))]);
}

#[test]
fn too_many_headers() {
    let lines: Vec<String> = (0..1_000).map(|number| format!("X-{number}: a")).collect();
    refused_lines(431, &[&lines.join("\r\n")]);
}

#[test]
fn a_target_that_is_too_long() {
    let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    all_refused(414, &[&request]);
}

/// uWSGI's `buffer-size` of 4096 cuts such a request off without a word.
#[test]
fn a_head_of_16_kib_is_none_too_large() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let request = with_line(&format!("Cookie: {}", "a".repeat(16_000)));
    let response = server.client().write(request).response("GET");
    assert_eq!(response.expect(200).text(), "Hello, world!");
}

/// What one request leaves unsaid must not be filled in by the next one's bytes.
#[test]
fn nothing_after_a_refusal_is_served() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let mut bytes = with_line("X-A : one");
    bytes += "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n";
    let response = refusal(&server, bytes.as_bytes());
    assert_eq!(response.status, 400);
}
