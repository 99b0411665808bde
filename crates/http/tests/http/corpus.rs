//! Replays what the fuzz targets start from.

use std::fs;
use std::path::Path;

use crate::check;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "no inputs in {}", corpus.display());
}

#[test]
fn http_head() {
    replay("http_head", check::head);
}

#[test]
fn http_chunked() {
    replay("http_chunked", check::chunked);
}

#[test]
fn http_response() {
    replay("http_response", check::response);
}
