//! The architecture as rules over `cargo metadata` and the sources: which crate may know which, where Python, a
//! runtime and `unsafe` may be. A new crate or arrow is entered here, with a thought, or fails here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Each package of the workspace and the others it may build on.
const ARROWS: &[(&str, &[&str])] = &[
    ("uwsgi-codec", &[]),
    ("uwgate-config", &[]),
    ("uwgate-ctl", &[]),
    ("uwgate-sys", &[]),
    // The only one that knows a database.
    ("uwgate-emperor-pg", &[]),
    ("uwgate-http", &["uwsgi-codec"]),
    ("uwgate-supervisor", &["uwgate-sys"]),
    (
        "uwgate-server",
        &[
            "uwgate-config",
            "uwgate-http",
            "uwgate-supervisor",
            "uwgate-sys",
            "uwsgi-codec",
        ],
    ),
    // The host plugs Python into the server's worker; nobody but the build of the binary may depend on it.
    (
        "uwgate-python",
        &[
            "uwgate-config",
            "uwgate-http",
            "uwgate-server",
            "uwgate-sys",
            "uwsgi-codec",
        ],
    ),
    // A log, privileges and pidfiles are had as the server has them.
    (
        "uwgate-emperor",
        &[
            "uwgate-config",
            "uwgate-ctl",
            "uwgate-emperor-pg",
            "uwgate-server",
            "uwgate-supervisor",
            "uwgate-sys",
        ],
    ),
    (
        "uwgate",
        &[
            "uwgate-config",
            "uwgate-ctl",
            "uwgate-emperor",
            "uwgate-python",
            "uwgate-server",
            "uwgate-sys",
        ],
    ),
];

/// Pure cores: bytes, events and `now` in, values out.
const WITHOUT_RUNTIME: &[&str] = &[
    "uwsgi-codec",
    "uwgate-config",
    "uwgate-ctl",
    "uwgate-http",
    "uwgate-supervisor",
    "uwgate-sys",
];

/// Only these touch what the compiler cannot check.
const WITH_UNSAFE: &[&str] = &["uwgate-sys", "uwgate-python"];

static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
});

struct Package(&'static Value);

struct Dependency {
    name: String,
    /// Neither for tests nor for the build script.
    normal: bool,
    optional: bool,
}

fn packages() -> Vec<Package> {
    METADATA["packages"]
        .as_array()
        .expect("a list of packages")
        .iter()
        .map(Package)
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

impl Package {
    fn name(&self) -> &'static str {
        text(&self.0["name"])
    }

    fn dependencies(&self) -> impl Iterator<Item = Dependency> {
        let list = self.0["dependencies"]
            .as_array()
            .expect("a list of dependencies");
        list.iter().map(|dependency| Dependency {
            name: text(&dependency["name"]).to_owned(),
            normal: dependency["kind"].is_null(),
            optional: dependency["optional"] == true,
        })
    }

    /// The first file of each library and program.
    fn roots(&self) -> impl Iterator<Item = PathBuf> {
        let targets = self.0["targets"].as_array().expect("a list of targets");
        let shipped = targets.iter().filter(|target| {
            let kinds = target["kind"].as_array().expect("a list of kinds");
            kinds
                .iter()
                .any(|kind| ["lib", "rlib", "cdylib", "proc-macro", "bin"].contains(&text(kind)))
        });
        shipped.map(|target| PathBuf::from(text(&target["src_path"])))
    }

    /// What features bring with them when nobody asks: the names behind `default`, followed through the list.
    fn default_features(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec!["default".to_owned()];
        while let Some(feature) = open.pop() {
            let Some(brought) = self.0["features"][&feature].as_array() else {
                continue;
            };
            for one in brought.iter().map(text) {
                if found.insert(one.to_owned()) {
                    open.push(one.to_owned());
                }
            }
        }
        found
    }
}

#[test]
fn arrows_between_crates_point_one_way() {
    let members: BTreeSet<&str> = packages().iter().map(Package::name).collect();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, known, "every crate has its row in ARROWS");
    for package in packages() {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == package.name())
            .expect("known, as compared above");
        for dependency in package
            .dependencies()
            .filter(|dependency| members.contains(dependency.name.as_str()))
        {
            let for_own_tests = !dependency.normal && dependency.name == package.name();
            assert!(
                for_own_tests || allowed.contains(&dependency.name.as_str()),
                "{} must not depend on {}",
                package.name(),
                dependency.name
            );
        }
    }
}

#[test]
fn the_table_of_arrows_has_no_circle() {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    for (name, allowed) in ARROWS {
        assert!(
            allowed.iter().all(|other| settled.contains(other)),
            "{name} depends on a later row"
        );
        settled.insert(name);
    }
}

#[test]
fn python_stays_in_its_crate() {
    for package in packages()
        .iter()
        .filter(|package| package.name() != "uwgate-python")
    {
        let pyo3 = package
            .dependencies()
            .find(|dependency| dependency.name.starts_with("pyo3"));
        assert!(pyo3.is_none(), "{} must not know pyo3", package.name());
    }
    // The binary depends on the host for its file only. Not one use of it, or the binary links what needs libpython.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&source) {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let uses = ["uwgate_python::", "extern crate uwgate_python"];
        let used = text
            .lines()
            .find(|line| uses.iter().any(|name| line.contains(name)));
        assert!(used.is_none(), "{} uses the host: {used:?}", file.display());
    }
}

#[test]
fn pure_cores_bring_no_runtime() {
    for package in packages()
        .iter()
        .filter(|package| WITHOUT_RUNTIME.contains(&package.name()))
    {
        let defaults = package.default_features();
        for dependency in package
            .dependencies()
            .filter(|dependency| dependency.normal)
        {
            let runtime = ["tokio", "mio", "async-", "futures"]
                .iter()
                .any(|name| dependency.name.starts_with(name));
            let unasked =
                !dependency.optional || defaults.contains(&format!("dep:{}", dependency.name));
            assert!(
                !(runtime && unasked),
                "{} brings {} unasked",
                package.name(),
                dependency.name
            );
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_outside_its_two_crates() {
    for package in packages()
        .iter()
        .filter(|package| !WITH_UNSAFE.contains(&package.name()))
    {
        for root in package.roots() {
            let text = std::fs::read_to_string(&root).expect("a source file");
            let forbids = text
                .lines()
                .any(|line| line.trim() == "#![forbid(unsafe_code)]");
            assert!(
                forbids,
                "{} does not say #![forbid(unsafe_code)]",
                root.display()
            );
        }
    }
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
