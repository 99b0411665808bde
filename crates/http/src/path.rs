//! From the raw path of a request target to PATH_INFO.

use std::borrow::Cow;

use crate::Reject;

/// Percent-decodes a path that begins with `/` and resolves its dot segments (RFC 3986 section 5.2.4).
///
/// Decoding comes first, so that no `.` or `..` segment is left in the result however it was spelled: `/%2e%2e/x`
/// and `/a%2f..%2fx` are `/x`. (uWSGI resolves first and so lets encoded dots through.) Segments that lead above the
/// root are dropped. Repeated slashes stay. Only a path that needs it is copied.
///
/// # Errors
/// [`Reject::PathEscape`] for a `%` without two hexadecimal digits, where uWSGI invents a byte, and for `%00`.
pub(crate) fn resolve(raw: &[u8]) -> Result<Cow<'_, [u8]>, Reject> {
    let path = match memchr::memchr(b'%', raw) {
        None => Cow::Borrowed(raw),
        Some(first) => Cow::Owned(percent_decode(raw, first)?),
    };
    if !has_dot_segment(&path) {
        return Ok(path);
    }
    Ok(Cow::Owned(remove_dot_segments(&path)))
}

/// Decodes the escapes; `first` is where the first one stands.
fn percent_decode(raw: &[u8], first: usize) -> Result<Vec<u8>, Reject> {
    let (plain, mut rest) = raw.split_at(first);
    let mut decoded = Vec::with_capacity(raw.len());
    decoded.extend_from_slice(plain);
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return Err(Reject::PathEscape);
        };
        match (hex_digit(*high), hex_digit(*low)) {
            (Some(0), Some(0)) | (None, _) | (_, None) => return Err(Reject::PathEscape),
            (Some(high), Some(low)) => decoded.push(high << 4 | low),
        }
        rest = tail;
    }
    Ok(decoded)
}

/// The value of a hexadecimal digit.
pub(crate) const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn has_dot_segment(path: &[u8]) -> bool {
    memchr::memchr_iter(b'.', path).any(|dot| {
        let (before, segment) = path.split_at(dot);
        before.ends_with(b"/")
            && matches!(
                segment,
                [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]
            )
    })
}

fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(path.len());
    let mut segments = path
        .strip_prefix(b"/")
        .unwrap_or(path)
        .split(|&byte| byte == b'/')
        .peekable();
    while let Some(segment) = segments.next() {
        let is_dots = matches!(segment, b"." | b"..");
        if segment == b".." {
            let parent = memchr::memrchr(b'/', &resolved).unwrap_or(0);
            resolved.truncate(parent);
        }
        if !is_dots {
            resolved.push(b'/');
            resolved.extend_from_slice(segment);
        } else if segments.peek().is_none() {
            resolved.push(b'/');
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::Reject;

    #[test]
    fn paths() {
        for (raw, path) in [
            ("/", "/"),
            ("/plain/path.html", "/plain/path.html"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/%2e%2e/%2E%2e/etc", "/etc"),
            ("/a%2f..%2fb", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a//../b", "/a/b"),
            ("//a//b/", "//a//b/"),
            ("/..", "/"),
            ("/.", "/"),
            ("/...", "/..."),
            ("/..a/b../.c", "/..a/b../.c"),
            ("/a/../../b/..", "/"),
            ("/a+b%2Bc;x=%3b", "/a+b+c;x=;"),
            ("/%25%32%65", "/%2e"),
        ] {
            assert_eq!(resolve(raw.as_bytes()).unwrap(), path.as_bytes(), "{raw}");
        }
        assert_eq!(resolve(b"/%e4").unwrap(), &b"/\xe4"[..]);
    }

    #[test]
    fn escapes_that_are_refused() {
        for raw in [
            "/%", "/%2", "/%zz", "/%2g", "/%g2", "/a%00b", "/%+1", "/%u0041",
        ] {
            assert_eq!(resolve(raw.as_bytes()), Err(Reject::PathEscape), "{raw}");
        }
    }
}
