//! A hash that is the same on every host, in every version: hosts must agree on who runs what, and an emperor that
//! takes another's place must find what it already runs unchanged.

/// FNV-1a over the parts with a mark between them, then the finish of MurmurHash3, as FNV alone hardly stirs the upper
/// bits of short texts.
pub(crate) fn stable_hash(parts: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut stir = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for part in parts {
        part.iter().copied().for_each(&mut stir);
        // No part of UTF-8 text holds this byte.
        stir(0xff);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_for_ever() {
        // Hosts of different versions share one table: this value must never change.
        assert_eq!(
            stable_hash(&[b"web1", b"blog.ini"]),
            stable_hash(&[b"web1", b"blog.ini"])
        );
        assert_ne!(stable_hash(&[b"ab", b"c"]), stable_hash(&[b"a", b"bc"]));
    }
}
