//! Framing a response's body.

use uwgate_http::{BodyFramer, BodyMode, End};

/// What is sent for these chunks, and how it ends.
fn sent(mode: BodyMode, chunks: &[&str]) -> (String, End) {
    let mut framer = BodyFramer::new(mode);
    let mut sent = Vec::new();
    for chunk in chunks {
        let piece = framer.frame(chunk.len());
        sent.extend_from_slice(piece.prefix());
        sent.extend_from_slice(&chunk.as_bytes()[..piece.take]);
        sent.extend_from_slice(piece.suffix);
    }
    (String::from_utf8(sent).unwrap(), framer.finish())
}

const COMPLETE: End = End {
    bytes: b"",
    missing: 0,
};

#[test]
fn chunks() {
    let (body, end) = sent(
        BodyMode::Chunked,
        &["hello", "", "0123456789abcdef", &"x".repeat(0x1a2b)],
    );
    let expected = format!(
        "5\r\nhello\r\n10\r\n0123456789abcdef\r\n1a2b\r\n{}\r\n",
        "x".repeat(0x1a2b)
    );
    assert_eq!(body, expected);
    assert_eq!(
        end,
        End {
            bytes: b"0\r\n\r\n",
            missing: 0
        }
    );
}

#[test]
fn the_largest_chunk() {
    let piece = BodyFramer::new(BodyMode::Chunked).frame(usize::MAX);
    assert_eq!(piece.prefix(), b"ffffffffffffffff\r\n");
    assert_eq!((piece.take, piece.suffix), (usize::MAX, &b"\r\n"[..]));
}

#[test]
fn no_more_than_the_length_is_sent() {
    assert_eq!(
        sent(BodyMode::Length(5), &["hel", "lo"]),
        ("hello".into(), COMPLETE)
    );
    assert_eq!(
        sent(BodyMode::Length(5), &["hel", "lo, world", "!"]),
        ("hello".into(), COMPLETE)
    );
    assert_eq!(sent(BodyMode::Length(0), &["x"]), (String::new(), COMPLETE));
}

#[test]
fn a_body_that_is_too_short_is_told() {
    let (body, end) = sent(BodyMode::Length(8), &["hello"]);
    assert_eq!((body.as_str(), end.missing), ("hello", 3));
}

#[test]
fn until_close_and_none() {
    assert_eq!(
        sent(BodyMode::Close, &["a", "", "b"]),
        ("ab".into(), COMPLETE)
    );
    assert_eq!(sent(BodyMode::None, &["a", "b"]), (String::new(), COMPLETE));
}

#[test]
fn when_nothing_more_would_be_sent() {
    assert!(BodyFramer::new(BodyMode::None).is_full());
    assert!(BodyFramer::new(BodyMode::Length(0)).is_full());
    assert!(!BodyFramer::new(BodyMode::Chunked).is_full());
    assert!(!BodyFramer::new(BodyMode::Close).is_full());
    let mut framer = BodyFramer::new(BodyMode::Length(3));
    framer.frame(2);
    assert!(!framer.is_full());
    framer.frame(2);
    assert!(framer.is_full());
}
