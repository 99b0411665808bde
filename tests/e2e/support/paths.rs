//! Where the programs and applications under test are.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `tests/apps/NAME`.
pub fn app(name: &str) -> PathBuf {
    repository().join("tests/apps").join(name)
}

/// The binary that cargo built for this test run, or the one that `UWGATE_TEST_PROGRAM` names (a release build).
pub fn uwgate() -> PathBuf {
    let named = std::env::var_os("UWGATE_TEST_PROGRAM").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_uwgate")))
}

/// The venv with the frameworks and the real uWSGI.
pub fn venv() -> PathBuf {
    there(repository().join("target/venv"))
}

/// The real uWSGI.
pub fn uwsgi() -> PathBuf {
    there(venv().join("bin/uwsgi"))
}

/// A program that Debian puts into `/usr/sbin`, which is not on everybody's `PATH`.
pub fn system_program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run tests/setup.sh"))
}

/// The file, or a panic that says how to get it.
pub fn there(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is not there: run tests/setup.sh",
        path.display()
    );
    path
}
