//! `uwsgidecorators`, uWSGI's own and the one that comes with the server.

use rustix::process::Signal;

use super::ask;
use crate::both;
use crate::support::process::signal;
use crate::support::wait::until_true;
use crate::support::{Kind, Server, Setup, paths};

/// Real uWSGI's module, where it is installed.
const DECORATED: &str = "\
import os
import uwsgi
from uwsgidecorators import postfork, lock, thread, harakiri
SEEN = []
@postfork
def in_each():
    SEEN.append('each')
@postfork(2)
def in_second():
    SEEN.append('second')
@lock
def locked():
    return uwsgi.is_locked()
@thread
def beside():
    SEEN.append('thread')
@harakiri(60)
def limited():
    return 'limited'
def application(environ, start_response):
    start_response('200 OK', [])
    beside()
    while 'thread' not in SEEN:
        pass
    answer = (uwsgi.worker_id(), SEEN[:SEEN.index('thread')], locked(), uwsgi.is_locked(), limited())
    return [repr(answer).encode()]
";

fn decorated(setup: Setup) {
    let server = setup
        .option("processes", 2)
        .option("enable-threads", "true")
        .start();
    let mut seen = [false; 2];
    until_true("an answer of each worker", || {
        let answer = server.get("/").expect(200).text().to_owned();
        match answer.as_str() {
            "(1, ['each'], True, False, 'limited')" => seen[0] = true,
            "(2, ['each', 'second'], True, False, 'limited')" => seen[1] = true,
            other => panic!("{other}"),
        }
        // Whoever is free takes it; a killed worker's successor has run its hooks, too.
        if !seen[1]
            && let Some(other) = server.workers().first().filter(|_| seen[0])
        {
            signal(*other, Signal::KILL);
        }
        seen == [true; 2]
    });
}

both! {
    fn uwsgis_own_decorators(kind) {
        decorated(Setup::source(kind, DECORATED).option("virtualenv", paths::venv().display()));
    }
}

#[test]
fn decorators_without_uwsgi() {
    decorated(Setup::source(Kind::Uwgate, DECORATED));
}

#[test]
fn a_decorator_that_is_not_there_says_so_when_it_is_used() {
    let server = Server::app(Kind::Uwgate, "ask.py");
    let answer = ask(&server, "__import__('uwsgidecorators').timer(3)(print)");
    assert!(
        answer.starts_with("NotImplementedError: uwsgidecorators.timer"),
        "{answer}"
    );
    let real = Setup::app(Kind::Uwgate, "ask.py").option("virtualenv", paths::venv().display());
    let answer = ask(
        &real.start(),
        "__import__('uwsgidecorators').timer(3)(print)",
    );
    assert!(
        answer.contains("uwsgi' has no attribute 'signal_registered': uwgate does not have"),
        "{answer}"
    );
}
