//! Every refusal, on raw bytes, with its status.

use uwgate_http::{Limits, Reject, parse};

use crate::{PEER, outcome};

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, reject: Reject, status: u16) {
    let bytes = bytes.as_ref();
    assert_eq!(outcome(bytes), Err(reject), "{}", bytes.escape_ascii());
    assert_eq!(reject.status(), status);
}

/// A GET with these lines after the Host.
fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
}

#[test]
fn request_lines() {
    for line in [
        "GET  / HTTP/1.1",
        " GET / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET",
        "GET ",
        "GET  HTTP/1.1",
        "G(T / HTTP/1.1",
        "\0 / HTTP/1.1",
        "GET / x HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/1.32",
        "GET / HTTP/4294967295.255",
        "GET / HTTP1.1",
        "GET / HTTP/",
        "GET / FTP/1.1",
        ":",
        "G=\":<>(e),[T];?\" /get HTTP/1.1",
    ] {
        refused(
            format!("{line}\r\nHost: h\r\n\r\n"),
            Reject::RequestLine,
            400,
        );
    }
    refused(
        format!("{} / HTTP/1.0\r\n\r\n", "M".repeat(33)),
        Reject::RequestLine,
        400,
    );
    refused(
        "\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        Reject::RequestLine,
        400,
    );
}

#[test]
fn targets() {
    for target in [
        "a",
        "!",
        "?x",
        "*",
        "/a#b",
        "http:/h/",
        "http:///x",
        "http://",
        "ftp://h/",
        "http://u@h/",
        "http://h:x/",
        "http://h:80:80/",
        "http://[::1/",
        "//h#",
        "h:80",
        "/a\u{7f}",
        "/a\tb",
        "/a\u{1}b",
        "*/",
        "**",
    ] {
        refused(
            format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"),
            Reject::Target,
            400,
        );
    }
    refused("OPTIONS *x HTTP/1.0\r\n\r\n", Reject::Target, 400);
    refused(b"GET /\xe4 HTTP/1.0\r\n\r\n", Reject::Target, 400);
    for escape in ["/%", "/%2", "/%zz", "/a%00b", "http://h/%"] {
        refused(
            format!("GET {escape} HTTP/1.1\r\nHost: h\r\n\r\n"),
            Reject::PathEscape,
            400,
        );
    }
    refused(
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
        Reject::Connect,
        501,
    );
}

#[test]
fn versions() {
    for request in [
        "GET /\r\n",
        "GET /path\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: h\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/2\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/3.0\r\n\r\n",
    ] {
        refused(request, Reject::Version, 505);
    }
}

#[test]
fn line_ends() {
    for request in [
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.0\n\n",
        "GET / HTTP/1.0\n\r\n",
        "GET / HTTP/1.0\r\n\n",
        "\nGET / HTTP/1.0\r\n\r\n",
        "\r\n\nGET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nUseless:\n\nGET /evil HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: \nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX_Y: dropped\nX: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: x\nX_Y: dropped\r\n\r\n",
    ] {
        refused(request, Reject::BareLf, 400);
    }
    for request in [
        "\rGET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\rHost: h\r\n\r\n",
        "GET / HTTP/1.1\rHost: h\r\n\r\n",
        "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHeader: va\rlue\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nVisible: :/\rSmuggled: :)\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX:\ry\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\rZGET /evil HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nTe\rst: x\r\n\r\n",
        "GET / HTTP/\r\r1.1\r\n\r\n",
    ] {
        refused(request, Reject::BareCr, 400);
    }
}

#[test]
fn header_lines() {
    for lines in [
        " folded\r\n",
        "\tContent-Length: 5\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X:\r\n b\r\n",
        "X: a\r\n \r\n",
    ] {
        refused(with(lines), Reject::ObsFold, 400);
    }
    refused(
        "GET / HTTP/1.1\r\n\tContent-Length: 1\r\n\r\nX",
        Reject::ObsFold,
        400,
    );
    for lines in [
        "Name : v\r\n",
        "Name\t: v\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding  :chunked\r\n",
    ] {
        refused(with(lines), Reject::SpaceBeforeColon, 400);
    }
    for lines in [
        ": empty\r\n",
        ":\r\n",
        "no colon\r\n",
        "nocolon\r\n",
        "Content-Length 10\r\n",
        "a b: x\r\n",
        "a(b): x\r\n",
        "a\u{e4}: x\r\n",
        "Content-Length\u{85}: 10\r\n",
        "\u{ef}oo: bar\r\n",
        "a\0b: x\r\n",
        "Transfer-\r\nEncoding: chunked\r\n",
        "a/b: x\r\n",
        "a\"b: x\r\n",
        "Transfer-Encoding x: chunked\r\n",
        "Content-Length\u{b}: 5\r\n",
    ] {
        refused(with(lines), Reject::HeaderName, 400);
    }
    for byte in (0..=0x1f)
        .filter(|byte| !matches!(byte, b'\t' | b'\n' | b'\r'))
        .chain([0x7f])
    {
        let mut request = with("X: a?b\r\n").into_bytes();
        let at = request.iter().position(|&it| it == b'?').unwrap();
        request[at] = byte;
        refused(request, Reject::HeaderValue, 400);
    }
}

#[test]
fn hosts() {
    refused("GET / HTTP/1.1\r\n\r\n", Reject::HostMissing, 400);
    refused("GET http://h/ HTTP/1.1\r\n\r\n", Reject::HostMissing, 400);
    refused(
        "GET / HTTP/1.1\r\nX_Host: h\r\n\r\n",
        Reject::HostMissing,
        400,
    );
    refused(
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        Reject::HostRepeated,
        400,
    );
    refused(
        "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n",
        Reject::HostRepeated,
        400,
    );
    refused(
        "GET / HTTP/1.1\r\nHost:\r\nHost: b\r\n\r\n",
        Reject::HostRepeated,
        400,
    );
    for host in [
        "a b", "a/b", "a,b", "u@a", "a:b", "a:80:80", ":80", "[::1", "a\\b", "a?b", "\u{e4}",
    ] {
        refused(
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            Reject::HostInvalid,
            400,
        );
    }
}

#[test]
fn content_lengths() {
    for value in [
        "",
        "+5",
        "-5",
        "-0",
        "0x5",
        "5_0",
        "5.0",
        "1e1",
        "5 5",
        "0 5",
        "five",
        "\u{a0}5",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "010",
        "00",
        "5;",
        "5\"",
        "'5'",
    ] {
        refused(
            with(&format!("Content-Length: {value}\r\n")),
            Reject::ContentLength,
            400,
        );
    }
    for lines in [
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\ncontent-length: 5\r\n",
        "Content-Length: 0\r\nX: y\r\nContent-Length: 31\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 3,5\r\n",
        "Content-Length: ,3\r\n",
        "Content-Length: 3,\r\n",
    ] {
        refused(with(lines), Reject::ContentLengthRepeated, 400);
    }
    refused(
        with("Content-Length: \r\nContent-Length: 43\r\n"),
        Reject::ContentLength,
        400,
    );
}

#[test]
fn transfer_encodings() {
    for value in [
        "",
        ",",
        ",chunked",
        "chunked,",
        "chunked, chunked",
        "chunked, identity",
        "chunked, gzip",
        "\u{a0}chunked",
        "chunked;q=1",
        "\"chunked\"",
        "'chunked' x",
        "chunked chunked",
        "chunked x",
        "x chunked",
        "gzip;chunked",
        "chunked, ,",
        "\u{ff}chunked",
    ] {
        refused(
            with(&format!("Transfer-Encoding: {value}\r\n")),
            Reject::TransferEncoding,
            400,
        );
    }
    for value in [
        "gzip",
        "identity",
        "gzip, chunked",
        "xchunked",
        "chunke",
        "chunkedx",
        "cow, chunked",
        "'chunked'",
        "deflate, gzip",
    ] {
        refused(
            with(&format!("Transfer-Encoding: {value}\r\n")),
            Reject::TransferCoding,
            501,
        );
    }
    refused(
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        Reject::TransferEncoding,
        400,
    );
    refused(
        with("Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n"),
        Reject::TransferEncoding,
        400,
    );
    refused(
        with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        Reject::TransferCoding,
        501,
    );
    refused(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        Reject::TransferEncodingHttp10,
        400,
    );
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        refused(with(lines), Reject::BothFramings, 400);
    }
}

#[test]
fn expectations() {
    for value in [
        "",
        "200-ok",
        "100-continue, x",
        "x 100-continue",
        "100-continue=1",
    ] {
        refused(
            with(&format!("Expect: {value}\r\n")),
            Reject::Expectation,
            417,
        );
    }
}

#[test]
fn limits() {
    let limits = Limits {
        head: 200,
        headers: 3,
        uri: 40,
    };
    let outcome = |bytes: &str| parse(bytes.as_bytes(), &limits, &PEER, &mut Vec::new());
    let long = |n| "x".repeat(n);

    let cases = [
        (
            format!("GET /{} HTTP/1.0\r\n\r\n", long(40)),
            Reject::UriTooLong,
            414,
        ),
        (format!("GET /{}", long(200)), Reject::UriTooLong, 414),
        (long(200), Reject::UriTooLong, 414),
        (
            format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", long(200)),
            Reject::HeadTooLarge,
            431,
        ),
        (
            format!("GET / HTTP/1.0\r\nA: {}", long(200)),
            Reject::HeadTooLarge,
            431,
        ),
        (
            "GET / HTTP/1.0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n".to_owned(),
            Reject::TooManyHeaders,
            431,
        ),
    ];
    for (bytes, reject, status) in cases {
        assert_eq!(outcome(&bytes), Err(reject), "{bytes}");
        assert_eq!(reject.status(), status);
    }
}

/// Variables are longer than headers: a head within generous limits may still not fit into 65,535 bytes of block.
#[test]
fn a_block_that_is_too_large() {
    let limits = Limits {
        head: 1 << 20,
        headers: 100,
        uri: 1 << 20,
    };
    for request in [
        format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "x".repeat(65_536)),
        format!(
            "GET / HTTP/1.0\r\n{}\r\n",
            format!("A: {}\r\n", "x".repeat(700)).repeat(99)
        ),
        format!("GET /{} HTTP/1.0\r\n\r\n", "x".repeat(40_000)),
        format!("GET / HTTP/1.0\r\n{}: x\r\n\r\n", "x".repeat(65_536)),
    ] {
        let outcome = parse(request.as_bytes(), &limits, &PEER, &mut Vec::new());
        assert_eq!(outcome, Err(Reject::HeadTooLarge), "{}", &request[..40]);
    }
}

/// Nothing that is wrong already has to wait for the head's end, or for the time-out.
#[test]
fn faults_are_told_early() {
    for (bytes, reject) in [
        ("GET / HTTP/2", Reject::Version),
        ("G(", Reject::RequestLine),
        ("GET / HTTP/1.1\r\n X", Reject::ObsFold),
        ("GET / HTTP/1.1\r\nA: b\rc", Reject::BareCr),
        ("GET / HTTP/1.1\r\nA: b\0", Reject::HeaderValue),
        ("\n", Reject::BareLf),
        ("\x16\x03\x01\x02\0\x01\0\x01", Reject::RequestLine),
    ] {
        assert_eq!(outcome(bytes.as_bytes()), Err(reject), "{bytes:?}");
    }
}

#[test]
fn a_response_is_complete_for_every_refusal() {
    for reject in ALL {
        let response = reject.response();
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut parsed = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(len)) = parsed.parse(&response) else {
            panic!("{reject:?}");
        };
        assert_eq!(parsed.code, Some(reject.status()));
        assert_eq!(parsed.reason, Some(reject.reason()));
        let header = |name| {
            parsed
                .headers
                .iter()
                .find(|it| it.name == name)
                .unwrap()
                .value
        };
        assert_eq!(header("Connection"), b"close");
        assert_eq!(
            header("Content-Length"),
            (response.len() - len).to_string().as_bytes()
        );
        assert_eq!(
            &response[len..],
            format!("{}\n", reject.sentence()).as_bytes()
        );
        assert_eq!(
            reject.to_string(),
            format!("{} ({})", reject.sentence(), reject.status())
        );
        assert!(reject.reason() != "Bad Request" || reject.status() == 400);
    }
}

const ALL: [Reject; 38] = [
    Reject::RequestLine,
    Reject::Target,
    Reject::PathEscape,
    Reject::Connect,
    Reject::Version,
    Reject::BareCr,
    Reject::BareLf,
    Reject::ObsFold,
    Reject::SpaceBeforeColon,
    Reject::HeaderName,
    Reject::HeaderValue,
    Reject::HostMissing,
    Reject::HostRepeated,
    Reject::HostInvalid,
    Reject::ContentLength,
    Reject::ContentLengthRepeated,
    Reject::BothFramings,
    Reject::TransferEncoding,
    Reject::TransferCoding,
    Reject::TransferEncodingHttp10,
    Reject::Expectation,
    Reject::HeadTooLarge,
    Reject::TooManyHeaders,
    Reject::UriTooLong,
    Reject::HeadTimeout,
    Reject::BodyTimeout,
    Reject::BodyTooLarge,
    Reject::ChunkSize,
    Reject::ChunkExtension,
    Reject::ChunkEnd,
    Reject::ChunkOverhead,
    Reject::Trailer,
    Reject::TrailerTooLarge,
    Reject::UwsgiBlockTooLarge,
    Reject::UwsgiTooManyVars,
    Reject::UwsgiBlock,
    Reject::UwsgiEmpty,
    Reject::UwsgiModifier,
];
