//! `uwgate ctl`, as an operator types it.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use super::*;

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Two that serve and one that cannot.
fn three() -> Emperor {
    let emperor = Realm::ours().start();
    emperor.add("blog.ini", "1");
    emperor.add("shop.ini", "1");
    let broken = emperor.dir.write("broken.py", "import no_such_module\n");
    let text = emperor.config("bad.ini", "1");
    let app = emperor.dir.join("app.py").display().to_string();
    emperor.put(
        "bad.ini",
        &text.replace(&app, &broken.display().to_string()),
    );
    emperor.wait_for_version("blog.ini", "1");
    emperor.wait_for_version("shop.ini", "1");
    emperor.wait_for_state("bad.ini", "cursed");
    emperor
}

#[test]
fn vassals_are_listed_with_what_is_wrong() {
    let emperor = three();
    let table = printed(&emperor.ctl(&["list"]));
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("blog.ini").contains("running  "), "{table}");
    assert!(
        line("blog.ini").contains(&emperor.pid("blog.ini").to_string()),
        "{table}"
    );
    assert!(
        line("bad.ini").contains("No module named 'no_such_module'"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 4, "{table}");

    let summary = printed(&emperor.ctl(&["status"]));
    assert!(summary.contains("     2  running\n"), "{summary}");
    assert!(
        summary.contains("no_such_module") && !summary.contains("blog.ini"),
        "{summary}"
    );

    let json = printed(&emperor.ctl(&["list", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["vassals"][2]["name"], "shop.ini");
    assert_eq!(json["emperor"]["pid"], emperor.process.pid());
}

#[test]
fn one_vassal_is_shown_with_its_last_lines() {
    let emperor = three();
    let sheet = printed(&emperor.ctl(&["status", "bad", "-n", "30"]));
    assert!(sheet.starts_with("bad.ini  cursed\n"), "{sheet}");
    assert!(
        sheet.contains("Traceback (most recent call last):"),
        "{sheet}"
    );
    assert!(
        sheet.contains(&emperor.file("bad.ini").display().to_string()),
        "{sheet}"
    );
    assert_eq!(
        complaint(&emperor.ctl(&["status", "b"])),
        "uwgate ctl: 2 vassals begin like b, among them bad.ini and blog.ini\n"
    );
    assert_eq!(
        complaint(&emperor.ctl(&["status", "x"])),
        "uwgate ctl: there is no vassal x\n"
    );
}

#[test]
fn vassals_are_stopped_started_and_reloaded() {
    let emperor = three();
    let done = printed(&emperor.ctl(&["stop", "blog.ini", "shop.ini"]));
    assert_eq!(done, "blog.ini: stops\nshop.ini: stops\n");
    emperor.wait_for_state("blog.ini", "stopped");
    emperor.wait_for_state("shop.ini", "stopped");
    printed(&emperor.ctl(&["start", "shop"]));
    emperor.wait_for_version("shop.ini", "1");
    emperor.wait_for_state("blog.ini", "stopped");

    emperor.wait_for_state("shop.ini", "running");
    let before = emperor.ask("shop.ini").expect("an answer");
    assert_eq!(
        printed(&emperor.ctl(&["reload", "shop.ini"])),
        "shop.ini: reloads\n"
    );
    until_true("another worker", || {
        emperor.ask("shop.ini").is_some_and(|now| now != before)
    });
    // None is touched when one of them does not exist.
    let before = emperor.ask("shop.ini").expect("an answer");
    complaint(&emperor.ctl(&["stop", "shop.ini", "typo.ini"]));
    assert_eq!(emperor.ask("shop.ini").expect("an answer"), before);
}

#[test]
fn what_vassals_print_can_be_followed() {
    let emperor = three();
    let log = printed(&emperor.ctl(&["tail", "bad.ini", "-n", "100"]));
    assert!(log.contains("bad.ini: ModuleNotFoundError"), "{log}");
    let mut following = Kind::Uwgate
        .command()
        .args(["ctl", "tail", "--follow", "-n", "0", "blog.ini"])
        .env("UWGATE_CTL_SOCKET", emperor.dir.join(CONTROL))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    let lines = BufReader::new(following.stdout.take().expect("a pipe")).lines();
    // Each line that comes stands for a request, once the follower listens.
    let (asks, asked) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = lines.map_while(Result::ok);
        for line in lines {
            assert!(line.starts_with("blog.ini: "), "{line}");
            if line.contains("GET /") {
                let _ = asks.send(());
            }
        }
    });
    until_true("a line of the log", || {
        emperor.ask("blog.ini");
        asked
            .recv_timeout(std::time::Duration::from_millis(50))
            .is_ok()
    });
    following.kill().expect("it lives");
    following.wait().expect("it can be reaped");
    reader.join().expect("lines of that vassal only");
}

#[test]
fn nobody_there_is_said_in_a_sentence() {
    let dir = TempDir::new();
    let socket = dir.join("none.sock").display().to_string();
    let output = Kind::Uwgate
        .command()
        .args(["ctl", "-s", &socket, "list"])
        .output()
        .unwrap();
    assert!(complaint(&output).contains("no emperor has its control socket at"));
    let output = Kind::Uwgate
        .command()
        .args(["ctl", "lst"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// As bash asks: the variables, and the words of the line up to the cursor.
#[test]
fn a_shell_completes_commands_and_names() {
    let emperor = three();
    let candidates = |words: &[&str]| {
        let output = Kind::Uwgate
            .command()
            .env("UWGATE_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
            .env("_CLAP_IFS", "\n")
            .env("UWGATE_CTL_SOCKET", emperor.dir.join(CONTROL))
            .arg("--")
            .args(words)
            .output()
            .expect("the program can be run");
        printed(&output)
    };
    assert!(candidates(&["uwgate", "ctl", "rel"]).contains("reload"));
    assert_eq!(
        candidates(&["uwgate", "ctl", "reload", "b"]),
        "bad.ini\nblog.ini"
    );
    assert_eq!(
        candidates(&["uwgate", "ctl", "stop", "shop.ini", "bl"]),
        "blog.ini"
    );
    let script = printed(&emperor.ctl(&["completion", "bash"]));
    assert!(script.contains("complete -o nospace"), "{script}");
}
