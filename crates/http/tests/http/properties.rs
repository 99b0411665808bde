//! Properties over generated requests, bodies and responses.

use proptest::prelude::*;
use proptest::sample::select;

use crate::check;

/// Pieces of which requests, right and wrong ones, are made. Together they reach far deeper than random bytes.
const PIECES: [&str; 44] = [
    "GET ",
    "POST ",
    "/ HTTP/1.1\r\n",
    "/a/../%2e%2E/b?c HTTP/1.0\r\n",
    "http://h:1/x HTTP/1.1\r\n",
    "* HTTP/1.1\r\n",
    "OPTIONS ",
    "Host: h\r\n",
    "Host: ",
    "Content-Length: 5\r\n",
    "content-length: 0\r\n",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: ",
    "Connection: close\r\n",
    "Connection: keep-alive, x\r\n",
    "Expect: 100-continue\r\n",
    "Cookie: a\r\n",
    "cookie: b\r\n",
    "X-A: 1\r\n",
    "x-a: 2\r\n",
    "X_A: 3\r\n",
    "Proxy: x\r\n",
    "Content-Type: t\r\n",
    "A:1\r\n",
    "a: _\r\n",
    "\r\n",
    "\r\n\r\n",
    "\r",
    "\n",
    " ",
    "\t",
    ":",
    ",",
    "\0",
    "%",
    "0",
    "chunked",
    "\u{e4}",
    "_",
    "-",
    "A-Name-That-Is-Longer-Than-32-Bytes-Is-Rare: x\r\n",
    "a-name-that-is-longer-than-32-bytes-is-rare: y\r\n",
    "A-Name-That-Is-Longer-Than-32-Bytes_: z\r\n",
];

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let lines = (
        0..3_usize,
        prop::collection::vec(select(&PIECES[..]), 0..24),
        any::<bool>(),
    );
    lines.prop_map(|(start, pieces, ends)| {
        let start = ["", "GET / HTTP/1.1\r\nHost: h\r\n", "POST /x HTTP/1.0\r\n"][start];
        let end = if ends { "\r\n" } else { "" };
        format!("{start}{}{end}", pieces.concat()).into_bytes()
    })
}

fn token() -> impl Strategy<Value = String> {
    let chars: Vec<char> = "!#$%&'*+-.^`|~09azAZbc".chars().collect();
    prop::collection::vec(select(chars), 1..40).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = String> {
    let chars: Vec<char> = "\t !~:,;_/aZ09%\u{e4}".chars().collect();
    prop::collection::vec(select(chars), 0..60).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn requests_of_pieces(bytes in requests()) {
        check::head(&bytes);
    }

    #[test]
    fn any_bytes_as_request(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check::head(&bytes);
    }

    /// The check itself compares what was accepted; here everything must be.
    #[test]
    fn requests_in_order_are_accepted(
        method in token(),
        headers in prop::collection::vec((token(), value()), 0..20),
    ) {
        let special = |name: &String| {
            ["content-length", "transfer-encoding", "host", "expect"].contains(&name.to_ascii_lowercase().as_str())
        };
        prop_assume!(method != "CONNECT" && method.len() <= 32 && !headers.iter().any(|(name, _)| special(name)));
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
        let request = format!("{method} /p?q HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let (head, _) = crate::accepted(&request);
        prop_assert_eq!(head.len, request.len());
        check::head(request.as_bytes());
    }

    #[test]
    fn chunked_bodies(data in prop::collection::vec(any::<u8>(), 0..300), size in 1..64_usize, step in 1..64_usize) {
        let encoded = check::encode(&data, size);
        let len = encoded.len();
        let bytes = [&encoded[..], b"GET /"].concat();
        prop_assert_eq!(check::decode(&bytes, step), Ok((data, Some(len))));
    }

    #[test]
    fn chunked_bodies_of_pieces(
        pieces in prop::collection::vec(
            select(&["0", "5", "5\r\nhello", "\r\n", "\r", "\n", ";a=b", ";", " ", "0\r\n\r\n", "X: y\r\n", "f", "\0", "x"][..]),
            0..16,
        ),
    ) {
        check::chunked(pieces.concat().as_bytes());
    }

    #[test]
    fn responses_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        check::response(&bytes);
    }

    #[test]
    fn responses_of_pieces(
        choice in any::<u8>(),
        status in select(&["200 OK", "204 No", "304 Same", "500 \u{7f}", "200 O\r\nK"][..]),
        words in prop::collection::vec(
            select(&["Content-Length", "5", "6", "A", "b\r\nC: d", "Date", "x ", " \t", "Connection", "transfer-encoding", "", "e\n"][..]),
            0..20,
        ),
    ) {
        let mut bytes = vec![choice];
        bytes.extend_from_slice(status.as_bytes());
        for word in words {
            bytes.push(0xff);
            bytes.extend_from_slice(word.as_bytes());
        }
        check::response(&bytes);
    }
}
