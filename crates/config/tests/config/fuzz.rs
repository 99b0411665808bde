//! The corpora of the fuzz targets, replayed.

#[path = "checks.rs"]
mod checks;

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut count = 0;
    for kind in ["corpus", "artifacts"] {
        let Ok(files) = std::fs::read_dir(root.join(kind).join(target)) else {
            continue;
        };
        for file in files {
            check(&std::fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
    }
    assert!(count > 0, "the corpus of {target} is empty");
}

#[test]
fn ini() {
    replay("config_ini", checks::ini);
}

#[test]
fn yaml() {
    replay("config_yaml", checks::yaml);
}

#[test]
fn json() {
    replay("config_json", checks::json);
}

#[test]
fn expansion() {
    replay("config_expansion", checks::expansion);
}

#[test]
fn logic() {
    replay("config_logic", checks::logic);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(\\PC|[\n =%$@():\\[\\]\"'#;-]){0,200}") {
        for check in [checks::ini, checks::yaml, checks::json, checks::expansion, checks::logic] {
            check(text.as_bytes());
        }
    }
}
