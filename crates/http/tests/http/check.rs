//! What must hold for any bytes. Shared with the fuzz targets.

use std::collections::HashMap;

use uwgate_http::{
    BodyFramer, BodyMode, ChunkedDecoder, Head, HeadWriter, Limits, Method, Parsed, Peer, Protocol,
    Reject, ResponseRules, Translation, parse,
};
use uwsgi_codec::Vars;

/// Any bytes as a request: no panic, and what is accepted is what httparse and a plain reading of the headers say.
#[allow(dead_code, reason = "each fuzz target uses a part")]
pub(crate) fn head(bytes: &[u8]) {
    let peer = Peer {
        server_name: b"n",
        server_port: b"1",
        remote_addr: b"a",
        remote_port: b"",
        https: true,
    };
    let narrow = Limits {
        head: 256,
        headers: 4,
        uri: 32,
    };
    for limits in [Limits::default(), narrow] {
        let mut block = b"left over".to_vec();
        if let Ok(Parsed::Complete(head)) = parse(bytes, &limits, &peer, &mut block) {
            let written = vars(&block, head.vars);
            assert!(bytes.len() >= head.len);
            let lines = &bytes[head.len - without_blank_lines(&bytes[..head.len]).len()..head.len];
            assert!(lines.len() <= limits.head);
            agrees_with_httparse(lines, &head, &written);
            prefixes_are_partial(&bytes[..head.len], &limits, &peer);
            a_translation_says_the_same(bytes, head.len, &limits, &peer);
        }
    }
}

/// What a connection remembers of its last head makes no difference: not to the same one, nor to one that is different
/// by a single byte or ends elsewhere.
fn a_translation_says_the_same(bytes: &[u8], head: usize, limits: &Limits, peer: &Peer<'_>) {
    let changed = |at: usize| {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        changed
    };
    let mut translation = Translation::default();
    let same = bytes.to_vec();
    for next in [
        &same,
        &same,
        &changed(head / 2),
        &same,
        &same[..head - 1].to_vec(),
        &same[..head].to_vec(),
        &changed(head - 1),
        &same,
        &changed(0),
    ] {
        let mut block = Vec::new();
        let parsed = parse(next, limits, peer, &mut block);
        assert_eq!(translation.translate(next, limits, peer), parsed);
        if matches!(parsed, Ok(Parsed::Complete(_))) {
            assert_eq!(translation.block(), block);
        }
    }
}

fn without_blank_lines(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes
}

fn agrees_with_httparse(lines: &[u8], head: &Head, written: &[(String, String)]) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(
        request.parse(lines),
        Ok(httparse::Status::Complete(lines.len()))
    );
    assert!(
        !lines
            .windows(2)
            .any(|pair| pair[1] == b'\n' && pair[0] != b'\r'),
        "a lone LF"
    );

    let map: HashMap<_, _> = written.iter().cloned().collect();
    assert_eq!(map.len(), written.len(), "every key once");
    assert_eq!(map["REQUEST_METHOD"], request.method.unwrap());
    assert_eq!(map["REQUEST_URI"], latin1(request.path.unwrap().as_bytes()));
    assert_eq!(
        map["SERVER_PROTOCOL"],
        format!("HTTP/1.{}", request.version.unwrap())
    );
    let path = &map["PATH_INFO"];
    assert!(path == "*" || path.starts_with('/'));
    assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")));
    assert!(!path.contains('\0'));

    let expected = joined(request.headers);
    let is_absolute = !matches!(request.path.unwrap().as_bytes(), [b'/', ..] | b"*");
    for (key, value) in &expected {
        if !(is_absolute && key == "HTTP_HOST") {
            assert_eq!(map.get(key), Some(value), "{key}");
        }
    }
    let of_headers = |key: &str| key.starts_with("HTTP_") || key.starts_with("CONTENT_");
    for (key, _) in written.iter().filter(|(key, _)| of_headers(key)) {
        assert!(
            expected.contains_key(key) || (is_absolute && key == "HTTP_HOST"),
            "{key}"
        );
    }
    frames_once(&expected, head);
}

/// The variables that the headers should become.
fn joined(headers: &[httparse::Header<'_>]) -> HashMap<String, String> {
    let mut joined: HashMap<String, String> = HashMap::new();
    for header in headers {
        let name = header.name.to_ascii_uppercase();
        if name.contains('_') || name == "PROXY" {
            continue;
        }
        let key = match name.as_str() {
            "CONTENT-TYPE" | "CONTENT-LENGTH" => name.replace('-', "_"),
            _ => format!("HTTP_{}", name.replace('-', "_")),
        };
        let value = latin1(header.value);
        let separator = if key == "HTTP_COOKIE" { "; " } else { ", " };
        joined
            .entry(key)
            .and_modify(|it| *it = format!("{it}{separator}{value}"))
            .or_insert(value);
    }
    joined
}

/// A length is what the only Content-Length says; chunks are what the only Transfer-Encoding says.
fn frames_once(headers: &HashMap<String, String>, head: &Head) {
    use uwgate_http::Framing;
    let length = headers.get("CONTENT_LENGTH").map(String::as_str);
    let coding = headers
        .get("HTTP_TRANSFER_ENCODING")
        .map(|it| it.to_ascii_lowercase());
    let (expected_length, expected_coding) = match head.framing {
        Framing::None => (None, None),
        Framing::Length(length) => (Some(length.to_string()), None),
        Framing::Chunked => (None, Some("chunked".to_owned())),
    };
    assert_eq!(length, expected_length.as_deref());
    assert_eq!(coding, expected_coding);
}

fn prefixes_are_partial(head: &[u8], limits: &Limits, peer: &Peer<'_>) {
    // All of them would take a long head's square.
    let step = head.len() / 200 + 1;
    for end in (0..head.len()).step_by(step) {
        let prefix = parse(&head[..end], limits, peer, &mut Vec::new());
        assert_eq!(
            prefix,
            Ok(Parsed::Partial),
            "{}",
            head[..end].escape_ascii()
        );
    }
}

/// The variables of a block, as Python would see them.
pub(crate) fn vars(block: &[u8], count: u16) -> Vec<(String, String)> {
    let limits = uwsgi_codec::Limits {
        block: 65_535,
        vars: 1_000,
    };
    let vars = Vars::parse(block, &limits).expect("a valid block");
    assert_eq!(vars.len(), usize::from(count));
    vars.iter()
        .map(|(key, value)| (latin1(key), latin1(value)))
        .collect()
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// Any bytes as a chunked body: however they are cut, the outcome is the same, and it is what httparse makes of the
/// sizes.
#[allow(dead_code, reason = "each fuzz target uses a part")]
pub(crate) fn chunked(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    for step in [1, 2, 3, 7] {
        assert_eq!(decode(bytes, step), whole, "in pieces of {step}");
    }
    if let Ok((data, Some(end))) = whole {
        assert_eq!(plain_chunks(&bytes[..end]), Some(data.clone()));
        let encoded = encode(&data, 5);
        let len = encoded.len();
        assert_eq!(decode(&encoded, len), Ok((data, Some(len))));
    }
}

/// Data, and where the body ended if it did. The bytes arrive `step` at a time.
pub(crate) fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), Reject> {
    let mut decoder = ChunkedDecoder::new();
    let (mut data, mut consumed) = (Vec::new(), 0);
    for arrived in (0..=bytes.len()).step_by(step).chain([bytes.len()]) {
        loop {
            let input = &bytes[consumed..arrived.max(consumed)];
            let step = decoder.decode(input)?;
            data.extend_from_slice(&input[step.data.clone()]);
            assert!(step.data.end <= step.consumed && step.consumed <= input.len());
            consumed += step.consumed;
            assert_eq!(step.done, decoder.is_done());
            if step.done {
                return Ok((data, Some(consumed)));
            }
            if input.is_empty() {
                break;
            }
            assert!(step.consumed > 0, "no progress");
        }
    }
    Ok((data, None))
}

/// The body in chunks of `size` bytes.
pub(crate) fn encode(data: &[u8], size: usize) -> Vec<u8> {
    let mut framer = BodyFramer::new(BodyMode::Chunked);
    let mut encoded = Vec::new();
    for chunk in data.chunks(size) {
        let piece = framer.frame(chunk.len());
        encoded.extend_from_slice(piece.prefix());
        encoded.extend_from_slice(&chunk[..piece.take]);
        encoded.extend_from_slice(piece.suffix);
    }
    encoded.extend_from_slice(framer.finish().bytes);
    encoded
}

/// A second opinion on a complete body.
fn plain_chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(bytes) else {
            return None;
        };
        bytes = &bytes[line..];
        if size == 0 {
            return bytes.ends_with(b"\r\n").then_some(data);
        }
        let (chunk, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
        data.extend_from_slice(chunk);
        bytes = rest.strip_prefix(b"\r\n")?;
    }
}

/// Any bytes as what an application says: what is accepted comes out of a client's parser as it went in.
///
/// The first byte chooses protocol, method and the like; the rest are status, name, value, name, value ... cut at 0xff.
#[allow(dead_code, reason = "each fuzz target uses a part")]
pub(crate) fn response(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else {
        return;
    };
    let mut words = rest.split(|&byte| byte == 0xff);
    let rules = ResponseRules {
        protocol: [
            Protocol::Http11,
            Protocol::Http10,
            Protocol::UwsgiHttp11,
            Protocol::UwsgiHttp10,
        ][usize::from(choice & 3)],
        method: if choice & 4 == 0 {
            Method::Get
        } else {
            Method::Head
        },
        keep_alive: choice & 8 == 0,
    };
    let mut out = b"before".to_vec();
    let status = words.next().unwrap_or_default();
    let Ok(mut head) = HeadWriter::start(&mut out, rules, status) else {
        assert_eq!(out, b"before");
        return;
    };
    let mut accepted = Vec::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let pending = head.pause();
        let before = out.len();
        head = pending.resume(&mut out);
        let verdict = head.header(name, value);
        let pending = head.pause();
        let is_written = out.len() > before;
        assert!(
            verdict.is_ok() || !is_written,
            "a refused header leaves nothing"
        );
        if is_written {
            accepted.push((latin1(name), latin1(value)));
        }
        head = pending.resume(&mut out);
    }
    let one_item = (choice & 16 != 0).then_some(5);
    let plan = head.finish(one_item, Some(b"Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(&out[..6], b"before");

    let mut headers = vec![httparse::EMPTY_HEADER; accepted.len() + 8];
    let mut parsed = httparse::Response::new(&mut headers);
    let head = &out[6..];
    assert_eq!(
        parsed.parse(head),
        Ok(httparse::Status::Complete(head.len()))
    );
    assert_eq!(parsed.code, Some(plan.status));
    let mut seen = parsed.headers.iter();
    for ((name, value), header) in accepted.iter().zip(&mut seen) {
        assert_eq!(
            (name.as_str(), value.trim_matches([' ', '\t'])),
            (header.name, latin1(header.value).as_str())
        );
    }
    let added: Vec<_> = seen.map(|header| header.name).collect();
    let known = ["Content-Length", "Date", "Transfer-Encoding", "Connection"];
    assert!(added.iter().all(|name| known.contains(name)), "{added:?}");
    let length =
        |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("content-length");
    let lengths = parsed.headers.iter().filter(length).count();
    assert!(lengths <= 1);
    assert!(plan.body != BodyMode::Chunked || lengths == 0);
}
