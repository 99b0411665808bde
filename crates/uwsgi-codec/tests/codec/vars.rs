//! What a var block may hold. The cases are those a real uWSGI 2.0.31 was shown; where it closes the connection
//! without an answer, there is an error here.

use uwsgi_codec::{Error, Limits, Vars};

use crate::block;
use crate::check::WIDE;

const GOOD: [(&str, &str); 2] = [("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")];

fn good_and(tail: &[u8]) -> Vec<u8> {
    [&block(&GOOD), tail].concat()
}

#[track_caller]
fn assert_fails(block: &[u8], error: Error) {
    assert_eq!(Vars::parse(block, &WIDE), Err(error));
}

#[test]
fn variables_come_in_the_order_sent() {
    let block = good_and(b"");
    let vars = Vars::parse(&block, &WIDE).unwrap();
    let pairs: Vec<_> = vars.iter().collect();
    assert_eq!(
        pairs,
        [(&b"REQUEST_METHOD"[..], &b"GET"[..]), (b"PATH_INFO", b"/")]
    );
    assert_eq!(
        (vars.len(), vars.iter().len(), vars.is_empty()),
        (2, 2, false)
    );
    assert_eq!(vars.block(), block);
}

#[test]
fn iterator_counts_down_and_stays_at_its_end() {
    let block = good_and(b"");
    let mut iter = Vars::parse(&block, &WIDE).unwrap().iter();
    assert_eq!(iter.size_hint(), (2, Some(2)));
    iter.next();
    assert_eq!(iter.len(), 1);
    iter.next();
    assert_eq!((iter.len(), iter.next(), iter.next()), (0, None, None));
}

#[test]
fn empty_block_has_no_variables() {
    let vars = Vars::parse(b"", &WIDE).unwrap();
    assert!(vars.is_empty() && vars.iter().next().is_none());
    assert_eq!(vars, Vars::default());
}

#[test]
fn of_a_repeated_key_the_last_value_counts_and_all_are_walked() {
    let block = block(&[("X", "1"), ("A", "a"), ("X", "2"), ("X", "")]);
    let vars = Vars::parse(&block, &WIDE).unwrap();
    assert_eq!(vars.get(b"X"), Some(&b""[..]));
    assert_eq!(vars.get(b"A"), Some(&b"a"[..]));
    assert_eq!((vars.get(b"x"), vars.get(b"")), (None, None));
    assert_eq!(vars.len(), 4);
}

#[test]
fn value_may_be_empty_anywhere() {
    let block = block(&[("E", ""), ("N", "1"), ("F", "")]);
    let vars = Vars::parse(&block, &WIDE).unwrap();
    assert_eq!(
        (vars.get(b"E"), vars.get(b"F")),
        (Some(&b""[..]), Some(&b""[..]))
    );
}

#[test]
fn keys_and_values_are_any_bytes() {
    let block = b"\x05\0a\xff\0=b\x03\0\0\xff\n";
    let vars = Vars::parse(block, &WIDE).unwrap();
    assert_eq!(vars.get(b"a\xff\0=b"), Some(&b"\0\xff\n"[..]));
    assert_eq!(format!("{vars:?}"), r#"{"a\\xff\\x00=b": "\\x00\\xff\\n"}"#);
}

#[test]
fn empty_key_is_an_error() {
    let at = block(&GOOD).len();
    assert_fails(&good_and(b"\0\0\x01\0v"), Error::EmptyKey { at });
    assert_fails(&good_and(b"\0\0\0\0"), Error::EmptyKey { at });
    assert_fails(
        &[b"\0\0\0\0", &block(&GOOD)[..]].concat(),
        Error::EmptyKey { at: 0 },
    );
    assert_fails(&good_and(b"\0\0\0"), Error::EmptyKey { at });
}

#[test]
fn lengths_must_fit() {
    let at = block(&GOOD).len();
    let (byte, key_only, huge_key) = (b"\0", b"\x03\0", b"\xff\xffA");
    assert_fails(&good_and(byte), Error::Truncated { at });
    assert_fails(&good_and(key_only), Error::Truncated { at });
    assert_fails(&good_and(huge_key), Error::Truncated { at });
    let (no_value, half_length, short_value) =
        (b"\x03\0ABC", b"\x03\0ABC\x01", b"\x03\0ABC\x02\0v");
    assert_fails(&good_and(no_value), Error::Truncated { at: at + 5 });
    assert_fails(&good_and(half_length), Error::Truncated { at: at + 5 });
    assert_fails(&good_and(short_value), Error::Truncated { at: at + 5 });
}

#[test]
fn default_allows_128_variables() {
    let many = |count: usize| block(&vec![("K", ""); count]);
    let limits = Limits::default();
    assert_eq!(Vars::parse(&many(128), &limits).unwrap().len(), 128);
    assert_eq!(
        Vars::parse(&many(129), &limits),
        Err(Error::TooManyVars { limit: 128 })
    );
}

#[test]
fn no_variable_at_all_may_be_the_limit() {
    let limits = Limits { vars: 0, ..WIDE };
    assert!(Vars::parse(b"", &limits).is_ok());
    assert_eq!(
        Vars::parse(b"\0", &limits),
        Err(Error::TooManyVars { limit: 0 })
    );
}

#[test]
fn bytes_are_limited_too() {
    let limits = Limits { block: 5, ..WIDE };
    assert!(Vars::parse(&block(&[("K", "")]), &limits).is_ok());
    let error = Err(Error::TooLarge {
        datasize: 6,
        limit: 5,
    });
    assert_eq!(Vars::parse(&block(&[("K", "v")]), &limits), error);
}

/// `revisited` trusts its caller; what a wrong block costs is wrong variables, never a panic.
#[test]
fn revisited_block_that_was_never_checked_is_seen_up_to_its_first_fault() {
    let block = good_and(b"\x03\0ABC\x02\0v");
    let vars = Vars::revisited(&block, 1);
    assert_eq!(vars.iter().count(), 2);
    assert_eq!(
        (vars.get(b"PATH_INFO"), vars.get(b"ABC")),
        (Some(&b"/"[..]), None)
    );
}

#[test]
fn errors_are_sentences_for_a_log() {
    let sentences = [
        (
            Error::TooLarge {
                datasize: 5000,
                limit: 4096,
            },
            "the block has 5000 bytes, more than the 4096 of buffer-size",
        ),
        (
            Error::EmptyKey { at: 9 },
            "the variable at byte 9 of the block has an empty key",
        ),
        (
            Error::Truncated { at: 9 },
            "the length at byte 9 of the block reaches beyond the end of the block",
        ),
        (
            Error::TooManyVars { limit: 128 },
            "the block has more than 128 variables, the limit that max-vars sets",
        ),
        (
            Error::VarTooLong,
            "a key or value is longer than 65535 bytes",
        ),
        (
            Error::BlockTooLarge,
            "the variables do not fit into one block of 65535 bytes",
        ),
    ];
    for (error, sentence) in sentences {
        assert_eq!(error.to_string(), sentence);
    }
}
