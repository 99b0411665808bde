//! The shapes by which requests are smuggled past a front server: a header that one parser takes for
//! `Transfer-Encoding: chunked` or a Content-Length and another does not. None may be understood here, and none may be
//! passed over where somebody else could understand it. Collected from published lists of attacks and of bugs in other
//! servers.

use uwgate_http::{Framing, Parsed};

use crate::outcome;

/// Lines in place of `Transfer-Encoding: chunked`.
const DISGUISES: [&str; 37] = [
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding\t: chunked\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding: \x0cchunked\r\n",
    "Transfer-Encoding: chunked\x0b\r\n",
    "Transfer-Encoding: chunked\0\r\n",
    "Transfer-Encoding: chunked\r\r\n",
    "Transfer-Encoding: chunked\n\r\n",
    "Transfer-Encoding:\n chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding:\r\n \r\n chunked\r\n",
    "Transfer-Encoding\n : chunked\r\n",
    "Transfer-Encoding\n: chunked\r\n",
    "Transfer-Encoding x: chunked\r\n",
    "Transfer Encoding: chunked\r\n",
    "Transfer\\Encoding: chunked\r\n",
    "Transfer-\r\nEncoding: chunked\r\n",
    "Tra\rnsfer-Encoding: chunked\r\n",
    "\0Transfer-Encoding: chunked\r\n",
    " Transfer-Encoding: chunked\r\n",
    "Foo: bar\r\n Transfer-Encoding: chunked\r\n",
    "Foo: bar\r\n\tTransfer-Encoding: chunked\r\n",
    "Foo: bar\rTransfer-Encoding: chunked\r\n",
    "Foo: bar\nTransfer-Encoding: chunked\r\n",
    "Foo: bar\r\n\rTransfer-Encoding: chunked\r\n",
    ": ignored\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
    "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: chunked, cow\r\n",
    "Transfer-Encoding: ,chunked\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: 'chunked'\r\n",
    "Transfer-Encoding: =?iso-8859-1?B?Y2h1bmtlZA==?=\r\n",
    "Transfer-Encoding: chunk\u{e9}d\r\n",
    "Transfer-Encoding: chunked;x\r\n",
    "Transfer-Encoding: \u{a0}chunked\u{a0}\r\n",
];

/// Lines that other parsers have taken for a Content-Length.
const LENGTHS: [&str; 16] = [
    "Content-Length : 5\r\n",
    "Content-Length\u{85}: 5\r\n",
    "Content-Length 5\r\n",
    "Content-Length:\r\n 5\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: 05\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 0 5\r\n",
    "Content-Length: 5e0\r\n",
    "Content-Length: 5.0\r\n",
    "Content-Length: 0, 5\r\n",
    "Content-Length: 5, 0\r\n",
    "Content-Length: 5_\r\n",
    "Content-Length: 5\0\r\n",
    "X-Invalid Y: \r\nContent-Length: 5\r\n",
];

#[track_caller]
fn refused(lines: &str) {
    let request: Vec<u8> = format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n0\r\n\r\n")
        .chars()
        .map(|char| u8::try_from(char).unwrap())
        .collect();
    assert!(outcome(&request).is_err(), "{}", request.escape_ascii());
}

#[test]
fn disguised_transfer_encodings() {
    for disguise in DISGUISES {
        refused(disguise);
        refused(&format!("Content-Length: 5\r\n{disguise}"));
        refused(&format!("{disguise}Content-Length: 5\r\n"));
        refused(&format!("Transfer-Encoding: chunked\r\n{disguise}"));
    }
}

#[test]
fn disguised_lengths() {
    for disguise in LENGTHS {
        refused(disguise);
        refused(&format!("Content-Length: 5\r\n{disguise}"));
        refused(&format!("Transfer-Encoding: chunked\r\n{disguise}"));
    }
}

/// What is told apart by letter case or blanks only means what it says.
#[test]
fn harmless_spellings() {
    for line in [
        "TRANSFER-ENCODING: chunked\r\n",
        "tRANSFER-ENCODING: CHUNKED\r\n",
        "Transfer-Encoding:chunked\r\n",
        "Transfer-Encoding:\tchunked\t\r\n",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: h\r\n{line}\r\n");
        let Ok(Parsed::Complete(head)) = outcome(request.as_bytes()) else {
            panic!("{line}");
        };
        assert_eq!(head.framing, Framing::Chunked, "{line}");
    }
}

/// These are dropped, so that neither we nor a backend behind us can take them for the header they resemble.
#[test]
fn names_with_underscores_frame_nothing() {
    for line in [
        "Transfer_Encoding: chunked\r\n",
        "Content_Length: 5\r\n",
        "transfer_encoding: x\r\n",
    ] {
        let (head, vars) = crate::accepted(format!("POST / HTTP/1.1\r\nHost: h\r\n{line}\r\n"));
        assert_eq!(head.framing, Framing::None);
        assert_eq!(vars.len(), 11);
    }
}

/// The second request in a body's place is a request of its own only where the framing says so.
#[test]
fn a_request_in_a_get_body_is_body() {
    let inner = "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n";
    let outer = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    let (head, _) = crate::accepted(&outer);
    assert_eq!(head.framing, Framing::Length(inner.len() as u64));
    assert_eq!(&outer[head.len..], inner);
}
