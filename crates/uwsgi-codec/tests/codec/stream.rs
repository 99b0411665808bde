//! Packets over a stream that arrives in pieces.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};
use uwsgi_codec::{CodecError, Error, Header, Limits, PacketBuf, PacketCodec};

use crate::check::WIDE;
use crate::{block, packet};

fn packet_buf(modifier1: u8, modifier2: u8, block: &[u8]) -> PacketBuf {
    let datasize = u16::try_from(block.len()).unwrap();
    let header = Header {
        modifier1,
        datasize,
        modifier2,
    };
    PacketBuf {
        header,
        block: Bytes::copy_from_slice(block),
    }
}

/// Feeds `pieces` one after another, as reads from a socket would.
fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<PacketBuf> {
    let (mut codec, mut buffer, mut packets) =
        (PacketCodec::new(WIDE), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(packet) = codec.decode(&mut buffer).unwrap() {
            packets.push(packet);
        }
    }
    assert!(codec.decode_eof(&mut buffer).unwrap().is_none());
    packets
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_cut_of_a_stream_gives_the_same_packets(
        packets in vec((any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..60)), 0..6),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let packets: Vec<_> = packets.iter().map(|(one, two, block)| packet_buf(*one, *two, block)).collect();
        let mut stream = BytesMut::new();
        for packet in &packets {
            PacketCodec::default().encode(packet.clone(), &mut stream).unwrap();
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &stream[ends[0]..ends[1]]);
        prop_assert_eq!(decode_pieces(pieces), packets);
    }
}

#[test]
fn every_single_cut_and_byte_by_byte() {
    let stream = [
        packet(0, 0, &block(&[("A", "1")])),
        packet(100, 0, b""),
        packet(17, 3, b"xyz"),
    ]
    .concat();
    let whole = decode_pieces([&stream[..]]);
    assert_eq!(whole.len(), 3);
    for cut in 0..=stream.len() {
        let (first, second) = stream.split_at(cut);
        assert_eq!(decode_pieces([first, second]), whole);
    }
    assert_eq!(decode_pieces(stream.chunks(1)), whole);
}

#[test]
fn block_is_shared_with_the_read_buffer() {
    let mut buffer = BytesMut::from(&packet(0, 0, b"block")[..]);
    let start = buffer.as_ptr();
    let packet = PacketCodec::new(WIDE).decode(&mut buffer).unwrap().unwrap();
    assert_eq!(packet.block.as_ptr(), start.wrapping_add(4));
    assert!(buffer.is_empty());
}

#[test]
fn variables_of_an_owned_packet() {
    let packet = packet_buf(0, 0, &block(&[("A", "1"), ("A", "2")]));
    assert_eq!(packet.vars(&WIDE).unwrap().get(b"A"), Some(&b"2"[..]));
    let limits = Limits { vars: 1, ..WIDE };
    assert_eq!(packet.vars(&limits), Err(Error::TooManyVars { limit: 1 }));
}

#[test]
fn too_large_ends_the_stream() {
    let mut buffer = BytesMut::from(&[0, 0x01, 0x10, 0][..]);
    let error = PacketCodec::default().decode(&mut buffer).unwrap_err();
    let expected = Error::TooLarge {
        datasize: 4097,
        limit: 4096,
    };
    assert!(matches!(error, CodecError::Packet(error) if error == expected));
    assert_eq!(error.to_string(), expected.to_string());
}

#[test]
fn end_inside_a_packet_is_an_error() {
    let mut buffer = BytesMut::from(&packet(0, 0, b"block")[..6]);
    let error = PacketCodec::default().decode_eof(&mut buffer).unwrap_err();
    assert!(matches!(error, CodecError::Io(_)));
}

#[test]
fn encoder_counts_the_block_itself() {
    let mut packet = packet_buf(7, 9, b"block");
    packet.header.datasize = 1;
    let mut out = BytesMut::new();
    PacketCodec::default().encode(packet, &mut out).unwrap();
    assert_eq!(out[..], *b"\x07\x05\0\x09block");
}

#[test]
fn encoder_refuses_what_no_header_can_announce() {
    let header = Header {
        modifier1: 0,
        datasize: 0,
        modifier2: 0,
    };
    let packet = PacketBuf {
        header,
        block: vec![0; 65536].into(),
    };
    let mut out = BytesMut::new();
    let error = PacketCodec::default().encode(packet, &mut out).unwrap_err();
    assert!(matches!(error, CodecError::Packet(Error::BlockTooLarge)));
    assert!(out.is_empty());
}
