//! What must hold for every input. Shared by the property tests, the replay of the corpora and the fuzz targets.

#![allow(dead_code, reason = "a fuzz target uses a part of it")]

use uwsgi_codec::{BlockWriter, Error, HEADER_LEN, Header, Limits, MAX_BLOCK, Status, Vars};

/// Takes everything a header can announce.
pub(crate) const WIDE: Limits = Limits {
    block: MAX_BLOCK,
    vars: usize::MAX,
};

/// Small enough for a short input to pass them.
const NARROW: Limits = Limits { block: 64, vars: 4 };

/// Key and value as owned by a test.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Reads `bytes` as a run of packets.
pub(crate) fn decode(bytes: &[u8]) {
    let unchecked = Vars::revisited(bytes, 3);
    assert!(unchecked.iter().count() <= bytes.len() / 4);
    for limits in [WIDE, NARROW, Limits::default()] {
        let mut rest = bytes;
        while let Some(behind) = one_packet(rest, &limits) {
            rest = behind;
        }
        if let Ok(vars) = Vars::parse(bytes, &limits) {
            walk(vars, bytes, &limits);
            assert_eq!(Vars::revisited(bytes, vars.len()), vars);
        }
    }
}

/// Checks the packet `bytes` begin with; gives what is behind it when it is complete.
fn one_packet<'a>(bytes: &'a [u8], limits: &Limits) -> Option<&'a [u8]> {
    match uwsgi_codec::decode(bytes, limits) {
        Ok(Status::Complete(packet)) => {
            let (own, behind) = bytes.split_at(packet.len());
            assert_eq!(own, [&packet.header.to_bytes(), packet.block].concat());
            block(packet.block, limits);
            Some(behind)
        }
        Ok(Status::Partial { missing }) => {
            assert_missing(bytes, missing, limits);
            None
        }
        Err(error) => {
            let header = Header::parse(bytes[..HEADER_LEN].try_into().unwrap());
            let datasize = usize::from(header.datasize);
            assert_eq!(
                error,
                Error::TooLarge {
                    datasize,
                    limit: limits.block
                }
            );
            assert!(datasize > limits.block);
            None
        }
    }
}

/// `missing` bytes more bring the header, or the packet, to its exact end; one fewer does not.
fn assert_missing(bytes: &[u8], missing: usize, limits: &Limits) {
    assert!(missing > 0);
    if bytes.len() < HEADER_LEN {
        assert_eq!(bytes.len() + missing, HEADER_LEN);
        return;
    }
    let whole = [bytes, &vec![0; missing]].concat();
    let shorter = &whole[..whole.len() - 1];
    assert!(
        matches!(uwsgi_codec::decode(&whole, limits), Ok(Status::Complete(packet)) if packet.len() == whole.len())
    );
    assert!(matches!(
        uwsgi_codec::decode(shorter, limits),
        Ok(Status::Partial { .. })
    ));
}

fn block(block: &[u8], limits: &Limits) {
    match Vars::parse(block, limits) {
        Ok(vars) => walk(vars, block, limits),
        Err(Error::EmptyKey { at }) => assert_eq!(block[at..at + 2], [0, 0]),
        Err(Error::Truncated { at }) => assert!(at <= block.len() && reaches_beyond(&block[at..])),
        Err(error) => assert_eq!(error, Error::TooManyVars { limit: limits.vars }),
    }
}

fn reaches_beyond(block: &[u8]) -> bool {
    match block {
        [low, high, rest @ ..] => usize::from(u16::from_le_bytes([*low, *high])) > rest.len(),
        _ => true,
    }
}

/// A block has one reading only: written again it is the same bytes.
fn walk(vars: Vars<'_>, block: &[u8], limits: &Limits) {
    assert!(
        vars.block() == block && vars.len() <= limits.vars && vars.len() == vars.iter().count()
    );
    assert_eq!(vars.is_empty(), block.is_empty());
    let mut again = Vec::new();
    let mut writer = BlockWriter::block(&mut again);
    for (key, value) in vars {
        assert!(!key.is_empty());
        writer.push(key, value).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), vars);
    assert_eq!(again, block);
    for (key, _) in vars.iter().take(8) {
        let last = vars.iter().filter(|(name, _)| *name == key).last();
        assert_eq!(vars.get(key), last.map(|(_, value)| value));
    }
}

/// Writes the pairs in each way the writer has; what it takes comes back as it was given.
pub(crate) fn round_trip(pairs: &[Pair]) {
    let mut outs = [const { Vec::new() }; 3];
    let [pushed, joined, pieced] = &mut outs;
    pushed.extend_from_slice(b"before");
    let mut by_push = BlockWriter::packet(pushed, 7, 9);
    let mut by_parts = BlockWriter::block(joined);
    let mut by_pieces = BlockWriter::block(pieced);
    let mut taken = Vec::new();
    let mut size = 0;
    for pair @ (key, value) in pairs {
        let expected = verdict(pair, size);
        assert_eq!(by_push.push(key, value), expected);
        let ((k1, k2), (v1, v2)) = (halves(key), halves(value));
        assert_eq!(by_parts.push_parts(&[k1, k2], &[v1, v2]), expected);
        assert_eq!(by_piece(&mut by_pieces, key, value), expected);
        if expected.is_ok() {
            size += 4 + key.len() + value.len();
            taken.push((&**key, &**value));
        }
        assert_eq!(by_push.vars().len(), taken.len());
    }
    for writer in [by_push, by_parts, by_pieces] {
        let vars = writer.finish().unwrap();
        assert!(vars.iter().eq(taken.iter().copied()) && vars.block().len() == size);
        assert_eq!(Vars::parse(vars.block(), &WIDE), Ok(vars));
    }
    let [pushed, joined, pieced] = &outs;
    let Ok(Status::Complete(packet)) =
        uwsgi_codec::decode(pushed.strip_prefix(b"before").unwrap(), &WIDE)
    else {
        panic!("a written packet is not complete");
    };
    assert_eq!(
        packet.header,
        Header {
            modifier1: 7,
            datasize: u16::try_from(size).unwrap(),
            modifier2: 9
        }
    );
    assert!(packet.block == joined && joined == pieced);
}

fn verdict((key, value): &Pair, size: usize) -> Result<(), Error> {
    match (key.len(), value.len()) {
        (0, _) => Err(Error::EmptyKey { at: size }),
        (k, v) if k > MAX_BLOCK || v > MAX_BLOCK => Err(Error::VarTooLong),
        (k, v) if size + 4 + k + v > MAX_BLOCK => Err(Error::BlockTooLarge),
        _ => Ok(()),
    }
}

/// Gives up a few variables on the way, which must leave no trace.
fn by_piece(writer: &mut BlockWriter<'_>, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let mut given_up = writer.begin_key();
    given_up.extend(b"GIVEN");
    let _ = given_up;
    writer.begin_value(b"GIVEN_UP")?.extend(value);
    let mut writer = writer.begin_key();
    writer.extend_mapped(key, |byte| byte);
    let mut writer = writer.value()?;
    if let Some((first, rest)) = value.split_first() {
        writer.push(*first);
        writer.extend(rest);
    }
    writer.finish()
}

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len() / 2)
}

/// Pairs out of a fuzzer's bytes: length bytes and strings in turn, a length counted in steps that grow so that a few
/// input bytes reach the limits of 65,535.
pub(crate) fn pairs(mut bytes: &[u8]) -> Vec<Pair> {
    let mut string = || {
        let (&len, rest) = bytes.split_first()?;
        let given;
        (given, bytes) = rest.split_at(rest.len().min(usize::from(len % 32)));
        let repeats = if len < 0xe0 { 1 } else { 1 << (len % 13) };
        Some(given.repeat(repeats))
    };
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (string(), string()) {
        pairs.push((key, value));
    }
    pairs
}
