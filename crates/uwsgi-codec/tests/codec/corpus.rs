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
#[cfg_attr(miri, ignore = "reads files")]
fn codec_decode() {
    replay("codec_decode", check::decode);
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn codec_roundtrip() {
    replay("codec_roundtrip", |bytes| {
        check::round_trip(&check::pairs(bytes));
    });
}
