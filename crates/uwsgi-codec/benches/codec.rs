//! The pure cost of one request's packet: finding its end, checking and walking its variables, writing it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use uwsgi_codec::{BlockWriter, Limits, Vars, decode};

/// A browser's GET behind nginx.
const VARS: [(&str, &str); 25] = [
    ("QUERY_STRING", "page=2&sort=name"),
    ("REQUEST_METHOD", "GET"),
    ("CONTENT_TYPE", ""),
    ("CONTENT_LENGTH", ""),
    ("REQUEST_URI", "/articles/list?page=2&sort=name"),
    ("PATH_INFO", "/articles/list"),
    ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REQUEST_SCHEME", "https"),
    ("HTTPS", "on"),
    ("REMOTE_ADDR", "203.0.113.7"),
    ("REMOTE_PORT", "50498"),
    ("SERVER_PORT", "443"),
    ("SERVER_NAME", "www.example.org"),
    ("HTTP_HOST", "www.example.org"),
    (
        "HTTP_USER_AGENT",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "HTTP_ACCEPT",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"),
    ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br"),
    (
        "HTTP_COOKIE",
        "csrftoken=3kBbOJwZ1mRLEyC0pUYf; sessionid=x7s9d8f7a6s5d4f3g2h1j0k9",
    ),
    ("HTTP_REFERER", "https://www.example.org/articles/"),
    ("HTTP_UPGRADE_INSECURE_REQUESTS", "1"),
    ("HTTP_SEC_FETCH_DEST", "document"),
    ("HTTP_SEC_FETCH_MODE", "navigate"),
    ("HTTP_SEC_FETCH_SITE", "same-origin"),
];

fn write(out: &mut Vec<u8>) {
    out.clear();
    let mut writer = BlockWriter::packet(out, 0, 0);
    for (key, value) in VARS {
        writer.push(key.as_bytes(), value.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
}

fn walk(vars: Vars<'_>) {
    for pair in vars {
        black_box(pair);
    }
}

fn benches(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut packet = Vec::new();
    write(&mut packet);
    let block = &packet[4..];
    let vars = Vars::parse(block, &limits).unwrap();

    let mut group = criterion.benchmark_group("25 vars");
    group.throughput(Throughput::Bytes(packet.len() as u64));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode(black_box(&packet), &limits));
    });
    group.bench_function("validate", |bencher| {
        bencher.iter(|| Vars::parse(black_box(block), &limits));
    });
    group.bench_function("walk", |bencher| {
        bencher.iter(|| walk(black_box(vars)));
    });
    group.bench_function("validate and walk", |bencher| {
        bencher.iter(|| walk(Vars::parse(black_box(block), &limits).unwrap()));
    });
    group.bench_function("get the last", |bencher| {
        bencher.iter(|| black_box(vars).get(black_box(b"HTTP_SEC_FETCH_SITE")));
    });
    let mut out = Vec::with_capacity(packet.len());
    group.bench_function("write", |bencher| {
        bencher.iter(|| write(black_box(&mut out)));
    });
    group.finish();
}

criterion_group!(codec, benches);
criterion_main!(codec);
