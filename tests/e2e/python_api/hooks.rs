//! What the application may have called around forks, requests and the end.

use rustix::process::Signal;

use super::{HOOKED, all, ask};
use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Server, Setup};

/// What the hooks have printed, with or without the pids, in order.
fn hooks(server: &Server) -> Vec<String> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| line.strip_prefix("## "));
    lines
        .filter_map(|line| Some(line.split_once(" by ")?.0.to_owned()))
        .collect()
}

both! {
    fn hooks_run_in_their_places(kind) {
        let mut server = Setup::source(kind, HOOKED).start();
        server.get("/").expect(200);
        // What uWSGI has not done by now it does not do.
        server.wait_for_log("after_req_hook in 1");
        server.stop_with(Signal::INT);
        let expected = ["load in 0", "post_fork_hook in 1", "request in 1", "after_req_hook in 1",
            "uwsgi.atexit in 1", "atexit in 1"];
        assert_eq!(hooks(&server), expected);
    }
}

both! {
    /// Nothing was forked since the application was loaded.
    fn with_lazy_apps_the_post_fork_hook_comes_too_late(kind) {
        let server = Setup::source(kind, HOOKED).option("lazy-apps", "true").start();
        server.get("/").expect(200);
        until_true("the end of the request", || hooks(&server).len() > 2);
        assert_eq!(hooks(&server), ["load in 1", "request in 1", "after_req_hook in 1"]);
    }
}

both! {
    fn skip_atexit_skips_both(kind) {
        let mut server = Setup::source(kind, HOOKED).option("skip-atexit", "true").start();
        server.get("/").expect(200);
        server.wait_for_log("after_req_hook in 1");
        server.stop_with(Signal::INT);
        assert!(!server.log().contains("atexit in"), "{}", server.log());
    }
}

both! {
    fn skip_atexit_teardown_skips_pythons(kind) {
        let mut server = Setup::source(kind, HOOKED).option("skip-atexit-teardown", "true").start();
        server.get("/").expect(200);
        server.wait_for_log("after_req_hook in 1");
        server.stop_with(Signal::INT);
        let all = hooks(&server);
        assert_eq!(all.last().map(String::as_str), Some("uwsgi.atexit in 1"), "{all:?}");
    }
}

/// uWSGI looks for it once only, after the application was loaded.
#[test]
fn an_after_req_hook_may_be_set_at_any_time_and_raise() {
    let server = Server::app(Kind::Uwgate, "ask.py");
    ask(&server, "setattr(uwsgi, 'after_req_hook', lambda: 1 / 0)");
    server.wait_for_log("ZeroDivisionError");
    all(
        &server,
        &[
            ("callable(uwsgi.after_req_hook)", "True"),
            (
                "setattr(uwsgi, 'after_req_hook', lambda: EVENTS.append(uwsgi.get_logvar('a')))",
                "None",
            ),
            ("uwsgi.set_logvar('a', 'seen')", "None"),
            ("EVENTS[-1]", "b'seen'"),
            (
                "delattr(uwsgi, 'after_req_hook'), hasattr(uwsgi, 'after_req_hook')",
                "(None, False)",
            ),
        ],
    );
}
