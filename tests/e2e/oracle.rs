//! The same requests to the real uWSGI and to uwgate: the same status, headers and body.
//!
//! What is known to differ, and why, is in docs/differences.md, and only that is set aside here.

use std::collections::BTreeMap;

use crate::support::wait::until_true;
use crate::support::{Kind, Packet, Request, Response, Server, Setup};

/// Both servers with the same application.
struct Pair {
    uwgate: Server,
    uwsgi: Server,
}

impl Pair {
    fn start(setup: impl Fn(Kind) -> Setup) -> Self {
        Self {
            uwgate: setup(Kind::Uwgate).start(),
            uwsgi: setup(Kind::Uwsgi).start(),
        }
    }

    fn app(file: &str) -> Self {
        Self::start(|kind| Setup::app(kind, file))
    }

    /// Over both protocols.
    fn agree(&self, request: &Request) {
        same(
            request,
            &self.uwgate.send(request),
            &self.uwsgi.send(request),
        );
        let packet = Packet::from_request(request);
        same(
            request,
            &self.uwgate.uwsgi(&packet),
            &self.uwsgi.uwsgi(&packet),
        );
    }
}

fn same(request: &Request, ours: &Response, theirs: &Response) {
    let what = format!("{} {}", request.method, request.target);
    assert_eq!(ours.status, theirs.status, "{what}\n{ours:?}\n{theirs:?}");
    assert_eq!(ours.reason, theirs.reason, "{what}");
    assert_eq!(ours.version, theirs.version, "{what}");
    assert_eq!(headers(ours, theirs), headers(theirs, theirs), "{what}");
    assert!(
        ours.body == theirs.body,
        "{what}: the bodies differ\n{ours:?}\n{theirs:?}"
    );
}

/// The headers in their order, without those that are the server's to say: the connection's fate,
/// and framing and Date where the application gave none.
fn headers(of: &Response, theirs: &Response) -> Vec<(String, String)> {
    let set_aside = |name: &str| {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let added = ["content-length", "date", "transfer-encoding"]
            .into_iter()
            .any(is);
        is("connection") || added && theirs.header_values(name).is_empty()
    };
    let headers = of.headers.iter().filter(|(name, _)| !set_aside(name));
    headers.cloned().collect()
}

#[test]
fn responses() {
    let pair = Pair::app("responses.py");
    for target in [
        "/one-item",
        "/several",
        "/generator",
        "/late-generator",
        "/nothing",
        "/empty-item",
        "/write",
        "/write-only",
        "/with-length",
        "/zero-length",
        "/no-content",
        "/not-modified",
        "/redirect",
        "/cookies",
        "/odd-status",
        "/bare-status",
        "/iterator",
        "/a-tuple",
        "/no-excuse",
        "/big?1",
        "/big?70000",
        "/big-stream?1",
        "/big-stream?100",
        "/many-headers",
    ] {
        pair.agree(&Request::get(target));
    }
}

#[test]
fn bodies() {
    let pair = Pair::app("echo.py");
    for target in [
        "/raw",
        "/read",
        "/read/1",
        "/read/1000",
        "/readline",
        "/readlines",
        "/iterate",
        "/past-end",
        "/mixed",
        "/ignore",
        "/digest",
    ] {
        for body in [
            "",
            "x",
            "\n",
            "one\ntwo",
            "one\ntwo\n",
            "\n\n\n",
            "one\r\ntwo\r\n",
        ] {
            pair.agree(&Request::post(target, body));
        }
        pair.agree(&Request::post(target, "a line\n".repeat(20_000)));
    }
}

#[test]
fn errors_that_uwsgi_answers() {
    let pair = Pair::start(|kind| {
        Setup::source(kind, "import nowhere_to_be_found\n").option("need-app", "false")
    });
    pair.agree(&Request::get("/"));
}

#[test]
fn files() {
    let pair = Pair::app("files.py");
    for target in ["/file", "/unbuffered", "/stream"] {
        pair.agree(&Request::get(target));
    }
}

#[test]
fn flask() {
    // It lists the methods of a route in a set's order.
    let pair =
        Pair::start(|kind| Setup::framework(kind, "flask_app:app").env("PYTHONHASHSEED", "0"));
    let form = "application/x-www-form-urlencoded";
    for request in [
        Request::get("/"),
        Request::get("/stream"),
        Request::get("/url?a=b&c=%20d"),
        Request::get("/away"),
        Request::get("/nowhere"),
        Request::get("/error"),
        Request::new("OPTIONS", "/"),
        Request::new("DELETE", "/"),
        Request::post("/form", "a=1&b=2").header("Content-Type", form),
        Request::post("/json", "[1, 2]").header("Content-Type", "application/json"),
        Request::post("/json", "[1,").header("Content-Type", "application/json"),
        Request::get("/download").header("Range", "bytes=0-9"),
        Request::get("/download").header("Range", "bytes=-9"),
        Request::get("/download").header("Range", "bytes=999999-"),
    ] {
        pair.agree(&request);
    }
}

#[test]
fn django() {
    let pair = Pair::start(|kind| Setup::framework(kind, "django_site.wsgi"));
    for request in [
        Request::get("/"),
        Request::get("/stream"),
        Request::get("/download"),
        Request::get("/caf%C3%A9/a%2Fb%20c"),
        Request::get("/nowhere"),
        Request::get("/error"),
        Request::get("/admin/"),
        Request::get("/admin"),
        Request::post("/body", "the body"),
        Request::post("/upload", "no token"),
    ] {
        pair.agree(&request);
    }
}

/// Key to type and value, as `tests/apps/environ.py` prints them.
type Environ = BTreeMap<String, String>;

fn environ(response: &Response) -> Environ {
    let lines = response.text().lines();
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(key, rest)| (key.to_owned(), rest.to_owned()))
        .collect()
}

/// The environ is the same but for these keys: those that uwgate adds, and those whose values are
/// the server's own.
fn same_environ(what: &str, ours: &Response, theirs: &Response, added: &[&str]) {
    let (mut ours, mut theirs) = (environ(ours), environ(theirs));
    for key in added {
        ours.remove(*key);
    }
    // Its type must be the same; a version of our own may stand there.
    for environ in [&mut ours, &mut theirs] {
        let version = environ.get_mut("uwsgi.version").expect("both have it");
        let (kind, _) = version.split_once('\t').expect("type and value");
        *version = kind.to_owned();
    }
    assert_eq!(ours, theirs, "{what}");
}

#[test]
fn environ_over_uwsgi() {
    for options in [&[][..], &[("processes", 2), ("threads", 2)]] {
        let pair = Pair::start(|kind| {
            let setup = Setup::app(kind, "environ.py");
            options
                .iter()
                .fold(setup, |setup, (key, value)| setup.option(key, value))
        });
        for packet in [
            Packet::get("/a?b=c"),
            Packet::post("/x", "body"),
            Packet::get("/").var("HTTPS", "on"),
            Packet::get("/").var("UWSGI_SCHEME", "https"),
            Packet::get("/")
                .var("REMOTE_USER", "alice")
                .var("X_OWN", "caf\u{e9}"),
            Packet::get("/")
                .without("SERVER_PROTOCOL")
                .without("QUERY_STRING"),
        ] {
            let what = format!("{packet:?}");
            let (ours, theirs) = (pair.uwgate.uwsgi(&packet), pair.uwsgi.uwsgi(&packet));
            // The core depends on which thread is free.
            let added = ["wsgi.input_terminated", "SCRIPT_NAME"];
            same_environ(&what, &without_core(ours), &without_core(theirs), &added);
        }
    }
}

fn without_core(mut response: Response) -> Response {
    let lines = response
        .text()
        .lines()
        .filter(|line| !line.starts_with("uwsgi.core\tint\t"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    response.body = text.into_bytes();
    response
}

#[test]
fn environ_over_http() {
    let port = crate::support::Address::free_port().port();
    for request in [
        Request::get("/"),
        Request::get("/a%20b/../c?d=e&f"),
        Request::get("//double//slash"),
        Request::post("/", "body").header("Content-Type", "text/x"),
        Request::get("/")
            .header("X-A", "1")
            .header("X-A", "2")
            .header("Cookie", "c=d"),
        Request::get("/").header("Authorization", "Basic eDp5"),
        Request::new("PURGE", "/x"),
    ] {
        // One after the other on the same port, which is in the environ.
        let ask = |kind| {
            let socket = format!("127.0.0.1:{port}");
            let server = Setup::app(kind, "environ.py")
                .option("http-socket", &socket)
                .start();
            let address = crate::support::Address::Tcp(socket.parse().expect("is an address"));
            let response = crate::support::Client::connect(&address).send(&request);
            drop(server);
            until_true("the port to be free", || address.connect().is_err());
            response.expect(200)
        };
        let (ours, theirs) = (ask(Kind::Uwgate), ask(Kind::Uwsgi));
        let what = format!("{} {}", request.method, request.target);
        same_environ(
            &what,
            &ours,
            &theirs,
            &["wsgi.input_terminated", "REMOTE_PORT"],
        );
    }
}
