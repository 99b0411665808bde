//! What of an HTTP request reaches the application, and what is kept from it.

use crate::both;
use crate::support::{Kind, Packet, Request, Server, Setup};

/// The environ of one request, as `tests/apps/environ.py` prints it.
pub struct Environ(pub String);

impl Environ {
    pub fn of(server: &Server, request: &Request) -> Self {
        let response = server.send(request).expect(200);
        Self(response.text().to_owned())
    }

    /// `type` and `repr` of the value, joined by a blank.
    pub fn find(&self, key: &str) -> Option<String> {
        let line = self
            .0
            .lines()
            .find(|line| line.split('\t').next() == Some(key))?;
        let (_, rest) = line.split_once('\t')?;
        Some(rest.replacen('\t', " ", 1))
    }

    #[track_caller]
    pub fn is(&self, key: &str, wanted: &str) {
        assert_eq!(
            self.find(key).as_deref(),
            Some(wanted),
            "{key} in\n{}",
            self.0
        );
    }

    #[track_caller]
    pub fn lacks(&self, key: &str) {
        assert_eq!(self.find(key), None, "{key} in\n{}", self.0);
    }
}

both! {
    fn the_request_line(kind) {
        let server = Server::app(kind, "environ.py");
        let environ = Environ::of(&server, &Request::new("PATCH", "/a%20b?c=%20d&e"));
        environ.is("REQUEST_METHOD", "str 'PATCH'");
        environ.is("REQUEST_URI", "str '/a%20b?c=%20d&e'");
        environ.is("PATH_INFO", "str '/a b'");
        environ.is("QUERY_STRING", "str 'c=%20d&e'");
        environ.is("SCRIPT_NAME", "str ''");
        environ.is("SERVER_PROTOCOL", "str 'HTTP/1.1'");
    }
}

both! {
    fn no_query_is_an_empty_string(kind) {
        let server = Server::app(kind, "environ.py");
        Environ::of(&server, &Request::get("/")).is("QUERY_STRING", "str ''");
    }
}

both! {
    fn headers_become_variables(kind) {
        let server = Server::app(kind, "environ.py");
        let request = Request::post("/", "body")
            .header("Content-Type", "text/x")
            .header("X-Some-Header", "Value with  blanks")
            .header("Cookie", "a=1");
        let environ = Environ::of(&server, &request);
        environ.is("HTTP_HOST", "str 'test.example'");
        environ.is("HTTP_X_SOME_HEADER", "str 'Value with  blanks'");
        environ.is("HTTP_COOKIE", "str 'a=1'");
        environ.is("CONTENT_TYPE", "str 'text/x'");
        environ.is("CONTENT_LENGTH", "str '4'");
        environ.lacks("HTTP_CONTENT_TYPE");
        environ.lacks("HTTP_CONTENT_LENGTH");
    }
}

both! {
    fn repeated_headers_are_joined(kind) {
        let server = Server::app(kind, "environ.py");
        let request = Request::get("/").header("X-A", "one").header("X-A", "two");
        Environ::of(&server, &request).is("HTTP_X_A", "str 'one, two'");
    }
}

both! {
    fn dot_segments_are_resolved(kind) {
        let server = Server::app(kind, "environ.py");
        for (target, path) in [
            ("/../../etc/passwd", "/etc/passwd"),
            ("/a/./b/../c", "/a/c"),
        ] {
            let environ = Environ::of(&server, &Request::get(target));
            environ.is("PATH_INFO", &format!("str '{path}'"));
            environ.is("REQUEST_URI", &format!("str '{target}'"));
        }
    }
}

both! {
    /// PEP 3333: native strings that hold bytes, decoded as latin-1.
    fn bytes_beyond_ascii_are_latin_1(kind) {
        let server = Server::app(kind, "environ.py");
        let mut request = Request::get("/caf%C3%A9").bytes();
        let end = request.len() - 2;
        request.splice(end..end, b"X-Raw: caf\xc3\xa9\r\n".iter().copied());
        let response = server.client().write(request).response("GET").expect(200);
        let environ = Environ(response.text().to_owned());
        environ.is("PATH_INFO", "str '/cafÃ©'");
        environ.is("HTTP_X_RAW", "str 'cafÃ©'");
    }
}

both! {
    fn the_keys_of_pep_3333(kind) {
        let server = Server::app(kind, "environ.py");
        let environ = Environ::of(&server, &Request::get("/"));
        environ.is("wsgi.version", "tuple (1, 0)");
        environ.is("wsgi.url_scheme", "str 'http'");
        environ.is("wsgi.multithread", "bool False");
        environ.is("wsgi.multiprocess", "bool False");
        environ.is("wsgi.run_once", "bool False");
        environ.is("wsgi.file_wrapper", "- callable");
        environ.is("wsgi.input", "- object");
        environ.is("wsgi.errors", "- object");
        assert_eq!(server.get("/type").expect(200).text(), "dict");
    }
}

both! {
    fn multithread_and_multiprocess_tell_the_truth(kind) {
        let server = Setup::app(kind, "environ.py")
            .option("processes", 2)
            .option("threads", 2)
            .start();
        let environ = Environ::of(&server, &Request::get("/"));
        environ.is("wsgi.multithread", "bool True");
        environ.is("wsgi.multiprocess", "bool True");
    }
}

both! {
    fn the_peer_and_the_port(kind) {
        let server = Server::app(kind, "environ.py");
        let environ = Environ::of(&server, &Request::get("/"));
        environ.is("REMOTE_ADDR", "str '127.0.0.1'");
        environ.is("SERVER_PORT", &format!("str '{}'", server.http.port()));
    }
}

both! {
    /// An app may do to its environ what it likes.
    fn nothing_is_left_for_the_next_request(kind) {
        let server = Server::app(kind, "environ.py");
        let request = Request::get("/wild").header("X-A", "one");
        for _ in 0..3 {
            assert_eq!(server.send(&request).expect(200).text(), "None");
        }
        let environ = Environ::of(&server, &Request::get("/"));
        environ.is("HTTP_HOST", "str 'test.example'");
        environ.lacks("HTTP_X_A");
        environ.lacks("left.behind");
    }
}

/// uWSGI resolves first and decodes then, so `%2e%2e` passes it.
#[test]
fn encoded_dot_segments_are_resolved() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    for target in ["/a/%2e%2e/b", "/a/.%2E/b", "/%2e%2e/%2e%2e/b"] {
        let environ = Environ::of(&server, &Request::get(target));
        environ.is("PATH_INFO", "str '/b'");
        environ.is("REQUEST_URI", &format!("str '{target}'"));
    }
}

/// `X_A` and `X-A` would be the same variable: a proxy that checks one can be passed by the other.
#[test]
fn headers_with_underscores_are_dropped() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let request = Request::get("/")
        .header("X_Forwarded_For", "evil")
        .header("Content_Length", "5")
        .header("X-Real", "good");
    let environ = Environ::of(&server, &request);
    environ.lacks("HTTP_X_FORWARDED_FOR");
    environ.lacks("HTTP_CONTENT_LENGTH");
    environ.lacks("CONTENT_LENGTH");
    environ.is("HTTP_X_REAL", "str 'good'");
}

/// httpoxy: `HTTP_PROXY` in the environment of a CGI program is believed by its HTTP client.
#[test]
fn the_proxy_header_is_dropped() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let request = Request::get("/").header("Proxy", "http://evil.example");
    Environ::of(&server, &request).lacks("HTTP_PROXY");
}

/// Anybody can send them; the app sees them, but they change nothing.
#[test]
fn forwarded_headers_are_not_believed() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let request = Request::get("/")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Ssl", "on")
        .header("X-Forwarded-For", "203.0.113.9");
    let environ = Environ::of(&server, &request);
    environ.is("wsgi.url_scheme", "str 'http'");
    environ.is("REMOTE_ADDR", "str '127.0.0.1'");
    environ.is("HTTP_X_FORWARDED_PROTO", "str 'https'");
}

#[test]
fn forwarded_headers_are_believed_from_a_named_proxy() {
    for (proxy, over_tcp, over_unix) in [
        ("127.0.0.0/8", "https", "http"),
        ("unix", "http", "https"),
        ("127.0.0.1,unix", "https", "https"),
        ("192.0.2.1", "http", "http"),
    ] {
        let server = Setup::app(Kind::Uwgate, "environ.py")
            .option("http-trust-forwarded", proxy)
            .start();
        let request = Request::get("/").header("X-Forwarded-Proto", "https");
        let http = Environ::of(&server, &request);
        http.is("wsgi.url_scheme", &format!("str '{over_tcp}'"));
        let uwsgi = server.uwsgi(&Packet::from_request(&request)).expect(200);
        let uwsgi = Environ(uwsgi.text().to_owned());
        uwsgi.is("wsgi.url_scheme", &format!("str '{over_unix}'"));
    }
}

/// RFC 9112 section 3.2.2: the target's authority replaces Host, and its path is the path.
#[test]
fn an_absolute_target_is_taken_apart() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let environ = Environ::of(&server, &Request::get("http://other.example/a?b"));
    environ.is("PATH_INFO", "str '/a'");
    environ.is("QUERY_STRING", "str 'b'");
    environ.is("HTTP_HOST", "str 'other.example'");
}
