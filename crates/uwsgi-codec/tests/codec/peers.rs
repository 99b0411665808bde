//! The byte shapes of real clients, written down from what they were seen to send (values shortened).

use uwsgi_codec::{Error, Limits, Packet, Status, Vars, decode, modifier};

use crate::check::WIDE;
use crate::{block, packet};

fn read(bytes: &[u8]) -> (Packet<'_>, Vars<'_>) {
    let limits = Limits::default();
    let Ok(Status::Complete(packet)) = decode(bytes, &limits) else {
        panic!("no packet")
    };
    (packet, Vars::parse(packet.block, &limits).unwrap())
}

fn text<'a>(vars: Vars<'a>, key: &str) -> Option<&'a str> {
    vars.get(key.as_bytes())
        .map(|value| std::str::from_utf8(value).unwrap())
}

/// nginx 1.22 (Debian 12) with its own uwsgi_params: absent headers come as empty values, a repeated header as a
/// repeated key (joined only since 1.23), and the request line's own path stays encoded while PATH_INFO is decoded.
const NGINX_GET: [(&str, &str); 21] = [
    ("QUERY_STRING", "q=1&r=%20"),
    ("REQUEST_METHOD", "GET"),
    ("CONTENT_TYPE", ""),
    ("CONTENT_LENGTH", ""),
    ("REQUEST_URI", "/caf%C3%A9/?q=1&r=%20"),
    ("PATH_INFO", "/caf\u{e9}/"),
    ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REQUEST_SCHEME", "http"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("REMOTE_PORT", "50498"),
    ("SERVER_PORT", "8080"),
    ("SERVER_NAME", ""),
    ("HTTP_HOST", "127.0.0.1"),
    ("HTTP_USER_AGENT", "curl/7.88.1"),
    ("HTTP_ACCEPT", "*/*"),
    ("HTTP_COOKIE", "a=b"),
    ("HTTP_COOKIE", "c=d"),
    ("HTTP_X_A", "1"),
    ("HTTP_X_A", "2"),
    ("HTTP_X_EMPTY", ""),
];

#[test]
fn nginx_get() {
    let bytes = packet(0, 0, &block(&NGINX_GET));
    let (packet, vars) = read(&bytes);
    assert_eq!(
        (packet.header.modifier1, packet.len()),
        (modifier::WSGI, bytes.len())
    );
    assert_eq!(vars.len(), 21);
    assert_eq!(text(vars, "CONTENT_LENGTH"), Some(""));
    assert_eq!(vars.get(b"PATH_INFO"), Some(&b"/caf\xc3\xa9/"[..]));
    let cookies: Vec<_> = vars
        .iter()
        .filter(|(key, _)| *key == b"HTTP_COOKIE")
        .collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(text(vars, "HTTP_COOKIE"), Some("c=d"));
}

/// A chunked upload, buffered by nginx: the body behind the packet is plain and counted, although the variable that
/// speaks of chunks is still there.
#[test]
fn nginx_buffered_upload() {
    let vars = [
        ("REQUEST_METHOD", "POST"),
        ("CONTENT_TYPE", "text/plain"),
        ("CONTENT_LENGTH", "11"),
        ("HTTP_TRANSFER_ENCODING", "chunked"),
        ("HTTP_CONTENT_TYPE", "text/plain"),
    ];
    let bytes = [packet(0, 0, &block(&vars)), b"hello chunk".to_vec()].concat();
    let (packet, vars) = read(&bytes);
    assert_eq!(text(vars, "CONTENT_LENGTH"), Some("11"));
    assert_eq!(&bytes[packet.len()..], b"hello chunk");
}

/// `uwsgi_modifier1 30; uwsgi_modifier2 5;` and a param set twice.
#[test]
fn nginx_with_modifiers() {
    let bytes = packet(
        30,
        5,
        &block(&[("SCRIPT_NAME", "/m30"), ("SCRIPT_NAME", "/twice")]),
    );
    let (packet, vars) = read(&bytes);
    assert_eq!(packet.header.modifier1, modifier::WSGI_MANAGE_PATH_INFO);
    assert_eq!(packet.header.modifier2, 5);
    assert_eq!(text(vars, "SCRIPT_NAME"), Some("/twice"));
}

/// nginx sends a parameter without a name if it is told to (`uwsgi_param "" x`), so an empty key does not prove malice.
#[test]
fn nginx_with_a_nameless_parameter() {
    let block = block(&[("REQUEST_METHOD", "GET"), ("", "x")]);
    assert_eq!(Vars::parse(&block, &WIDE), Err(Error::EmptyKey { at: 21 }));
}

/// Apache 2.4 mod_proxy_uwsgi: its environment table in its own order, PATH_INFO far in front of the request line's
/// parts; modifiers always 0; SetEnv names pass as they are; cookies are joined with a comma; a path behind a mount may
/// come with two slashes in SCRIPT_FILENAME; CONTENT_LENGTH and CONTENT_TYPE only with a body.
const APACHE_POST: [(&str, &str); 27] = [
    ("MY_NOTE", "1"),
    ("PATH_INFO", "/one"),
    ("HTTP_HOST", "127.0.0.1:8080"),
    ("HTTP_USER_AGENT", "curl/7.88.1"),
    ("HTTP_ACCEPT", "*/*"),
    ("HTTP_COOKIE", "a=b, c=d"),
    ("CONTENT_LENGTH", "10"),
    ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    (
        "SERVER_SIGNATURE",
        "<address>Apache Server at 127.0.0.1 Port 8080</address>\n",
    ),
    ("SERVER_SOFTWARE", "Apache/2.4.71 (Debian)"),
    ("SERVER_NAME", "127.0.0.1"),
    ("SERVER_ADDR", "127.0.0.1"),
    ("SERVER_PORT", "8080"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("DOCUMENT_ROOT", "/var/www/html"),
    ("REQUEST_SCHEME", "http"),
    ("CONTEXT_PREFIX", ""),
    ("CONTEXT_DOCUMENT_ROOT", "/var/www/html"),
    ("SERVER_ADMIN", "[no address given]"),
    ("SCRIPT_FILENAME", "proxy:uwsgi://127.0.0.1:3031//one"),
    ("REMOTE_PORT", "49230"),
    ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REQUEST_METHOD", "POST"),
    ("REQUEST_URI", "/app/one"),
    ("SCRIPT_NAME", "/app"),
];

#[test]
fn apache_post() {
    let bytes = [packet(0, 0, &block(&APACHE_POST)), b"name=value".to_vec()].concat();
    let (packet, vars) = read(&bytes);
    assert_eq!(&bytes[packet.len()..], b"name=value");
    assert_eq!(vars.len(), APACHE_POST.len());
    assert_eq!(
        (text(vars, "SCRIPT_NAME"), text(vars, "PATH_INFO")),
        (Some("/app"), Some("/one"))
    );
    assert!(vars.get(b"SERVER_SIGNATURE").unwrap().ends_with(b"\n"));
}

/// Apache connects before it notices that it will refuse the request itself (411), and hangs up without a byte.
#[test]
fn apache_hangs_up_before_the_first_byte() {
    assert_eq!(decode(b"", &WIDE), Ok(Status::Partial { missing: 4 }));
}

/// uwsgi_curl and the like: a handful of variables, the length counted and packed by hand.
#[test]
fn python_client() {
    let vars = [
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("PATH_INFO", "/"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/"),
        ("QUERY_STRING", ""),
        ("HTTP_HOST", "localhost"),
    ];
    let bytes = packet(0, 0, &block(&vars));
    let (_, vars) = read(&bytes);
    assert_eq!(
        (vars.len(), text(vars, "HTTP_HOST")),
        (6, Some("localhost"))
    );
}

/// Such a client counts characters where bytes are meant: the packet's length is right, the value's is short. The rest
/// of the value must not become a variable.
#[test]
fn python_client_that_counts_characters() {
    let block = [
        &block(&[("REQUEST_METHOD", "GET")])[..],
        b"\x09\0PATH_INFO\x05\0/caf\xc3\xa9",
    ]
    .concat();
    assert_eq!(
        Vars::parse(&block, &WIDE),
        Err(Error::Truncated {
            at: block.len() - 1
        })
    );
}
