//! Byte classes and lists of RFC 9110 section 5.6.

/// Whether the bytes are a token, such as a method or a header's name.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether a byte may stand in a token.
#[inline]
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
}

/// Whether the bytes have a control character other than the tab, which no header's value and no reason phrase may have.
/// All are looked at, since that is faster than to stop at the first.
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(false, |found, &byte| found | is_control(byte))
}

#[inline]
pub(crate) const fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// The members of a comma-separated list, blanks around them removed; empty members included.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_blanks)
}

/// Removes spaces and tabs at both ends.
pub(crate) fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A number of bytes: decimal digits only, below 2^63 (what every file offset and Python size can hold), and without
/// leading zeros, which some programs take for octal.
pub(crate) fn length(digits: &[u8]) -> Option<u64> {
    if let [] | [b'0', _, ..] = digits {
        return None;
    }
    let mut number: u64 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(byte - b'0'))?;
    }
    i64::try_from(number).is_ok().then_some(number)
}

/// Where `part` begins in `whole`, if it is a part of it.
pub(crate) fn offset_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    let offset = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (offset + part.len() <= whole.len()).then_some(offset)
}
