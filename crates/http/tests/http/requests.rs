//! Requests that are in order.

use uwgate_http::{Framing, Limits, Method, Parsed, Peer, Version, parse};

use crate::{PEER, accepted, accepted_from, var};

fn keys(vars: &[(String, String)]) -> Vec<&str> {
    vars.iter().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn the_variables_of_http_socket() {
    let request = "POST /a%20b/../c//y/./z?q=%20&x HTTP/1.1\r\nHost: h:80\r\nUser-Agent: x\r\n\
         Content-Type: text/plain\r\nContent-Length: 3\r\nX-Empty:\r\n\r\nabc";
    let (head, vars) = accepted(request);
    let expected = [
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/a%20b/../c//y/./z?q=%20&x"),
        ("PATH_INFO", "/c//y/z"),
        ("QUERY_STRING", "q=%20&x"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SCRIPT_NAME", ""),
        ("SERVER_NAME", "vm"),
        ("SERVER_PORT", "8000"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", "40779"),
        ("HTTP_HOST", "h:80"),
        ("HTTP_USER_AGENT", "x"),
        ("CONTENT_TYPE", "text/plain"),
        ("CONTENT_LENGTH", "3"),
        ("HTTP_X_EMPTY", ""),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(vars, expected);
    assert_eq!(&request[head.len..], "abc");
    assert_eq!(head.framing, Framing::Length(3));
    assert_eq!(
        (head.version, head.method),
        (Version::Http11, Method::Other)
    );
}

#[test]
fn a_small_request() {
    let (head, vars) = accepted("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(var(&vars, "QUERY_STRING"), Some(""));
    assert_eq!(var(&vars, "SERVER_PROTOCOL"), Some("HTTP/1.0"));
    assert_eq!(var(&vars, "CONTENT_TYPE"), None);
    assert_eq!(var(&vars, "CONTENT_LENGTH"), None);
    assert_eq!((head.framing, head.method), (Framing::None, Method::Get));
    assert!(!head.keep_alive);
}

#[test]
fn what_the_connection_is_like() {
    let peer = Peer {
        remote_addr: b"",
        remote_port: b"",
        https: true,
        ..PEER
    };
    let (_, vars) = accepted_from(&peer, b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(var(&vars, "HTTPS"), Some("on"));
    assert_eq!(var(&vars, "REMOTE_ADDR"), Some(""));
    assert_eq!(var(&vars, "REMOTE_PORT"), None);
    assert!(!keys(&accepted("GET / HTTP/1.0\r\n\r\n").1).contains(&"HTTPS"));
}

#[test]
fn repeated_headers_are_joined_in_place() {
    let (head, vars) = accepted(
        "GET / HTTP/1.1\r\nHost: h\r\nX-D: 1\r\ncookie: a=1\r\nx-d: 2\r\nAccept: */*\r\n\
         COOKIE: b=2\r\nX-d:\r\n\r\n",
    );
    assert_eq!(var(&vars, "HTTP_X_D"), Some("1, 2, "));
    assert_eq!(var(&vars, "HTTP_COOKIE"), Some("a=1; b=2"));
    assert_eq!(
        keys(&vars)[10..],
        ["HTTP_HOST", "HTTP_X_D", "HTTP_COOKIE", "HTTP_ACCEPT"]
    );
    assert_eq!(head.vars, 14);
}

/// What a front server may have checked or set must not be overruled by a twin.
#[test]
fn names_that_collide_are_dropped() {
    let (head, vars) = accepted(
        "GET / HTTP/1.1\r\nHost: h\r\nX_Forwarded_For: evil\r\nX-Forwarded-For: good\r\nProxy: http://evil/\r\n\
         Content_Length: 5\r\nTransfer_Encoding: chunked\r\n_: x\r\nA_: x\r\n\
         A-Name-That-Is-Longer-Than-One-Block_: x\r\nA-Name-That-Is-Much-Longer-Than-One-Block: y\r\n\r\n",
    );
    assert_eq!(
        keys(&vars)[10..],
        [
            "HTTP_HOST",
            "HTTP_X_FORWARDED_FOR",
            "HTTP_A_NAME_THAT_IS_MUCH_LONGER_THAN_ONE_BLOCK"
        ]
    );
    assert_eq!(var(&vars, "HTTP_X_FORWARDED_FOR"), Some("good"));
    assert_eq!(head.framing, Framing::None);
}

#[test]
fn an_underscore_in_a_value_does_not_drop_its_header() {
    for name in [
        "A",
        "Ab",
        "Abcdefg",
        "Abcdefgh",
        "Abcdefgh-ijklmn",
        "X-Abcdefghijklmnopqrstuvwxyz-abc",
    ] {
        let request = format!("GET / HTTP/1.0\r\n{name}:_a_b_c_d_e\r\n\r\n");
        let (_, vars) = accepted(request);
        let key = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        assert_eq!(var(&vars, &key), Some("_a_b_c_d_e"), "{name}");
    }
}

/// Names are taken from the buffer in blocks; what follows them there must not matter.
#[test]
fn short_names_are_joined_whatever_their_values() {
    for name in ["A", "Te", "Dnt", "Range"] {
        let request =
            format!("GET / HTTP/1.0\r\n{name}:1\r\nOther: x\r\n{name}: two\r\n{name}:\t3\r\n\r\n");
        let (_, vars) = accepted(request);
        let key = format!("HTTP_{}", name.to_ascii_uppercase());
        assert_eq!(var(&vars, &key), Some("1, two, 3"), "{name}");
    }
}

#[test]
fn paths_and_targets() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/../../etc/passwd", "/etc/passwd", ""),
        ("/%2e%2e/%2E%2e/etc", "/etc", ""),
        ("/a?b/../c", "/a", "b/../c"),
        ("/a?b=%zz&c?d", "/a", "b=%zz&c?d"),
        ("/a%3fb?c", "/a?b", "c"),
        ("//a//b/", "//a//b/", ""),
        ("/%e4", "/\u{e4}", ""),
        ("/\u{e4}", "/\u{c3}\u{a4}", ""),
        ("http://h/p?q", "/p", "q"),
        ("http://h", "/", ""),
        ("HTTPS://h?q", "/", "q"),
        ("http://[::1]:80/x/../y", "/y", ""),
    ] {
        let (_, vars) = accepted(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(var(&vars, "PATH_INFO"), Some(path), "{target}");
        assert_eq!(var(&vars, "QUERY_STRING"), Some(query), "{target}");
    }
}

#[test]
fn an_absolute_uri_overrules_host() {
    let (_, vars) = accepted("GET http://e.example:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(var(&vars, "HTTP_HOST"), Some("e.example:81"));
    assert_eq!(var(&vars, "REQUEST_URI"), Some("http://e.example:81/p?q"));
    let (_, vars) = accepted("GET http://e.example/p HTTP/1.0\r\n\r\n");
    assert_eq!(var(&vars, "HTTP_HOST"), Some("e.example"));
}

#[test]
fn options_of_the_whole_server() {
    let (_, vars) = accepted("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(var(&vars, "PATH_INFO"), Some("*"));
    assert_eq!(var(&vars, "REQUEST_URI"), Some("*"));
}

#[test]
fn methods() {
    for (method, expected) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("get", Method::Other),
        ("POST", Method::Other),
        ("M-SEARCH", Method::Other),
        ("A-METHOD-OF-32-CHARACTERS-IN-ALL", Method::Other),
    ] {
        let (head, vars) = accepted(format!("{method} / HTTP/1.0\r\n\r\n"));
        assert_eq!(head.method, expected);
        assert_eq!(var(&vars, "REQUEST_METHOD"), Some(method));
    }
}

#[test]
fn persistence() {
    for (version, connection, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Upgrade, CLOSE\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nconnection: close\r\n",
            false,
        ),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection: ,\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: upgrade\r\n", false),
    ] {
        let (head, _) = accepted(format!(
            "GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n"
        ));
        assert_eq!(head.keep_alive, keep_alive, "{version} {connection}");
    }
}

#[test]
fn expectations() {
    for (version, headers, expected) in [
        ("1.1", "Expect: 100-continue\r\nContent-Length: 5\r\n", true),
        (
            "1.1",
            "expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n",
            true,
        ),
        (
            "1.1",
            "Expect: 100-continue\r\nContent-Length: 0\r\n",
            false,
        ),
        ("1.1", "Expect: 100-continue\r\n", false),
        (
            "1.0",
            "Expect: 100-continue\r\nContent-Length: 5\r\n",
            false,
        ),
        ("1.1", "Content-Length: 5\r\n", false),
    ] {
        let (head, _) = accepted(format!("PUT / HTTP/{version}\r\nHost: h\r\n{headers}\r\n"));
        assert_eq!(head.expect_continue, expected, "{version} {headers}");
    }
}

#[test]
fn framing() {
    for (headers, framing) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("content-length:\t 12 \t\r\n", Framing::Length(12)),
        (
            "Content-Length: 9223372036854775807\r\n",
            Framing::Length(i64::MAX as u64),
        ),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding: CHUNKED \r\n", Framing::Chunked),
    ] {
        let (head, _) = accepted(format!("PUT / HTTP/1.1\r\nHost: h\r\n{headers}\r\n"));
        assert_eq!(head.framing, framing, "{headers}");
    }
}

#[test]
fn blank_lines_before_a_request() {
    for blank in ["", "\r\n", "\r\n\r\n"] {
        let request = format!("{blank}GET / HTTP/1.0\r\n\r\nnext");
        let (head, _) = accepted(&request);
        assert_eq!(&request[head.len..], "next");
    }
}

#[test]
fn x_forwarded_headers_are_only_variables() {
    let (_, vars) = accepted(
        "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    );
    assert_eq!(var(&vars, "HTTPS"), None);
    assert_eq!(var(&vars, "REMOTE_ADDR"), Some("127.0.0.1"));
    assert_eq!(var(&vars, "HTTP_X_FORWARDED_PROTO"), Some("https"));
}

#[test]
fn limits_that_are_just_kept() {
    let uri = format!("/{}", "u".repeat(31));
    let headers: String = (0..4).map(|n| format!("N{n}: x\r\n")).collect();
    let method = "M".repeat(32);
    let request = format!("{method} {uri} HTTP/1.0\r\n{headers}\r\n");
    let line = request.find('\n').unwrap();
    let limits = Limits {
        head: request.len(),
        headers: 4,
        uri: 32,
    };
    let parse = |bytes: &str| parse(bytes.as_bytes(), &limits, &PEER, &mut Vec::new());
    assert!(matches!(parse(&request), Ok(Parsed::Complete(_))));
    assert_eq!(parse(&request[..line]), Ok(Parsed::Partial));
}

#[test]
fn more_headers_than_one_can_allow() {
    let headers: String = (0..128).map(|n| format!("N{n}: x\r\n")).collect();
    let request = format!("GET / HTTP/1.0\r\n{headers}\r\n");
    let limits = Limits {
        headers: usize::MAX,
        ..Limits::default()
    };
    let parsed = parse(request.as_bytes(), &limits, &PEER, &mut Vec::new());
    assert!(
        matches!(parsed, Ok(Parsed::Complete(head)) if head.vars == 138),
        "{parsed:?}"
    );
}
