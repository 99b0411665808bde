//! The emperor becomes a newer binary, and its vassals do not notice.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;

use super::Realm;
use crate::support::Kind;
use crate::support::install::Installed;
use crate::support::process::alive;
use crate::support::wait::{Over, until_true};

#[test]
fn a_newer_binary_takes_the_vassals_over() {
    for vassals in [Kind::Uwgate, Kind::Uwsgi] {
        let mut realm = Realm::new(Kind::Uwgate, vassals);
        let installed = Installed::new(Kind::Uwgate);
        realm.program = Some(installed.program());
        let emperor = realm.start();
        emperor.add("a.ini", "1");
        emperor.add("held.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        emperor.wait_for_version("held.ini", "1");
        emperor.control(r#"{"do":"stop","vassals":["held.ini"]}"#);
        emperor.wait_for_state("held.ini", "stopped");
        let pid = emperor.pid("a.ini");
        let (over, failures) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let _over = Over(&over);
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let answered = emperor.ask("a.ini").is_some();
                    failures.fetch_add(u64::from(!answered), Ordering::SeqCst);
                }
            });
            installed.upgrade();
            emperor.process.signal(Signal::HUP);
            emperor.wait_for_log("binary reloading uwgate: becoming");
            // From the new binary, which has the vassal as its child.
            until_true("the emperor to be back", || {
                emperor.count_in_log("*** starting uWSGI Emperor ***") == 2
            });
            emperor.wait_for_log("[emperor] reload the uwsgi instance a.ini");
            emperor.wait_for_state("a.ini", "running");
        });
        if vassals == Kind::Uwgate {
            assert_eq!(failures.load(Ordering::SeqCst), 0);
        }
        assert_eq!(emperor.pid("a.ini"), pid, "its master went on");
        emperor.wait_for_state("held.ini", "stopped");
        emperor.add("a.ini", "2");
        emperor.wait_for_version("a.ini", "2");
        fs::remove_file(emperor.file("a.ini")).unwrap();
        until_true("the vassal to be gone", || !alive(pid));
        emperor.wait_for_log("[emperor] removed uwsgi instance a.ini");
    }
}

#[test]
fn a_binary_that_cannot_take_over_is_left_alone() {
    let mut realm = Realm::ours();
    let installed = Installed::new(Kind::Uwgate);
    realm.program = Some(installed.program());
    let emperor = realm.start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    installed.put_script("#!/bin/sh\nexit 0\n");
    emperor.process.signal(Signal::HUP);
    emperor.wait_for_log("UPGRADE FAILED");
    emperor.wait_for_version("a.ini", "1");
    emperor.wait_for_state("a.ini", "running");
}
