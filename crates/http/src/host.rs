//! The value of Host, and the authority of an absolute URI (RFC 9110 section 7.2, RFC 3986 section 3.2).

/// Whether a Host header's value is `host[:port]`, or empty, as a client says when its URI has no host.
pub(crate) fn is_valid(value: &[u8]) -> bool {
    value.is_empty() || is_authority(value)
}

/// Whether the bytes are `host[:port]` with a host that is not empty. A user name is not part of it
/// (RFC 9110 section 4.2.4).
pub(crate) fn is_authority(value: &[u8]) -> bool {
    match value {
        [b'[', rest @ ..] => {
            let Some(end) = memchr::memchr(b']', rest) else {
                return false;
            };
            let (address, port) = rest.split_at(end);
            is_address(address) && is_port(port.get(1..).unwrap_or_default())
        }
        _ => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            let (name, port) = value.split_at(end);
            is_name(name) && is_port(port)
        }
    }
}

/// What stands between the brackets of `[::1]`; a zone is not expected from outside.
fn is_address(bytes: &[u8]) -> bool {
    bytes.contains(&b':')
        && bytes
            .iter()
            .all(|&byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
}

/// A registered name or an IPv4 address.
///
/// Narrower than RFC 3986 in one respect: a comma could stem from two Host headers that somebody has joined.
fn is_name(bytes: &[u8]) -> bool {
    let is_name_byte = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\''
            )
            || matches!(byte, b'(' | b')' | b'*' | b'+' | b';' | b'=')
    };
    !bytes.is_empty() && bytes.iter().all(|&byte| is_name_byte(byte))
}

/// Nothing, or a colon and digits (perhaps none).
fn is_port(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn hosts() {
        for good in [
            "",
            "a",
            "a.example:80",
            "a:",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:80",
            "my_host",
            "xn--a",
            "a%20b",
        ] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in [
            ":80",
            "a:b",
            "a:80:80",
            "a b",
            "a/b",
            "a,b",
            "a@b",
            "u:p@a",
            "a?b",
            "a#b",
            "a\\b",
            "[::1",
            "[::1]x",
            "[]",
            "[a]",
            "[::1%eth0]",
            "a:123456",
            "<a>",
            "a\u{e4}",
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
