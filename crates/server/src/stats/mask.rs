//! Which request variables are nobody's business, and what is shown instead.

/// What stands for a secret.
const MASK: &str = "***";

/// Parts of names (in upper case) whose values are secrets.
const SECRETS: [&str; 8] = [
    "AUTHORIZATION",
    "COOKIE",
    "TOKEN",
    "SECRET",
    "KEY",
    "PASSWORD",
    "PASSWD",
    "SESSION",
];

/// Variables that hold a URI or the query string of one.
const WITH_QUERY: [&str; 3] = ["QUERY_STRING", "REQUEST_URI", "HTTP_REFERER"];

/// `KEY=value`, as much of it as may be shown.
pub(crate) fn shown(key: &[u8], value: &[u8], show_secrets: bool) -> String {
    let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
    match show_secrets {
        true => format!("{key}={value}"),
        false => masked(&key, &value),
    }
}

/// `KEY=value` without what would let a reader of the statistics in elsewhere.
fn masked(key: &str, value: &str) -> String {
    if is_secret(key) {
        return format!("{key}={}", if value.is_empty() { "" } else { MASK });
    }
    match key {
        "QUERY_STRING" => format!("{key}={}", masked_query(value)),
        _ if WITH_QUERY.contains(&key) => format!("{key}={}", masked_uri(value)),
        _ => format!("{key}={value}"),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// Credentials before the host go as well: `https://user:word@host/`.
fn masked_uri(uri: &str) -> String {
    let (path, query) = match uri.split_once('?') {
        Some((path, query)) => (path, Some(masked_query(query))),
        None => (uri, None),
    };
    let mut shown = match path.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.rsplit_once('@');
            let host = host.map_or_else(
                || authority.to_owned(),
                |(_, host)| format!("{MASK}@{host}"),
            );
            format!("{scheme}://{host}{path}")
        }
        None => path.to_owned(),
    };
    if let Some(query) = query {
        shown.push('?');
        shown.push_str(&query);
    }
    shown
}

/// A name may be written with percent escapes, so they are looked through.
fn masked_query(query: &str) -> String {
    let mut shown = String::with_capacity(query.len());
    for (at, pair) in query.split('&').enumerate() {
        if at > 0 {
            shown.push('&');
        }
        match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() && is_secret(&unescaped(name)) => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(MASK);
            }
            _ => shown.push_str(pair),
        }
    }
    shown
}

fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.split_at_checked(2).filter(|_| *first == b'%');
        let byte = escape.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = byte.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        for (key, value, shown) in [
            ("HTTP_AUTHORIZATION", "Bearer abc", "***"),
            ("HTTP_PROXY_AUTHORIZATION", "Basic abc", "***"),
            ("HTTP_COOKIE", "sessionid=1; a=b", "***"),
            ("HTTP_SET_COOKIE", "sessionid=1", "***"),
            ("HTTP_X_CSRFTOKEN", "1", "***"),
            ("HTTP_X_API_KEY", "1", "***"),
            ("MY_SECRET_THING", "1", "***"),
            ("DB_PASSWORD", "1", "***"),
            ("HTTP_COOKIE", "", ""),
            ("HTTP_HOST", "example.org", "example.org"),
            ("PATH_INFO", "/token/x", "/token/x"),
            (
                "QUERY_STRING",
                "a=1&access_token=x&b",
                "a=1&access_token=***&b",
            ),
            ("QUERY_STRING", "to%6ben=x&Key=y", "to%6ben=***&Key=***"),
            ("QUERY_STRING", "token=", "token="),
            ("QUERY_STRING", "%&%zz=1&=token", "%&%zz=1&=token"),
            ("REQUEST_URI", "/a?password=x&q=1", "/a?password=***&q=1"),
            ("REQUEST_URI", "/a?", "/a?"),
            (
                "HTTP_REFERER",
                "https://user:word@host/p?secret=1",
                "https://***@host/p?secret=***",
            ),
            ("HTTP_REFERER", "https://host/a@b", "https://host/a@b"),
        ] {
            assert_eq!(masked(key, value), format!("{key}={shown}"));
        }
    }
}
