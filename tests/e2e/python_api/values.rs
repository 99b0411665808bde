//! What attributes and functions say, and what is said of those that are absent.

use super::{all, ask};
use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Server, Setup};

both! {
    fn attributes_have_uwsgis_types_and_values(kind) {
        let server = Setup::app(kind, "ask.py")
            .option("processes", 2)
            .option("threads", 2)
            .option("buffer-size", 8192)
            .option("env", "A=1")
            .option("env", "B=2")
            .start();
        all(&server, &[
            ("uwsgi.version", "b'2.0.31'"),
            ("uwsgi.version_info", "(2, 0, 31, 0, b'')"),
            ("uwsgi.hostname == os.uname().nodename.encode()", "True"),
            ("uwsgi.numproc, uwsgi.cores, uwsgi.has_threads, uwsgi.buffer_size", "(2, 2, 1, 8192)"),
            ("type(uwsgi.started_on), 0 <= time.time() - uwsgi.started_on < 600", "(<class 'int'>, True)"),
            ("uwsgi.is_a_reload, os.environ['UWSGI_RELOADS']", "(False, '0')"),
            ("uwsgi.loop, uwsgi.unbit, uwsgi.applications", "(None, None, None)"),
            ("uwsgi.SPOOL_RETRY, uwsgi.SPOOL_OK, uwsgi.SPOOL_IGNORE", "(-1, -2, 0)"),
            ("len(uwsgi.sockets), {type(fd) for fd in uwsgi.sockets}", "(2, {<class 'int'>})"),
            ("uwsgi.opt['processes'], uwsgi.opt['master'], uwsgi.opt['env']", "(b'2', b'true', b'B=2')"),
            ("uwsgi.opt['ini'].endswith(b'server.ini'), 'lazy-apps' in uwsgi.opt", "(True, False)"),
            ("uwsgi.magic_table[b'n'], uwsgi.magic_table[b'V']", "(b'server', b'2.0.31')"),
            ("isinstance(uwsgi, type(sys)), sys.modules['uwsgi'] is uwsgi", "(True, True)"),
            ("hasattr(uwsgi, 'pidfile'), hasattr(uwsgi, 'post_fork_hook')", "(False, False)"),
            ("hasattr(uwsgi, 'after_req_hook'), hasattr(uwsgi, 'nobody')", "(False, False)"),
        ]);
    }
}

both! {
    fn functions_answer_alike_outside_of_a_worker_and_in_it(kind) {
        let server = Server::app(kind, "ask.py");
        all(&server, &[
            ("sorted(AT_LOAD.values())", "[\"'MainThread'\", '(None, True, None, False)', '0', '0', 'False', 'None', 'True']"),
            ("uwsgi.worker_id(), uwsgi.mule_id(), uwsgi.ready(), uwsgi.ready_fd()", "(1, 0, True, -1)"),
            ("uwsgi.masterpid() == os.getppid()", "True"),
            ("uwsgi.request_id(), uwsgi.total_requests()", "(3, 3)"),
            ("[type(x).__name__ for x in uwsgi.mem()], uwsgi.mem()[1] > uwsgi.mem()[0] > 4 << 20", "(['int', 'int'], True)"),
            ("abs(uwsgi.micros() / 1e6 - time.time()) < 5", "True"),
            ("uwsgi.log('a line of the application')", "True"),
            ("type(uwsgi.listen_queue()), type(uwsgi.listen_queue(1))", "(<class 'int'>, <class 'int'>)"),
            ("uwsgi.listen_queue(7)", "ValueError: unable to find socket 7"),
            ("uwsgi.cl()", "10"),
            ("uwsgi.is_connected(uwsgi.connection_fd()), uwsgi.is_connected(9999)", "(True, False)"),
            ("uwsgi.set_logvar('k', b'v'), uwsgi.get_logvar(b'k'), uwsgi.get_logvar('x')", "(None, b'v', None)"),
            ("uwsgi.get_logvar('k')", "None"),
            ("uwsgi.set_logvar('k', 5)", "TypeError: a bytes-like object is required, not 'int'"),
            ("uwsgi.add_var('A', 'b'), uwsgi.accepting(), uwsgi.log_this_request()", "(True, None, None)"),
            ("uwsgi.set_user_harakiri(60), uwsgi.set_user_harakiri(0)", "(None, None)"),
            ("uwsgi.i_am_the_spooler(), uwsgi.in_farm()", "(None, None)"),
            ("threading.current_thread().name", "'uWSGIWorker1Core0'"),
        ]);
        server.wait_for_line("the line", |line| line == "a line of the application");
    }
}

both! {
    fn workers_are_dicts(kind) {
        let server = Setup::app(kind, "ask.py").option("processes", 2).start();
        until_true("both workers", || {
            ask(&server, "min(w['last_spawn'] for w in uwsgi.workers()) > 0") == "True"
        });
        let own = "[w for w in uwsgi.workers() if w['pid'] == os.getpid()][0]";
        all(&server, &[
            ("[w['id'] for w in uwsgi.workers()]", "[1, 2]"),
            ("sum(w['requests'] for w in uwsgi.workers()) == uwsgi.total_requests()", "True"),
            ("' '.join(sorted(uwsgi.workers()[0]))", "'apps avg_rt delta_requests exceptions id last_spawn pid \
                requests respawn_count rss running_time signals status tx vsz'"),
            ("' '.join(sorted(uwsgi.workers()[0]['apps'][0]))", "'callable chdir exceptions id interpreter \
                modifier1 mountpoint requests startup_time'"),
            ("{type(v).__name__ for v in uwsgi.workers()[0].values()} ^ {'int', 'bytes', 'tuple'}", "set()"),
            (&format!("{own}['status'], {own}['id'] == uwsgi.worker_id()"), "(b'busy', True)"),
            (&format!("{own}['respawn_count'], 0 <= time.time() - {own}['last_spawn'] < 600"), "(0, True)"),
            (&format!("{own}['apps'][0]['callable'] == id(application), {own}['apps'][0]['mountpoint']"), "(True, b'')"),
        ]);
    }
}

both! {
    /// Without a master the process is its own.
    fn without_a_master_there_is_none(kind) {
        let server = Setup::app(kind, "ask.py").option("master", "false").start();
        all(&server, &[
            ("AT_LOAD['uwsgi.worker_id()'], uwsgi.worker_id(), uwsgi.masterpid()", "('0', 1, 0)"),
            ("uwsgi.workers()[0]['pid'] == os.getpid()", "True"),
            ("uwsgi.set_user_harakiri(5), os.environ['UWSGI_RELOADS']", "(None, '0')"),
        ]);
        server.wait_for_log("!!! unable to set user harakiri without the master process !!!");
    }
}

/// Libraries look before they leap; people read.
#[test]
fn absent_functions_say_what_to_use_instead() {
    let server = Server::app(Kind::Uwgate, "ask.py");
    all(
        &server,
        &[
            (
                "[n for n in ('spool', 'cache_get', 'add_timer', 'websocket_handshake', 'rpc') if hasattr(uwsgi, n)]",
                "[]",
            ),
            (
                "uwsgi.cache_get('a')",
                "AttributeError: module 'uwsgi' has no attribute 'cache_get': uwgate does not \
            have the cache; use Redis, Memcached or a local cache of the framework",
            ),
            (
                "uwsgi.nobody",
                "AttributeError: module 'uwsgi' has no attribute 'nobody'",
            ),
        ],
    );
}

/// True without being written, and libraries that start threads before the fork ask for them.
#[test]
fn threads_and_fork_hooks_are_always_on() {
    let server = Server::app(Kind::Uwgate, "ask.py");
    all(
        &server,
        &[(
            "uwsgi.opt['enable-threads'], uwsgi.opt['py-call-uwsgi-fork-hooks']",
            "(True, True)",
        )],
    );
    let server = Setup::app(Kind::Uwgate, "ask.py")
        .option("enable-threads", "true")
        .start();
    all(&server, &[("uwsgi.opt['enable-threads']", "b'true'")]);
}
