//! Vassals appear, are touched, and go.

use std::fs;

use rustix::process::Signal;

use super::{Emperor, Kind, Realm, pairings};
use crate::support::process::{alive, group};
use crate::support::wait::until_true;

fn stop(mut emperor: Emperor, with: Signal) {
    let leader = emperor.process.pid();
    emperor.process.signal(with);
    assert_eq!(emperor.process.wait().code(), Some(0));
    until_true("all of the emperor's group to be gone", || {
        group(leader).is_empty()
    });
}

pairings! {
    /// A file is a vassal; its next version is served; without it there is none.
    fn a_file_makes_changes_and_ends_a_vassal(realm) {
        let emperor = realm.start();
        emperor.wait_for_log("*** starting uWSGI Emperor ***");
        emperor.add("a.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        emperor.wait_for_log("[emperor] vassal a.ini has been spawned");
        emperor.wait_for_log("[emperor] vassal a.ini is ready to accept requests");
        emperor.add("a.ini", "2");
        emperor.wait_for_version("a.ini", "2");
        emperor.wait_for_log("[emperor] reload the uwsgi instance a.ini");
        fs::remove_file(emperor.file("a.ini")).expect("it is there");
        emperor.wait_for_log("[emperor] removed uwsgi instance a.ini");
        until_true("nobody to listen", || emperor.socket("a.ini").connect().is_err());
    }
}

pairings! {
    fn a_vassal_that_has_served_is_loyal(realm) {
        let emperor = realm.start();
        emperor.add("a.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        emperor.wait_for_log("[emperor] vassal a.ini is now loyal");
    }
}

pairings! {
    fn an_emperor_takes_its_vassals_along(realm) {
        let emperor = realm.start();
        emperor.add("a.ini", "1");
        emperor.add("b.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        emperor.wait_for_version("b.ini", "1");
        emperor.wait_for_log("[emperor] vassal b.ini is now loyal");
        emperor.process.signal(Signal::TERM);
        emperor.wait_for_log("[emperor] *** RAGNAROK EVOKED ***");
        let mut emperor = emperor;
        assert_eq!(emperor.process.wait().code(), Some(0));
        for name in ["a.ini", "b.ini"] {
            assert!(emperor.socket(name).connect().is_err(), "{name}");
        }
    }
}

#[test]
fn every_signal_that_ends_an_emperor_leaves_nothing_behind() {
    for with in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let emperor = Realm::ours().start();
        emperor.add("a.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        stop(emperor, with);
    }
}

#[test]
fn sighup_reloads_every_vassal() {
    let emperor = Realm::ours().start();
    emperor.add("a.ini", "1");
    emperor.add("b.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    emperor.wait_for_version("b.ini", "1");
    emperor.process.signal(Signal::HUP);
    emperor.wait_for_log("[emperor] reload the uwsgi instance a.ini");
    emperor.wait_for_log("[emperor] reload the uwsgi instance b.ini");
    emperor.wait_for_version("a.ini", "1");
}

/// A deployment tool gives all vassals something, and each may overrule it.
#[test]
fn all_vassals_are_given_options() {
    let realm = Realm::ours();
    let included = realm.dir.write("more.ini", "[uwsgi]\nenv = FROM=include\n");
    let emperor = realm
        .option("vassal-set", "env=VERSION=set")
        .option("vassals-include", included.display())
        .start();
    let text = emperor.config("a.ini", "own");
    emperor.put("a.ini", &text);
    emperor.wait_for_version("a.ini", "own");
    let bare: String = text
        .lines()
        .filter(|line| !line.starts_with("env"))
        .map(|line| format!("{line}\n").replace("a.ini.sock", "b.ini.sock"))
        .collect();
    emperor.put("b.ini", &bare);
    emperor.wait_for_version("b.ini", "set");
    let environ = fs::read(format!("/proc/{}/environ", emperor.pid("b.ini"))).unwrap();
    let text = String::from_utf8_lossy(&environ).into_owned();
    assert!(text.contains("UWSGI_VASSALS_DIR="), "{text}");
    assert!(!text.contains("UWSGI_EMPEROR="), "{text}");
}

#[test]
fn several_sources_are_one_realm() {
    let realm = Realm::ours();
    let pattern = realm.dir.join("sites/*/app.ini");
    fs::create_dir_all(realm.dir.join("sites/x")).unwrap();
    let emperor = realm.option("emperor", pattern.display()).start();
    emperor.add("a.ini", "1");
    let text = emperor.config("x", "glob");
    let file = emperor.dir.write("sites/x/app.ini", text);
    emperor.wait_for_version("a.ini", "1");
    emperor.wait_for_version("x", "glob");
    fs::remove_file(file).unwrap();
    until_true("the second to be gone", || {
        emperor.socket("x").connect().is_err()
    });
    emperor.wait_for_version("a.ini", "1");
}

/// The file behind a link is the vassal's, and its change is a change.
#[test]
fn the_target_of_a_link_is_watched() {
    let emperor = Realm::ours().start();
    let text = emperor.config("a.ini", "1");
    fs::create_dir(emperor.dir.join("real")).unwrap();
    emperor.dir.write("real/a.ini", text);
    std::os::unix::fs::symlink("../real/a.ini", emperor.file("a.ini")).unwrap();
    emperor.wait_for_version("a.ini", "1");
    let text = emperor.config("a.ini", "2");
    emperor.dir.write("real/a.ini", text);
    emperor.wait_for_version("a.ini", "2");
}

#[test]
fn what_an_emperor_cannot_be_is_said_at_the_start() {
    for (option, value, says) in [
        ("http-socket", "127.0.0.1:0", "it has no use for a socket"),
        ("module", "app", "it has no use for an application"),
        ("emperor", "ldap://x", "vassals cannot come from ldap://"),
        ("emperor", "/dev/null/vassals", "Not a directory"),
    ] {
        let mut emperor = Realm::ours().option(option, value).start();
        assert_eq!(emperor.process.wait().code(), Some(1), "{option}");
        assert!(emperor.log().contains(says), "{option}: {}", emperor.log());
    }
}

/// uWSGI's programs read it.
#[test]
fn statistics_have_the_fields_of_uwsgi() {
    let [ours, theirs] = [Kind::Uwgate, Kind::Uwsgi].map(|kind| {
        let realm = Realm::new(kind, kind);
        let address = realm.dir.join("stats.sock");
        let emperor = realm.option("emperor-stats", address.display()).start();
        emperor.add("a.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        emperor.wait_for_log("[emperor] vassal a.ini is now loyal");
        let address = crate::support::Address::Unix(address);
        let text = crate::support::Client::connect(&address).rest();
        let page: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(page["vassals"][0]["loyal"], 1);
        assert_eq!(page["vassals"][0]["id"], "a.ini");
        page
    });
    let keys = |page: &serde_json::Value| -> Vec<String> {
        page.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(keys(&ours), keys(&theirs));
    assert_eq!(keys(&ours["vassals"][0]), keys(&theirs["vassals"][0]));
}

#[test]
fn a_vassal_dies_with_its_emperor() {
    let emperor = Realm::ours().start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    let (leader, pid) = (emperor.process.pid(), emperor.pid("a.ini"));
    emperor.process.signal(Signal::KILL);
    until_true("the vassal to be gone", || !alive(pid));
    until_true("nothing of the emperor's group to be left", || {
        group(leader).iter().all(|(_, state)| *state == 'Z')
    });
}
