//! `wsgi.input`, in every way it can be read, and `wsgi.file_wrapper`.

use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Packet, Request, Server, Setup, TempDir};

/// Lines with and without ends, empty ones, and bytes that are not text.
const BODY: &[u8] = b"first\nsecond line\n\n\r\nfifth \xff\x00\nlast without end";

both! {
    fn every_way_to_read(kind) {
        let server = Server::app(kind, "echo.py");
        for (path, pieces) in [
            ("/read", &["first\\nsecond line\\n\\n\\r\\nfifth \\xff\\x00\\nlast without end"][..]),
            ("/read/10", &["first\\nseco", "nd line\\n\\n\\r", "\\nfifth \\xff\\x00\\n", "last witho", "ut end"]),
            ("/readline", &["first\\n", "second line\\n", "\\n", "\\r\\n", "fifth \\xff\\x00\\n", "last without end"]),
            ("/readlines", &["first\\n", "second line\\n", "\\n", "\\r\\n", "fifth \\xff\\x00\\n", "last without end"]),
            ("/iterate", &["first\\n", "second line\\n", "\\n", "\\r\\n", "fifth \\xff\\x00\\n", "last without end"]),
            ("/past-end", &["first\\nsecond line\\n\\n\\r\\nfifth \\xff\\x00\\nlast without end", "", "", ""]),
            ("/mixed", &["fir", "st\\n", "se", "cond line\\n", "\\n", "\\r\\n", "fifth \\xff\\x00\\n", "last without end", "", ""]),
        ] {
            let expected: String = pieces.iter().map(|piece| format!("b'{piece}'\n")).collect();
            let http = server.post(path, BODY).expect(200);
            assert_eq!(http.text(), expected, "{path}");
            let uwsgi = server.uwsgi(&Packet::post(path, BODY)).expect(200);
            assert_eq!(uwsgi.text(), expected, "{path}");
        }
    }
}

both! {
    fn no_body_is_an_empty_one(kind) {
        let server = Server::app(kind, "echo.py");
        assert_eq!(server.get("/read").expect(200).text(), "b''\n");
        for path in ["/readline", "/readlines", "/iterate"] {
            assert_eq!(server.get(path).expect(200).text(), "", "{path}");
        }
        assert_eq!(server.get("/past-end").expect(200).text(), "b''\nb''\nb''\nb''\n");
    }
}

/// `readline(size)` gives no more than `size` bytes. uWSGI gives whole lines whatever the size.
#[test]
fn readline_obeys_its_size() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    for (path, pieces) in [
        (
            "/readline/8",
            &[
                "first\\n",
                "second l",
                "ine\\n",
                "\\n",
                "\\r\\n",
                "fifth \\xff\\x00",
                "\\n",
                "last wit",
                "hout end",
            ][..],
        ),
        (
            "/readline/6",
            &[
                "first\\n",
                "second",
                " line\\n",
                "\\n",
                "\\r\\n",
                "fifth ",
                "\\xff\\x00\\n",
                "last w",
                "ithout",
                " end",
            ],
        ),
    ] {
        let expected: String = pieces.iter().map(|piece| format!("b'{piece}'\n")).collect();
        assert_eq!(
            server.post(path, BODY).expect(200).text(),
            expected,
            "{path}"
        );
    }
}

/// `readlines(hint)` stops at the line with which the hint is reached. uWSGI gives all lines.
#[test]
fn readlines_obeys_its_hint() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let response = server.post("/readlines/7", BODY).expect(200);
    assert_eq!(
        response.text(),
        "b'first\\n|second line\\n'\nb'\\n|\\r\\n|fifth \\xff\\x00\\n'\nb'last without end'\n"
    );
}

both! {
    /// Longer than any buffer, and not sent at once.
    fn long_lines(kind) {
        let server = Server::app(kind, "echo.py");
        let body = format!("{}\n{}", "a".repeat(300_000), "b".repeat(300_000));
        let response = server.post("/readline", body.as_str()).expect(200);
        let expected = format!("b'{}\\n'\nb'{}'\n", "a".repeat(300_000), "b".repeat(300_000));
        assert!(response.text() == expected);
    }
}

#[test]
fn a_chunked_body_is_read_in_every_way() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let mut chunked = Vec::new();
    for part in BODY.chunks(5) {
        chunked.extend(format!("{:x}\r\n", part.len()).bytes());
        chunked.extend(part);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let mut client = server.client();
    for path in [
        "/read",
        "/read/10",
        "/readline",
        "/readline/8",
        "/readlines",
        "/iterate",
        "/mixed",
        "/past-end",
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut request = head.into_bytes();
        request.extend(&chunked);
        let response = client.write(request).response("POST").expect(200);
        assert_eq!(response.text(), server.post(path, BODY).text(), "{path}");
    }
}

/// The application is not called before the body is whole, so a slow sender holds no thread.
#[test]
fn the_app_is_called_when_the_body_is_there() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let mut slow = server.client();
    slow.write("POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst");
    for _ in 0..10 {
        assert_eq!(server.post("/raw", "quick").expect(200).text(), "quick");
    }
    slow.write("later");
    assert_eq!(slow.response("POST").expect(200).text(), "firstlater");
}

/// The content of a file that files.py serves.
fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn file_server(kind: Kind, content: &[u8]) -> (TempDir, Server) {
    let dir = TempDir::new();
    let path = dir.write("file", content);
    let server = Setup::app(kind, "files.py")
        .env("FILE", &path.display().to_string())
        .start();
    (dir, server)
}

both! {
    fn file_wrapper_sends_files(kind) {
        let content = content();
        let (_dir, server) = file_server(kind, &content);
        assert!(server.get("/file").expect(200).body == content);
        assert!(server.uwsgi(&Packet::get("/file")).expect(200).body == content);
        assert!(server.get("/unbuffered").expect(200).body == content);
        assert!(server.uwsgi(&Packet::get("/unbuffered")).expect(200).body == content);
    }
}

both! {
    fn file_wrapper_sends_other_objects(kind) {
        let (_dir, server) = file_server(kind, b"");
        assert_eq!(server.get("/stream").expect(200).text(), "from a stream".repeat(1_000));
        let response = server.uwsgi(&Packet::get("/stream")).expect(200);
        assert_eq!(response.text(), "from a stream".repeat(1_000));
    }
}

both! {
    fn file_wrapper_closes_what_it_was_given(kind) {
        let (_dir, server) = file_server(kind, b"content");
        server.get("/stream").expect(200);
        server.get("/unbuffered").expect(200);
        assert_eq!(server.get("/closed").expect(200).text(), "stream,file");
    }
}

both! {
    fn file_wrapper_of_an_empty_file(kind) {
        let (_dir, server) = file_server(kind, b"");
        assert_eq!(server.get("/file").expect(200).text(), "");
    }
}

/// PEP 3333: the file is sent from where it stands.
#[test]
fn file_wrapper_starts_where_the_file_stands() {
    let content = content();
    let (_dir, server) = file_server(Kind::Uwgate, &content);
    assert!(server.get("/offset").expect(200).body == content[1_000..]);
    assert!(server.uwsgi(&Packet::get("/offset")).expect(200).body == content[1_000..]);
}

#[test]
fn file_wrapper_of_bytes_in_memory() {
    let (_dir, server) = file_server(Kind::Uwgate, b"");
    assert_eq!(server.get("/bytes").expect(200).text(), "from memory");
}

/// A part of a file, as for a range: no byte more than Content-Length says.
#[test]
fn file_wrapper_obeys_content_length() {
    let content = content();
    let (_dir, server) = file_server(Kind::Uwgate, &content);
    let mut client = server.client();
    for _ in 0..2 {
        let response = client.send(&Request::get("/length")).expect(200);
        assert!(response.body == content[..100]);
    }
    let answer = server.raw_uwsgi(Packet::get("/length").bytes());
    assert!(answer.ends_with(&content[..100]));
}

/// On a kept connection the client must know where the file ends.
#[test]
fn files_follow_each_other_on_one_connection() {
    let content = content();
    let (_dir, server) = file_server(Kind::Uwgate, &content);
    let mut client = server.client();
    for path in ["/file", "/stream", "/unbuffered", "/file"] {
        let response = client.send(&Request::get(path)).expect(200);
        if path != "/stream" {
            assert!(response.body == content, "{path}");
        }
    }
    client.send(&Request::new("HEAD", "/file")).expect(200);
    client.send(&Request::get("/closed")).expect(200);
}

/// A middleware may iterate it instead of passing it on.
#[test]
fn file_wrapper_is_an_iterable() {
    let (_dir, server) = file_server(Kind::Uwgate, b"");
    let text = server.get("/iterate").expect(200);
    assert!(text.text().starts_with("from|"), "{text:?}");
}

/// wsgiref's own judge: it raises at any breach of PEP 3333.
mod validator {
    use super::*;

    /// Behind nginx with its own parameters no server passes: the validator wants SCRIPT_NAME, and
    /// HTTP_CONTENT_LENGTH not to be there.
    fn packet(request: &Request) -> Packet {
        Packet::from_request(request)
            .without("HTTP_CONTENT_LENGTH")
            .var("SCRIPT_NAME", "")
    }

    fn passes(server: &Server) {
        for (request, body) in [
            (Request::get("/hello"), "hello"),
            (Request::get("/hello?query=1"), "hello"),
            (Request::post("/read", "the body"), "the body"),
            (Request::post("/read", ""), ""),
            (
                Request::post("/lines", "one\ntwo\nthree\nfour\n"),
                "one\ntwo\nthree\nfour\n",
            ),
            (Request::get("/write"), "written and returned"),
            (Request::get("/stream"), "in pieces"),
            (Request::get("/errors"), "logged"),
            (Request::get("/excuse"), "excused"),
            (Request::get("/empty"), ""),
        ] {
            let responses = [server.send(&request), server.uwsgi(&packet(&request))];
            for response in responses {
                assert_eq!(response.text(), body, "{}: {response:?}", request.target);
            }
        }
        until_true("the lines of the last requests", || {
            server.log().matches("GET /empty =>").count() == 2
        });
        assert!(!server.log().contains("Traceback"), "{}", server.log());
    }

    #[test]
    fn is_content_with_every_rule() {
        passes(&Server::app(Kind::Uwgate, "validated.py"));
    }
}
