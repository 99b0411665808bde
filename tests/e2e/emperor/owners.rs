//! Vassals that run as somebody else, hooks around them, and other programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use rustix::process::Signal;

use super::Realm;

/// Debian's www-data, which every container has.
const SOMEBODY: u32 = 33;

/// `None` where this is not root: nobody can become somebody else then.
fn tyrant() -> Option<Realm> {
    rustix::process::geteuid().is_root().then(|| {
        let realm = Realm::ours();
        // The vassal makes its socket there.
        fs::set_permissions(&**realm.dir, fs::Permissions::from_mode(0o777)).unwrap();
        realm
    })
}

fn ids(pid: u32, which: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(which));
    line.unwrap_or_default().replace('\t', " ")
}

fn give(path: &Path) {
    chown(path, Some(SOMEBODY), Some(SOMEBODY)).expect("root may give files away");
}

#[test]
fn a_tyrant_runs_each_vassal_as_the_owner_of_its_file() {
    let Some(realm) = tyrant() else { return };
    let emperor = realm.flag("emperor-tyrant").start();
    emperor.add("root.ini", "1");
    emperor.wait_for_log("[emperor-tyrant] invalid permissions for vassal root.ini");
    let text = emperor.config("a.ini", "1");
    let beside = emperor.dir.write("a.new", text);
    give(&beside);
    fs::rename(beside, emperor.file("a.ini")).unwrap();
    emperor.wait_for_version("a.ini", "1");
    let pid = emperor.pid("a.ini");
    assert_eq!(ids(pid, "Uid:"), "Uid: 33 33 33 33");
    assert_eq!(ids(pid, "Gid:"), "Gid: 33 33 33 33");
    assert_eq!(ids(pid, "Groups:").trim(), "Groups: 33");
    emperor.wait_for_log("[emperor-tyrant] dropping privileges to 33 33 for instance a.ini");
    assert!(emperor.socket("root.ini").connect().is_err());
    // Who gives the file away gives the vassal away.
    chown(emperor.file("a.ini"), Some(34), Some(34)).unwrap();
    crate::support::wait::until_true("the new owner's process", || {
        emperor.status("a.ini")["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok())
            .is_some_and(|pid| ids(pid, "Uid:") == "Uid: 34 34 34 34")
    });
}

/// The file is looked at once more by whoever reads it.
#[test]
fn a_file_that_changes_hands_is_not_read() {
    let Some(realm) = tyrant() else { return };
    let file = realm.dir.write("x.ini", "[uwsgi]\nmaster = true\n");
    let log = realm.dir.join("log");
    let rule = format!("{SOMEBODY}:{SOMEBODY}:{}", file.display());
    let mut command = realm.emperor.command();
    command
        .args(["--ini", "x.ini"])
        .env("UWGATE_VASSAL_OWNER", rule)
        .current_dir(&**realm.dir);
    let mut process = crate::support::process::Process::start(command, &log);
    assert_eq!(process.wait().code(), Some(1));
    assert!(
        process.log().contains("it belongs to 0:0"),
        "{}",
        process.log()
    );
}

#[test]
fn hooks_run_around_a_vassal() {
    let realm = Realm::ours();
    let told = realm.dir.join("told");
    let hook = |word: &str| format!("echo {word} $UWSGI_VASSALS_DIR >> {}; true", told.display());
    let emperor = realm
        .option("vassals-start-hook", hook("start"))
        .option("vassals-stop-hook", hook("stop"))
        .start();
    emperor.add("a b;c.ini", "1");
    emperor.wait_for_version("a b;c.ini", "1");
    let vassals = emperor.dir.join("vassals");
    let first = fs::read_to_string(&told).unwrap();
    assert_eq!(first, format!("start {}\n", vassals.display()));
    fs::remove_file(emperor.file("a b;c.ini")).unwrap();
    emperor.wait_for_log("a b;c.ini stop-hook exited with code 0");
    assert!(fs::read_to_string(&told).unwrap().contains("\nstop"));
}

#[test]
fn the_first_wrapper_that_can_be_started_is() {
    let emperor = Realm::ours()
        .option("emperor-wrapper-override", "/no/such/program")
        .start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
}

#[test]
fn an_executable_file_makes_the_configuration() {
    let emperor = Realm::ours().flag("emperor-magic-exec").start();
    let text = emperor.config("a.ini", "made");
    let script = emperor
        .dir
        .write("a.new", format!("#!/bin/sh\ncat <<'END'\n{text}END\n"));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(script, emperor.file("a.ini")).unwrap();
    emperor.wait_for_version("a.ini", "made");
    emperor.process.signal(Signal::TERM);
}
