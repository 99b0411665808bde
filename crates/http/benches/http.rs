//! The pure cost of one request's HTTP: its head to a var block, a chunked body, the response's head.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use uwgate_http::{
    BodyFramer, ChunkedDecoder, HeadWriter, Limits, Method, Parsed, Peer, Protocol, ResponseRules,
    imf_fixdate, parse,
};

const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: load\r\n\r\n";

/// 22 headers of the names and lengths that browsers send.
const BROWSER: &[u8] = b"GET /articles/list?page=2&sort=name HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"126\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0\r\n\
    Accept: text/html,application/xml;q=0.9,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: https://www.example.org/\r\n\
    Accept-Encoding: gzip, br\r\n\
    Accept-Language: en,de;q=0.9\r\n\
    Cookie: sessionid=x7s9d8f7a6s5d4\r\n\
    Cache-Control: max-age=0\r\n\
    Pragma: no-cache\r\n\
    DNT: 1\r\n\
    If-None-Match: \"5f3a\"\r\n\
    X-Request-Id: 7f\r\n\
    X-Real-IP: 10.0.0.1\r\n\r\n";

const PEER: Peer<'_> = Peer {
    server_name: b"host",
    server_port: b"8000",
    remote_addr: b"203.0.113.7",
    remote_port: b"50498",
    https: false,
};

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    let escaped = String::from_utf8_lossy(BROWSER).replace("/articles/", "/a%20b/../%c3%a4/");
    let inputs = [
        ("small", SMALL),
        ("browser", BROWSER),
        ("escaped", escaped.as_bytes()),
    ];
    let limits = Limits::default();
    let mut block = Vec::new();
    for (name, input) in inputs {
        let Ok(Parsed::Complete(_)) = parse(input, &limits, &PEER, &mut block) else {
            panic!("{name} is a request");
        };
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| black_box(parse(black_box(input), &limits, &PEER, &mut block)));
        });
    }
    group.bench_function("httparse alone", |b| {
        b.iter(|| {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut request = httparse::Request::new(&mut headers);
            black_box(request.parse(black_box(BROWSER)).is_ok())
        });
    });
    group.finish();
}

fn chunked(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunked");
    for size in [16, 8192] {
        let chunk = [
            format!("{size:x}\r\n").as_bytes(),
            &vec![b'x'; size],
            b"\r\n",
        ]
        .concat();
        let body = [&chunk.repeat(64 * 1024 / size)[..], b"0\r\n\r\n"].concat();
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("64 KiB in chunks of {size}"), |b| {
            b.iter(|| {
                let mut decoder = ChunkedDecoder::new();
                let (mut rest, mut data) = (black_box(&body[..]), 0);
                while !decoder.is_done() {
                    let step = decoder.decode(rest).unwrap();
                    data += step.data.len();
                    rest = &rest[step.consumed..];
                }
                black_box(data)
            });
        });
    }
    group.finish();
}

fn responses(c: &mut Criterion) {
    let rules = ResponseRules {
        protocol: Protocol::Http11,
        method: Method::Get,
        keep_alive: true,
    };
    let date = imf_fixdate(1_700_000_000);
    let mut out = Vec::new();
    c.bench_function("response head of 6 headers", |b| {
        b.iter(|| {
            out.clear();
            let mut head = HeadWriter::start(&mut out, rules, black_box(b"200 OK")).unwrap();
            for (name, value) in [
                (&b"Content-Type"[..], &b"text/html; charset=utf-8"[..]),
                (b"X-Frame-Options", b"DENY"),
                (b"Vary", b"Cookie"),
                (b"X-Content-Type-Options", b"nosniff"),
                (b"Referrer-Policy", b"same-origin"),
                (
                    b"Set-Cookie",
                    b"sessionid=x7s9d8f7a6s5d4f3; HttpOnly; Path=/; SameSite=Lax",
                ),
            ] {
                head.header(black_box(name), black_box(value)).unwrap();
            }
            black_box(head.finish(Some(1234), Some(&date)))
        });
    });
    c.bench_function("frame a chunk", |b| {
        let mut out = Vec::new();
        let mut head = HeadWriter::start(&mut out, rules, b"200 OK").unwrap();
        head.header(b"Content-Type", b"text/plain").unwrap();
        let mut framer = BodyFramer::new(head.finish(None, None).body);
        b.iter(|| black_box(framer.frame(black_box(8192)).prefix().len()));
    });
    c.bench_function("date", |b| b.iter(|| imf_fixdate(black_box(1_700_000_000))));
}

criterion_group!(benches, heads, chunked, responses);
criterion_main!(benches);
