//! What holds for every input, on inputs made up by proptest.

use proptest::collection::vec;
use proptest::prelude::*;
use uwsgi_codec::{Status, decode};

use crate::check::{self, Pair, WIDE};
use crate::packet;

/// Miri is slow, and may not write the file of failures.
fn config() -> ProptestConfig {
    match cfg!(miri) {
        true => ProptestConfig {
            cases: 8,
            failure_persistence: None,
            ..ProptestConfig::default()
        },
        false => ProptestConfig {
            cases: 1024,
            ..ProptestConfig::default()
        },
    }
}

fn string(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 0..max), 1 => "[A-Z_]{0,20}".prop_map(String::into_bytes)]
}

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    vec((string(12), string(40)), 0..20)
}

/// Bytes that look like a block but for a change in one place.
fn damaged_block() -> impl Strategy<Value = Vec<u8>> {
    (pairs(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(pairs, place, byte)| {
        let mut block = Vec::new();
        for string in pairs.iter().flat_map(|(key, value)| [key, value]) {
            block.extend(u16::try_from(string.len()).unwrap().to_le_bytes());
            block.extend(string);
        }
        if !block.is_empty() {
            let place = place.index(block.len());
            block[place] = byte;
        }
        block
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        check::decode(&bytes);
    }

    #[test]
    fn damaged_blocks_are_read_or_refused(block in damaged_block()) {
        check::decode(&block);
        check::decode(&packet(0, 0, &block));
    }

    #[test]
    fn written_variables_come_back(pairs in pairs()) {
        check::round_trip(&pairs);
    }

    #[test]
    fn every_prefix_is_partial_and_knows_what_is_missing(modifiers in any::<(u8, u8)>(), block in vec(any::<u8>(), 0..200)) {
        let whole = packet(modifiers.0, modifiers.1, &block);
        for len in 0..whole.len() {
            let missing = if len < 4 { 4 - len } else { whole.len() - len };
            prop_assert_eq!(decode(&whole[..len], &WIDE), Ok(Status::Partial { missing }));
        }
    }
}

#[test]
fn long_strings_meet_the_limits() {
    let long = |len| vec![b'x'; len];
    for len in [65530, 65531, 65535, 65536] {
        check::round_trip(&[
            (b"K".to_vec(), long(len)),
            (long(len), Vec::new()),
            (b"L".to_vec(), b"1".to_vec()),
        ]);
    }
}
