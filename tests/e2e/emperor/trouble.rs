//! Vassals that fail: what becomes of them, and that the others do not notice.

use std::fs;

use rustix::process::Signal;

use super::{CONTROL, Kind, Realm, hello, pairings, there};
use crate::support::process::{alive, signal};
use crate::support::wait::until_true;

pairings! {
    /// A vassal that cannot start is tried again, and served once its file is right.
    fn what_was_fixed_comes_back(realm) {
        let emperor = realm.start();
        let nowhere = emperor.dir.join("none/x.sock");
        let text = format!("[uwsgi]\nsocket = {}\nmaster = true\n", nowhere.display());
        emperor.put("bad.ini", &text);
        emperor.wait_for_log("[emperor] curse the uwsgi instance bad.ini");
        emperor.add("good.ini", "1");
        emperor.wait_for_version("good.ini", "1");
        emperor.wait_for_log("[emperor] unloyal bad behaving vassal found: bad.ini throttling it");
        emperor.add("bad.ini", "1");
        emperor.wait_for_version("bad.ini", "1");
    }
}

pairings! {
    fn a_vassal_that_is_killed_is_started_again(realm) {
        let kind = realm.emperor;
        let emperor = realm.start();
        emperor.add("a.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        emperor.wait_for_log("[emperor] vassal a.ini is now loyal");
        let master = match kind {
            Kind::Uwgate => emperor.pid("a.ini"),
            Kind::Uwsgi => crate::support::process::children(emperor.process.pid())[0],
        };
        signal(master, Signal::KILL);
        until_true("the old master to be gone", || !alive(master));
        until_true("two starts", || {
            emperor.count_in_log("[emperor] vassal a.ini is ready to accept requests") >= 2
        });
        emperor.wait_for_version("a.ini", "1");
    }
}

/// The operator reads why, without a look into any file.
#[test]
fn the_reason_and_the_last_lines_are_shown() {
    let emperor = Realm::ours().start();
    emperor.put(
        "bad.ini",
        "[uwsgi]\nmaster = true\nthis-is-no-option\nprocesses = many\n",
    );
    emperor.wait_for_state("bad.ini", "cursed");
    let status = emperor.status("bad.ini");
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("exited with code 1"), "{reason}");
    let log = status["log"].to_string();
    assert!(log.contains("bad.ini:4"), "{log}");
    assert!(status["next_try"].as_u64() > Some(0));
}

#[test]
fn an_operator_stops_and_starts_a_vassal() {
    let emperor = Realm::ours().start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    let stopped = emperor.control(r#"{"do":"stop","vassals":["a.ini"]}"#);
    assert_eq!(stopped["done"][0]["vassal"], "a.ini", "{stopped}");
    emperor.wait_for_state("a.ini", "stopped");
    assert_eq!(emperor.status("a.ini")["reason"], "stopped by an operator");
    // A touch does not undo what the operator did.
    emperor.add("a.ini", "2");
    emperor.add("b.ini", "1");
    emperor.wait_for_version("b.ini", "1");
    emperor.wait_for_state("a.ini", "stopped");
    emperor.control(r#"{"do":"start","vassals":["a.ini"]}"#);
    emperor.wait_for_version("a.ini", "2");
    let nobody = emperor.control(r#"{"do":"start","vassals":["no.ini"]}"#);
    assert_eq!(nobody["error"], "there is no vassal no.ini");
    let nothing = emperor.control(r#"{"do":"nothing"}"#);
    assert!(nothing["error"].is_string(), "{nothing}");
}

/// A program that hangs while it starts does not answer any byte.
#[test]
fn a_vassal_that_hangs_at_import_can_be_fixed() {
    let emperor = Realm::ours().option("reload-mercy", 1).start();
    let stuck = emperor
        .dir
        .write("stuck.py", "import time\ntime.sleep(1000)\n");
    let text = emperor.config("a.ini", "1");
    let app = emperor.dir.join("app.py");
    let hanging = text.replace(&app.display().to_string(), &stuck.display().to_string());
    emperor.put("a.ini", &hanging);
    emperor.wait_for_state("a.ini", "starting");
    emperor.wait_for_log("[emperor] vassal a.ini has been spawned");
    emperor.put("a.ini", &text);
    emperor.wait_for_version("a.ini", "1");
}

/// Neither half a file nor what an editor leaves beside it is a vassal.
#[test]
fn files_that_are_no_vassals_are_left_alone() {
    let emperor = Realm::ours().start();
    for name in ["a.ini~", ".a.ini.swp", "README", "4913", "a.ini.dpkg-new"] {
        fs::write(emperor.file(name), "[uwsgi]\n").unwrap();
    }
    emperor.add("b.ini", "1");
    emperor.wait_for_version("b.ini", "1");
    let list = emperor.control(r#"{"do":"list"}"#);
    let vassals = list["vassals"]["vassals"].as_array().unwrap();
    assert_eq!(vassals.len(), 1, "{list}");
}

#[test]
fn an_emperor_leaves_no_files_behind() {
    let mut emperor = Realm::ours().start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    let pid = fs::read_to_string(emperor.dir.join("e.pid")).unwrap();
    assert_eq!(pid.trim(), emperor.process.pid().to_string());
    assert!(there(&emperor.dir.join(CONTROL)));
    emperor.process.signal(Signal::TERM);
    emperor.process.wait();
    assert!(!there(&emperor.dir.join("e.pid")));
    assert!(!there(&emperor.dir.join(CONTROL)));
    assert!(there(&hello()));
}

/// Heartbeats are heard and their end is noticed.
#[test]
fn a_vassal_without_a_pulse_is_replaced() {
    let emperor = Realm::ours()
        .option("emperor-required-heartbeat", 2)
        .start();
    let text = emperor.config("a.ini", "1") + "heartbeat = 1\n";
    emperor.put("a.ini", &text);
    emperor.wait_for_version("a.ini", "1");
    until_true("a heartbeat", || {
        emperor.status("a.ini")["heartbeat"].as_u64() > Some(0)
    });
    let master = emperor.pid("a.ini");
    signal(master, Signal::STOP);
    emperor.wait_for_log("vassal a.ini sent no heartbeat in last");
    until_true("the old master to be gone", || !alive(master));
    emperor.wait_for_version("a.ini", "1");
}

#[test]
fn a_file_that_is_written_all_the_time_is_a_reason() {
    let emperor = Realm::ours().start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    let mut version = 1;
    until_true("the reason", || {
        version += 1;
        emperor.add("a.ini", &version.to_string());
        let reason = emperor.status("a.ini")["reason"].to_string();
        reason.contains("its configuration changes all the time")
    });
    emperor.wait_for_version("a.ini", &version.to_string());
}
