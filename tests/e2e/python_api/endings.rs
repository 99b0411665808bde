//! `uwsgi.reload()` and `uwsgi.stop()`.

use super::{ask, begin};
use crate::both;
use crate::support::process::alive;
use crate::support::wait::until_true;
use crate::support::{Kind, Request, Server, Setup};

both! {
    fn reload_reloads(kind) {
        let server = Server::app(kind, "ask.py");
        let pid = ask(&server, "os.getpid()");
        assert_eq!(ask(&server, "uwsgi.reload()"), "True");
        let request = Request::post("/", b"os.getpid(), uwsgi.is_a_reload, os.environ['UWSGI_RELOADS']".to_vec())
            .header("Connection", "close").bytes();
        until_true("the new worker", || {
            // While uWSGI reloads it may close a connection without an answer.
            let answer = server.raw_http(&request);
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(kind == Kind::Uwsgi || answer.starts_with("HTTP/1.1 200"), "{answer}");
            !answer.contains(&pid) && answer.contains(", True, '1')")
        });
        assert!(alive(server.process.pid()), "the master stays");
    }
}

both! {
    fn stop_stops(kind) {
        let mut server = Setup::app(kind, "ask.py").option("processes", 2).start();
        let mut client = begin(&server, "uwsgi.stop()");
        assert_eq!(server.process.wait().code(), Some(0));
        // uWSGI kills the request that asks.
        if kind == Kind::Uwgate {
            assert_eq!(client.response("POST").expect(200).text(), "True");
        }
    }
}

/// In uWSGI they are, too, but how it ends depends on what it is doing.
#[test]
fn without_a_master_reload_and_stop_are_signals_to_the_process() {
    for expression in ["uwsgi.reload()", "uwsgi.stop()"] {
        let mut server = Setup::app(Kind::Uwgate, "ask.py")
            .option("master", "false")
            .start();
        let mut client = begin(&server, expression);
        assert_eq!(client.response("POST").expect(200).text(), "True");
        assert_eq!(server.process.wait().code(), Some(30), "{expression}");
    }
}
