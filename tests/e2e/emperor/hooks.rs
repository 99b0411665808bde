//! What is done around vassals, by the emperor and by themselves.

use std::fs;

use rustix::process::Signal;

use super::*;

/// What hooks have written there.
fn told(emperor: &Emperor) -> String {
    fs::read_to_string(emperor.dir.join("told")).unwrap_or_default()
}

fn wait_for_told(emperor: &Emperor, line: &str) {
    until_true(&format!("{line:?} to be told"), || {
        told(emperor).lines().any(|it| it == line)
    });
}

pairings! {
    /// The same commands at the same moments, with the same variables.
    fn commands_run_around_a_vassal(realm) {
        let file = realm.dir.join("told").display().to_string();
        let emperor = realm
            .option("hook-emperor-start", format!("exec:echo emperor >> {file}"))
            .option("exec-as-vassal", format!("echo vassal in $(basename $PWD) >> {file}"))
            .option("hook-as-vassal", format!("exec:echo hook >> {file}"))
            .option(
                "exec-as-emperor",
                format!("echo $UWSGI_VASSAL_CONFIG $UWSGI_VASSAL_PID $UWSGI_VASSAL_UID >> {file}"),
            )
            .start();
        emperor.add("a.ini", "1");
        emperor.wait_for_version("a.ini", "1");
        for line in ["emperor", "vassal in vassals", "hook"] {
            wait_for_told(&emperor, line);
        }
        let uid = rustix::process::getuid().as_raw().to_string();
        until_true("the emperor's own hook", || {
            told(&emperor).lines().any(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                matches!(words[..], ["a.ini", pid, owner] if pid.parse::<u32>().is_ok() && owner == uid)
            })
        });
    }
}

pairings! {
    /// What the emperor says, and its end, can be answered.
    fn a_vassal_hears_its_emperor(realm) {
        let file = realm.dir.join("told").display().to_string();
        let emperor = realm.start();
        let config = |version: &str| {
            let text = emperor.config("a.ini", version);
            format!(
                "{text}hook-emperor-reload = exec:echo reload >> {file}\nhook-emperor-stop = exec:echo stop >> {file}\n"
            )
        };
        emperor.put("a.ini", &config("1"));
        emperor.wait_for_version("a.ini", "1");
        emperor.wait_for_log("[emperor] vassal a.ini is now loyal");
        emperor.put("a.ini", &config("2"));
        // uWSGI tells whole seconds apart.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::open(emperor.file("a.ini")).unwrap().set_modified(later).unwrap();
        emperor.wait_for_version("a.ini", "2");
        wait_for_told(&emperor, "reload");
        fs::remove_file(emperor.file("a.ini")).unwrap();
        wait_for_told(&emperor, "stop");
    }
}

/// Who is not let in by the hook does not start, and the others do.
#[test]
fn a_hook_that_fails_keeps_its_vassal_from_starting() {
    let emperor = Realm::ours()
        .option(
            "hook-as-vassal-before-drop",
            "exec:test $UWSGI_VASSAL_CONFIG = good.ini",
        )
        .start();
    emperor.add("good.ini", "1");
    emperor.add("bad.ini", "1");
    emperor.wait_for_version("good.ini", "1");
    emperor.wait_for_state("bad.ini", "cursed");
    let reason = emperor.status("bad.ini")["reason"].to_string();
    assert!(reason.contains("exited with code 1"), "{reason}");
    assert!(
        emperor
            .log()
            .contains("hook `exec:test $UWSGI_VASSAL_CONFIG = good.ini` failed")
    );
}

#[test]
fn an_emperors_own_hook_that_fails_ends_the_start() {
    let mut emperor = Realm::ours()
        .option("hook-emperor-start", "exec:false")
        .start();
    assert_eq!(emperor.process.wait().code(), Some(1));
    assert!(emperor.log().contains("hook `exec:false` failed"));
}

#[test]
fn the_end_of_the_emperor_is_heard() {
    let realm = Realm::ours();
    let file = realm.dir.join("told").display().to_string();
    let mut emperor = realm.start();
    let text = emperor.config("a.ini", "1");
    emperor.put(
        "a.ini",
        &format!("{text}hook-emperor-stop = exec:echo stop >> {file}\n"),
    );
    emperor.wait_for_version("a.ini", "1");
    emperor.process.signal(Signal::TERM);
    assert_eq!(emperor.process.wait().code(), Some(0));
    wait_for_told(&emperor, "stop");
}
