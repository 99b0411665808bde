//! What is done at the turning points of an instance's life.

use std::fs;

use rustix::process::Signal;

use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Setup};

const HELLO: &str = "\
print('the app is loaded')
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
";

/// In the order in which they are done. The master starts while the app is loaded.
const TURNING_POINTS: [&str; 11] = [
    "hook-asap",
    "hook-pre-jail",
    "hook-in-jail",
    "hook-as-root",
    "hook-as-user",
    "hook-pre-app",
    "hook-post-app",
    "hook-post-fork",
    "hook-accepting",
    "hook-accepting1",
    "hook-accepting1-once",
];

both! {
    fn hooks_are_done_in_their_order(kind) {
        let mut setup = Setup::source(kind, HELLO)
            .option("hook-master-start", "print:did hook-master-start.")
            .option("exec-as-user-atexit", "echo did exec-as-user-atexit.");
        for hook in TURNING_POINTS {
            setup = setup.option(hook, format!("print:did {hook}."));
        }
        let mut server = setup.start();
        server.wait_for_log("\ndid hook-accepting1-once.");
        server.wait_for_log("\ndid hook-master-start.");
        server.stop_with(Signal::INT);
        let log = server.log();
        let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text:?} in {log}"));
        let places = TURNING_POINTS.map(|hook| at(&format!("\ndid {hook}.")));
        assert!(places.is_sorted(), "{places:?} in {log}");
        assert!(at("\ndid hook-pre-app.") < at("the app is loaded"));
        assert!(at("the app is loaded") < at("\ndid hook-post-app."));
        assert!(at("goodbye to uWSGI.") < at("\ndid exec-as-user-atexit."));
    }
}

both! {
    fn actions_change_files(kind) {
        use std::os::unix::fs::PermissionsExt;

        let setup = Setup::source(kind, HELLO);
        setup.write("kept", "x");
        setup.write("gone", "x");
        let server = setup
            .option("env", "GREETING=hello")
            .option("hook-pre-app", "writen:written a b")
            .option("hook-pre-app", "append:written c")
            .option("hook-pre-app", "unlink:gone")
            .option("hook-pre-app", "mkdir:made")
            .option("hook-pre-app", "create:empty")
            .option("hook-pre-app", "chmod:kept 600")
            .option("hook-pre-app", "safeexec:exit 3")
            .option("exec-pre-app", "echo $GREETING > greeting")
            .start();
        server.get("/").expect(200);
        let read = |name: &str| fs::read_to_string(server.dir.join(name)).unwrap();
        assert_eq!(read("written"), "a b\nc");
        assert_eq!(read("empty"), "");
        assert_eq!(read("greeting"), "hello\n");
        assert!(!server.dir.join("gone").exists());
        assert!(server.dir.join("made").is_dir());
        let mode = fs::metadata(server.dir.join("kept")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

both! {
    fn a_hook_that_fails_ends_the_start(kind) {
        for (option, value) in [
            ("exec-asap", "exit 4"),
            ("hook-as-root", "exec:exit 4"),
            ("hook-as-user", "unlink:nothing"),
            ("exec-pre-app", "exit 4"),
            ("exec-post-app", "exit 4"),
        ] {
            let mut server = Setup::source(kind, HELLO)
                .option("socket", "x.sock")
                .option(option, value)
                .spawn();
            assert_eq!(server.process.wait().code(), Some(1), "{option}");
        }
    }
}

/// In uWSGI a migration that fails at a reload is an outage.
#[test]
fn a_hook_that_fails_at_a_reload_leaves_the_old_code_serving() {
    let server = Setup::source(Kind::Uwgate, HELLO)
        .option("exec-pre-app", "test ! -e broken")
        .start();
    assert_eq!(server.get("/").expect(200).text(), "hello");
    server.dir.write("broken", "");
    server.signal(Signal::HUP);
    server.wait_for_log("RELOAD FAILED");
    // The line of the hook.
    server.wait_for_log("server.ini:");
    assert_eq!(server.get("/").expect(200).text(), "hello");
    fs::remove_file(server.dir.join("broken")).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("worker 1 buried");
    assert_eq!(server.get("/").expect(200).text(), "hello");
}

both! {
    fn a_touched_file_runs_its_hooks(kind) {
        let setup = Setup::source(kind, HELLO)
            .option("touch-exec", "touched echo the command ran")
            .option("hook-touch", "touched print:the hook ran");
        let server = setup.start();
        until_true("the hooks", || {
            // Again and again: uWSGI looks for another time of the file, in whole seconds.
            server.dir.write("touched", "");
            let log = server.log();
            log.contains("\nthe command ran") && log.contains("\nthe hook ran")
        });
    }
}

both! {
    fn a_signal_can_be_made_a_graceful_stop(kind) {
        let mut server = Setup::source(kind, HELLO)
            .option("hook-master-start", "unix_signal:2 gracefully_kill_them_all")
            .option("hook-master-start", "print:the hooks are done")
            .start();
        server.wait_for_log("\nthe hooks are done");
        assert!(server.stop_with(Signal::INT).success());
        assert!(server.log().to_lowercase().contains("gracefully killing worker"));
    }
}

both! {
    fn a_start_waits_for_files_and_servers(kind) {
        let server = Setup::source(kind, HELLO)
            .option("wait-for-file", "file")
            .option("wait-for-socket", "server.sock")
            .option("socket", "x.sock")
            .spawn();
        until_true("the wait", || server.log().to_lowercase().contains("waiting for"));
        assert!(!server.log().contains("the app is loaded"));
        server.dir.write("file", "");
        let _other = std::os::unix::net::UnixListener::bind(server.dir.join("server.sock")).unwrap();
        server.wait_for_log("the app is loaded");
    }
}

#[test]
fn who_waits_in_vain_does_not_start() {
    let mut server = Setup::source(Kind::Uwgate, HELLO)
        .option("socket", "x.sock")
        .option("wait-for-dir", "nowhere")
        .option("wait-for-fs-timeout", 0)
        .spawn();
    assert_eq!(server.process.wait().code(), Some(1));
    assert!(
        server
            .log()
            .contains("waited 0 seconds in vain for directory nowhere")
    );
    // Nor does who is told to stop.
    let mut server = Setup::source(Kind::Uwgate, HELLO)
        .option("socket", "x.sock")
        .option("wait-for-dir", "nowhere")
        .spawn();
    server.wait_for_log("waiting for directory nowhere");
    assert_eq!(server.stop_with(Signal::TERM).code(), Some(1));
}
