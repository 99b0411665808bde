//! The writer's limits, and what a failed or abandoned variable leaves behind: nothing.

use uwsgi_codec::{BlockWriter, Error, Vars, modifier};

use crate::check::WIDE;
use crate::{block, packet};

#[test]
fn packet_gets_its_length() {
    let mut out = b"before".to_vec();
    let mut writer = BlockWriter::packet(&mut out, modifier::WSGI_MANAGE_PATH_INFO, 2);
    writer.push(b"K", b"value").unwrap();
    let vars = writer.finish().unwrap();
    assert_eq!((vars.len(), vars.get(b"K")), (1, Some(&b"value"[..])));
    assert_eq!(
        out,
        [b"before", &packet(30, 2, &block(&[("K", "value")]))[..]].concat()
    );
}

#[test]
fn bare_block_has_no_header() {
    let mut out = Vec::new();
    let mut writer = BlockWriter::block(&mut out);
    writer.push(b"K", b"").unwrap();
    writer.finish().unwrap();
    assert_eq!(out, b"\x01\0K\0\0");
}

#[test]
fn packet_without_variables_is_its_header() {
    let mut out = Vec::new();
    assert!(
        BlockWriter::packet(&mut out, 100, 1)
            .finish()
            .unwrap()
            .is_empty()
    );
    assert_eq!(out, [100, 0, 0, 1]);
}

#[test]
fn parts_and_pieces_join() {
    let mut out = Vec::new();
    let mut writer = BlockWriter::block(&mut out);
    writer
        .push_parts(&[b"HTTP_", b"HOST"], &[b"a", b"", b".test"])
        .unwrap();
    let mut key = writer.begin_key();
    key.extend(b"HTTP_");
    key.extend_mapped(b"x-y", |byte| {
        if byte == b'-' {
            b'_'
        } else {
            byte.to_ascii_uppercase()
        }
    });
    let mut value = key.value().unwrap();
    value.extend(b"1");
    value.push(b',');
    value.extend(b" 2");
    value.finish().unwrap();
    writer.begin_value(b"EMPTY").unwrap().finish().unwrap();
    let expected = block(&[("HTTP_HOST", "a.test"), ("HTTP_X_Y", "1, 2"), ("EMPTY", "")]);
    assert_eq!(writer.vars(), Vars::parse(&expected, &WIDE).unwrap());
    writer.finish().unwrap();
    assert_eq!(out, expected);
}

#[test]
fn variables_given_up_leave_no_trace() {
    let mut out = Vec::new();
    let mut writer = BlockWriter::packet(&mut out, 0, 0);
    writer.push(b"A", b"1").unwrap();
    writer.begin_key().extend(b"KEY");
    assert_eq!(writer.vars().len(), 1);
    writer.begin_value(b"KEY").unwrap().extend(b"value");
    assert_eq!(writer.vars().block(), block(&[("A", "1")]));
    writer.push(b"B", b"2").unwrap();
    writer.begin_value(b"LAST").unwrap().extend(b"value");
    writer.finish().unwrap();
    assert_eq!(out, packet(0, 0, &block(&[("A", "1"), ("B", "2")])));
}

#[test]
fn empty_key_is_refused_as_it_would_be_on_reading() {
    let mut out = Vec::new();
    let mut writer = BlockWriter::packet(&mut out, 0, 0);
    writer.push(b"A", b"1").unwrap();
    assert_eq!(writer.push(b"", b"x"), Err(Error::EmptyKey { at: 6 }));
    assert_eq!(
        writer.begin_key().value().err(),
        Some(Error::EmptyKey { at: 6 })
    );
    writer.finish().unwrap();
    assert_eq!(out, packet(0, 0, &block(&[("A", "1")])));
}

#[test]
fn key_or_value_beyond_its_length_field_is_refused() {
    let long = vec![b'x'; 65536];
    let mut out = Vec::new();
    let mut writer = BlockWriter::block(&mut out);
    assert_eq!(writer.push(&long, b""), Err(Error::VarTooLong));
    assert_eq!(writer.push(b"K", &long), Err(Error::VarTooLong));
    assert!(writer.finish().unwrap().is_empty());
    assert!(out.is_empty());
}

#[test]
fn block_ends_at_65535_bytes() {
    let mut out = Vec::new();
    let mut writer = BlockWriter::packet(&mut out, 0, 0);
    writer.push(b"K", &vec![b'x'; 65535 - 5 - 5]).unwrap();
    assert_eq!(writer.push(b"K", b"v"), Err(Error::BlockTooLarge));
    assert_eq!(writer.push(b"KK", b""), Err(Error::BlockTooLarge));
    writer.push(b"L", b"").unwrap();
    assert_eq!(writer.push(b"M", b""), Err(Error::BlockTooLarge));
    assert_eq!(writer.finish().unwrap().len(), 2);
    assert_eq!(out.len(), 4 + 65535);
    assert_eq!(out[..4], [0, 0xff, 0xff, 0]);
}

#[test]
fn buffer_is_reused_without_growing() {
    let mut out = Vec::with_capacity(64);
    let before = out.as_ptr();
    for _ in 0..3 {
        out.clear();
        let mut writer = BlockWriter::packet(&mut out, 0, 0);
        writer.push(b"KEY", &[b'v'; 50]).unwrap();
        writer.finish().unwrap();
    }
    assert_eq!((out.as_ptr(), out.len()), (before, 61));
}
