//! How long a request that is being served may keep an instance from its end.

use std::io::Write as _;

use rustix::process::Signal;

use crate::support::wait::{until, until_true};
use crate::support::{Kind, Setup};

/// Nobody else would end it, and a worker with one thread hears of nothing while it is in a request (or an import).
#[test]
fn mercy_ends_without_a_master_too() {
    for import in [false, true] {
        let source = format!(
            "import time\n\
            def application(environ, start_response):\n\
            \x20   open('waiting', 'w').close()\n\
            \x20   time.sleep(600)\n\
            if {}: application(0, 0)\n",
            if import { "True" } else { "False" }
        );
        for signal in [Signal::TERM, Signal::INT] {
            let setup = Setup::source(Kind::Uwgate, &source);
            let http = setup.dir().join("http.sock");
            let mut server = setup
                .option("master", "false")
                .option("http-socket", http.display())
                .option("worker-reload-mercy", 1)
                .option("reload-mercy", 1)
                .spawn();
            let mut client = until("a connection", || {
                std::os::unix::net::UnixStream::connect(&http).ok()
            });
            let request = crate::support::Request::get("/").bytes();
            client.write_all(&request).expect("can be written");
            until_true("it to be stuck", || server.dir.join("waiting").exists());
            assert_eq!(
                server.stop_with(signal).code(),
                Some(30),
                "{signal:?} {import}"
            );
        }
    }
}

/// Requests that take longer than the mercy are cut.
#[test]
fn mercy_ends() {
    for (option, signal) in [
        ("worker-reload-mercy", Signal::TERM),
        ("reload-mercy", Signal::INT),
    ] {
        let mut server = Setup::app(Kind::Uwgate, "slow.py")
            .option(option, 1)
            .start();
        let mut client = server.client();
        let never = server.dir.join("never");
        let target = format!("/until{}", never.display());
        client.write(crate::support::Request::get(&target).bytes());
        until_true("the request to start", || {
            server.dir.join("never.started").exists()
        });
        assert_eq!(server.stop_with(signal).code(), Some(0));
        assert!(client.rest().is_empty(), "{option}");
    }
}
