//! Where a packet ends, and what is too large.

use uwsgi_codec::{Error, Header, Limits, Packet, Status, decode, modifier, ping};

use crate::check::WIDE;
use crate::packet;

fn complete<'a>(bytes: &'a [u8], limits: &Limits) -> Packet<'a> {
    match decode(bytes, limits) {
        Ok(Status::Complete(packet)) => packet,
        other => panic!("not a complete packet: {other:?}"),
    }
}

#[test]
fn datasize_is_little_endian() {
    let header = Header {
        modifier1: 5,
        datasize: 0x1234,
        modifier2: 6,
    };
    assert_eq!(header.to_bytes(), [5, 0x34, 0x12, 6]);
    assert_eq!(Header::parse([5, 0x34, 0x12, 6]), header);
}

#[test]
fn block_is_borrowed_and_the_body_left_alone() {
    let bytes = [packet(0, 0, b"block"), b"body".to_vec()].concat();
    let packet = complete(&bytes, &WIDE);
    assert_eq!(packet.block, b"block");
    assert!(std::ptr::eq(packet.block, &raw const bytes[4..9]));
    assert_eq!(&bytes[packet.len()..], b"body");
}

#[test]
fn every_modifier_passes() {
    for modifier1 in 0..=255 {
        let bytes = packet(modifier1, 255 - modifier1, b"x");
        let header = Header {
            modifier1,
            datasize: 1,
            modifier2: 255 - modifier1,
        };
        assert_eq!(
            complete(&bytes, &WIDE),
            Packet {
                header,
                block: b"x"
            }
        );
    }
}

#[test]
fn empty_block_is_complete_with_the_header() {
    assert_eq!(complete(&[0; 4], &WIDE).len(), 4);
}

#[test]
fn missing_counts_the_header_first_and_the_block_then() {
    let bytes = packet(0, 0, b"0123456789");
    let missing = |len: usize| match decode(&bytes[..len], &WIDE) {
        Ok(Status::Partial { missing }) => missing,
        other => panic!("{len} bytes: {other:?}"),
    };
    assert_eq!([0, 1, 2, 3].map(missing), [4, 3, 2, 1]);
    assert_eq!([4, 5, 13].map(missing), [10, 9, 1]);
}

#[test]
fn block_of_the_limit_is_taken_and_one_byte_more_refused() {
    let limits = Limits::default();
    assert_eq!(limits.block, 4096);
    assert_eq!(complete(&packet(0, 0, &[0; 4096]), &limits).len(), 4100);
    let error = Err(Error::TooLarge {
        datasize: 4097,
        limit: 4096,
    });
    assert_eq!(decode(&packet(0, 0, &[0; 4097]), &limits), error);
}

#[test]
fn too_large_is_known_from_the_header_alone() {
    let error = Err(Error::TooLarge {
        datasize: 0x1001,
        limit: 4096,
    });
    assert_eq!(decode(&[0, 0x01, 0x10, 0], &Limits::default()), error);
    assert_eq!(
        decode(&[0, 0x01, 0x10], &Limits::default()),
        Ok(Status::Partial { missing: 1 })
    );
}

#[test]
fn largest_block_of_all_is_taken() {
    let bytes = packet(0, 0, &[7; 65535]);
    assert_eq!(complete(&bytes, &WIDE).block.len(), 65535);
    let beyond = Limits {
        block: 200_000,
        ..WIDE
    };
    assert_eq!(complete(&bytes, &beyond).block.len(), 65535);
}

#[test]
fn http_on_a_uwsgi_socket_is_recognized() {
    let http = |bytes: &[u8; 4]| Header::parse(*bytes).looks_like_http();
    assert!(http(b"GET ") && http(b"POST") && http(b"HEAD") && http(b"OPTI"));
    assert!(!http(&[0, 0x45, 0x54, 0]) && !http(&ping::REQUEST) && !http(b"get "));
}

#[test]
fn ping_is_four_bytes_either_way() {
    assert_eq!(ping::REQUEST, [100, 0, 0, 0]);
    assert_eq!(ping::RESPONSE, [0x64, 0, 0, 1]);
    let mut out = Vec::new();
    ping::write_response(&mut out, b"");
    assert_eq!(out, ping::RESPONSE);
}

/// As seen with uWSGI 2.0.31: modifier2 is not looked at, nor is a block.
#[test]
fn ping_is_told_by_its_first_byte() {
    for bytes in [
        &ping::REQUEST[..],
        &[100, 0, 0, 1],
        &[100, 0, 0, 5],
        b"\x64\x05\0\0hello",
    ] {
        assert!(ping::is_request(&complete(bytes, &WIDE).header));
    }
    assert!(!ping::is_request(&Header::parse([0; 4])));
}

#[test]
fn ping_carries_a_warning_as_its_block() {
    let mut out = b"before".to_vec();
    ping::write_response(&mut out, b"disk is full");
    assert_eq!(out, b"before\x64\x0c\0\x01disk is full");
}

#[test]
fn ping_cuts_a_warning_that_no_header_can_announce() {
    let mut out = Vec::new();
    ping::write_response(&mut out, &[b'w'; 70_000]);
    let packet = complete(&out, &WIDE);
    assert_eq!(
        (packet.header.modifier1, packet.len()),
        (modifier::PING, out.len())
    );
    assert_eq!(packet.block, [b'w'; 65535]);
}
