//! Chunked request bodies.

use uwgate_http::{ChunkedDecoder, Reject, Step};

use crate::check::{decode, encode};

#[test]
fn bodies() {
    for (body, data) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n006\r\n world\r\n00\r\n\r\n", "hello world"),
        (
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
        ),
        (
            "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n",
            "hello",
        ),
        ("5;a=b\r\nhello\r\n0;last\r\n\r\n", "hello"),
        ("5; \ta = \"b;\u{e4}\"; c\r\nhello\r\n0\r\n\r\n", "hello"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        (
            "5\r\nhello\r\n0\r\nChecksum: 1\r\nX:\r\nEmpty: \t\r\n\r\n",
            "hello",
        ),
        ("0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n", ""),
    ] {
        for rest in ["", "GET / HTTP/1.1\r\n", "\r\n"] {
            let bytes = format!("{body}{rest}");
            for step in [1, 2, 3, 5, bytes.len()] {
                assert_eq!(
                    decode(bytes.as_bytes(), step),
                    Ok((data.as_bytes().to_vec(), Some(body.len()))),
                    "{bytes:?} in pieces of {step}"
                );
            }
        }
    }
}

#[test]
fn refusals() {
    for (reject, bodies) in [
        (
            Reject::ChunkSize,
            &[
                "\r\n",
                "\r\n\r\n",
                "\n",
                " 5\r\n",
                "5 \r\n",
                "5\t;a\r\n",
                "+5\r\n",
                "-5\r\n",
                "0x5\r\n",
                "-0x0\r\n",
                "5_0\r\n",
                "0_2e\r\n",
                "g\r\n",
                "5g\r\n",
                "5\n",
                "5\rX",
                "5\r\r\n",
                "5\r\r;ABCD\r\n",
                "1these",
                "00000000000000005",
                "fffffffffffffffff",
                ";a\r\n",
                "\u{85}5",
                "INVALID!!!\r\n",
                "5\r\nhello\r\n\r\n",
                "5\r\nhello\r\nZ",
                "1\r0\n",
            ][..],
        ),
        (
            Reject::ChunkExtension,
            &[
                "5;\r\n",
                "5; \r\n",
                "5;\n",
                "5;;a\r\n",
                "5;=\r\n",
                "5;a\n",
                "5;a=\"\n\"\r\n",
                "5;a\0\r\n",
                "5;a=\x0b\r\n",
                "5;\"a\"\r\n",
                "5;a=\x7f\r\n",
                "2;\n0\r\n",
            ],
        ),
        (
            Reject::ChunkEnd,
            &[
                "5\r\nhelloX",
                "5\r\nhello\n",
                "5\r\nhello\rX",
                "5\r\nhello\r\r",
                "5\r\nhello!\r\n",
                "5\r\nhello0\r\n",
                "a\r\n0123456789\n",
                "1\r\nZ0",
                "1\r\n\r\n0",
            ],
        ),
        (
            Reject::Trailer,
            &[
                "0\r\nX\r\n",
                "0\r\n X: y\r\n",
                "0\r\n: y\r\n",
                "0\r\nX : y\r\n",
                "0\r\nX: y\n",
                "0\r\nX: \0\r\n",
                "0\r\nX: y\rZ",
                "0\r\nX: y\r\n z\r\n",
                "0\r\n\n",
                "0\r\n\rX",
                "0\r\n\r\r",
                "0\r\nX:POST / HTTP/1.1\r\n\rX",
                "0\r\nGET / HTTP/1.1\r\n",
            ],
        ),
    ] {
        for body in bodies {
            for step in [1, body.len()] {
                assert_eq!(
                    decode(body.as_bytes(), step),
                    Err(reject),
                    "{body:?} in pieces of {step}"
                );
            }
            assert_eq!(reject.status(), 400);
        }
    }
    assert_eq!(decode(b"5;a\r\r\n", 1), Err(Reject::ChunkSize));
    assert_eq!(decode(b"41;a=b\r\rXX", 3), Err(Reject::ChunkSize));
}

#[test]
fn sizes_beyond_what_can_be_counted() {
    for size in ["8000000000000000", "ffffffffffffffff"] {
        assert_eq!(
            decode(format!("{size}\r\n").as_bytes(), 1),
            Err(Reject::BodyTooLarge)
        );
    }
    let sum = "7fffffffffffffff\r\n";
    assert_eq!(decode(sum.as_bytes(), 1), Ok((vec![], None)));
    let two = "1\r\nx\r\n7fffffffffffffff\r\n";
    assert_eq!(decode(two.as_bytes(), 1), Err(Reject::BodyTooLarge));
}

#[test]
fn a_limit_is_kept_as_soon_as_a_size_is_known() {
    let mut decoder = ChunkedDecoder::with_limit(8);
    let step = decoder.decode(b"5\r\nhello\r\n").unwrap();
    assert_eq!(
        step,
        Step {
            consumed: 8,
            data: 3..8,
            done: false
        }
    );
    assert_eq!(decoder.decode(b"\r\n4\r\n"), Err(Reject::BodyTooLarge));
    assert_eq!(Reject::BodyTooLarge.status(), 413);

    let mut decoder = ChunkedDecoder::with_limit(5);
    assert_eq!(decoder.decode(b"5\r\nhello").unwrap().data, 3..8);
    assert!(decoder.decode(b"\r\n0\r\n\r\n").unwrap().done);
    assert_eq!(
        ChunkedDecoder::with_limit(0)
            .decode(b"0\r\n\r\n")
            .map(|it| it.done),
        Ok(true)
    );
}

#[test]
fn data_is_given_where_it_lies_and_what_follows_is_left() {
    let input = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /";
    let mut decoder = ChunkedDecoder::default();
    assert_eq!(
        decoder.decode(input),
        Ok(Step {
            consumed: 6,
            data: 3..6,
            done: false
        })
    );
    assert_eq!(
        decoder.decode(&input[6..]),
        Ok(Step {
            consumed: 7,
            data: 5..7,
            done: false
        })
    );
    let end = decoder.decode(&input[13..]).unwrap();
    assert_eq!(
        (end.consumed, end.data.is_empty(), end.done),
        (7, true, true)
    );
    let after = decoder.decode(&input[20..]).unwrap();
    assert_eq!((after.consumed, after.done), (0, true));
}

/// AWS clients sign each chunk in its extension; an attacker sends extensions only.
#[test]
fn extensions_are_paid_for_by_data() {
    let signature = format!(
        "100;chunk-signature={}\r\n{}\r\n",
        "s".repeat(64),
        "x".repeat(256)
    );
    let mut body = signature.repeat(500);
    body.push_str("0\r\n\r\n");
    assert_eq!(decode(body.as_bytes(), 4096).unwrap().0.len(), 500 * 256);

    let flood = format!("1;a={}\r\nx\r\n", "e".repeat(200)).repeat(200);
    assert_eq!(decode(flood.as_bytes(), 4096), Err(Reject::ChunkOverhead));
    let endless = format!("1;a={}", "e".repeat(20_000));
    assert_eq!(decode(endless.as_bytes(), 4096), Err(Reject::ChunkOverhead));
}

#[test]
fn an_endless_trailer() {
    let long = format!("0\r\nX: {}", "y".repeat(9_000));
    assert_eq!(decode(long.as_bytes(), 4096), Err(Reject::TrailerTooLarge));
    let many = format!("0\r\n{}", "X: y\r\n".repeat(2_000));
    assert_eq!(decode(many.as_bytes(), 4096), Err(Reject::TrailerTooLarge));
    assert_eq!(Reject::TrailerTooLarge.status(), 431);
}

#[test]
fn our_own_encoding() {
    let data: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for size in [1, 15, 16, 255, 256, 4096, 5000] {
        let encoded = encode(&data, size);
        assert_eq!(
            decode(&encoded, 1000),
            Ok((data.clone(), Some(encoded.len())))
        );
    }
}
