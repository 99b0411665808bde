//! What the application can ask its server: `import uwsgi`, `uwsgidecorators`, and how a worker lives after its fork.

use std::fs;

use rustix::process::Signal;

use crate::both;
use crate::support::process::{alive, signal};
use crate::support::wait::{until, until_true};
use crate::support::{Client, Kind, Packet, Request, Server, Setup, TempDir, paths};

/// The value of an expression in the application.
fn ask(server: &Server, expression: &str) -> String {
    answer(&mut server.client(), expression)
}

fn answer(client: &mut Client, expression: &str) -> String {
    let request = Request::post("/", expression.as_bytes().to_vec());
    client.send(&request).expect(200).text().to_owned()
}

/// Asks what does not answer soon.
fn begin(server: &Server, expression: &str) -> Client {
    let mut client = server.client();
    let request = Request::post("/", expression.as_bytes().to_vec());
    client.write(request.bytes());
    client
}

#[track_caller]
fn all(server: &Server, answers: &[(&str, &str)]) {
    for (expression, value) in answers {
        assert_eq!(ask(server, expression), *value, "{expression}");
    }
}

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

both! {
    fn log_this_request_overrides_disable_logging(kind) {
        let server = Setup::app(kind, "ask.py").option("disable-logging", "true").start();
        ask(&server, "'quiet'");
        let marked = Request::post("/marked", b"uwsgi.log_this_request()".to_vec());
        server.send(&marked).expect(200);
        server.wait_for_log("POST /marked =>");
        // On the same connection, where there is one: the wish is that of one request.
        ask(&server, "'quiet'");
        assert!(!server.log().contains("POST / =>"), "{}", server.log());
    }
}

/// An app whose hooks print what runs where.
const HOOKED: &str = "\
import atexit, os, threading
import uwsgi
MAIN = os.getpid()
def say(what):
    print('##', what, 'in', uwsgi.worker_id(), 'by', os.getpid(), flush=True)
uwsgi.post_fork_hook = lambda: say('post_fork_hook')
uwsgi.after_req_hook = lambda: say('after_req_hook')
uwsgi.atexit = lambda: say('uwsgi.atexit')
atexit.register(say, 'atexit')
say('load')
def application(environ, start_response):
    say('request')
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

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

/// Two numbers that only a lock makes one.
const COUNTING: &str = "[(uwsgi.lock(), open('n', 'a+').close(), \
    (lambda n: (time.sleep(0.0005), open('n', 'w').write(str(n + 1))))(int(open('n').read() or 0)), \
    uwsgi.unlock()) for _ in range(10)][-1][0]";

both! {
    fn locks_hold_between_processes_and_threads(kind) {
        let server = Setup::app(kind, "ask.py").option("processes", 2).option("threads", 3).start();
        let mut clients: Vec<Client> = (0..12).map(|_| begin(&server, COUNTING)).collect();
        for client in &mut clients {
            assert_eq!(client.response("POST").expect(200).text(), "None");
        }
        let counted = fs::read_to_string(server.dir.join("n")).expect("was counted");
        assert_eq!(counted, "120");
    }
}

both! {
    fn there_are_as_many_locks_as_asked_for(kind) {
        let server = Setup::app(kind, "ask.py").option("locks", 2).start();
        all(&server, &[
            ("uwsgi.lock(2), uwsgi.is_locked(2), uwsgi.is_locked(1), uwsgi.is_locked()", "(None, True, False, False)"),
            ("uwsgi.unlock(2), uwsgi.unlock(2), uwsgi.is_locked(2)", "(None, None, False)"),
            ("uwsgi.lock(3)", "ValueError: Invalid lock number"),
            ("uwsgi.is_locked(-1)", "ValueError: Invalid lock number"),
        ]);
    }
}

both! {
    fn a_killed_worker_gives_its_locks_back(kind) {
        let server = Setup::app(kind, "ask.py").option("processes", 2).start();
        let dir = TempDir::new();
        let file = dir.join("never");
        let _holder = begin(&server, &format!(
            "uwsgi.lock(), open('pid', 'w').write(str(os.getpid())), wait_for('{}')", file.display()));
        until_true("the lock", || dir.join("never.started").exists());
        assert_eq!(ask(&server, "uwsgi.is_locked()"), "True");
        let mut waiting = begin(&server, "uwsgi.lock(), uwsgi.unlock()");
        let pid = fs::read_to_string(server.dir.join("pid")).expect("was written");
        signal(pid.parse().expect("a pid"), Signal::KILL);
        assert_eq!(waiting.response("POST").expect(200).text(), "(None, None)");
    }
}

/// New code must wait for what old code has locked, which in uWSGI it does not.
#[test]
fn locks_hold_over_a_reload() {
    // The application takes lock 0 while it is loaded.
    let server = Setup::app(Kind::Uwgate, "ask.py")
        .option("locks", 1)
        .start();
    let dir = TempDir::new();
    let file = dir.join("go");
    let mut holder = begin(
        &server,
        &format!(
            "uwsgi.lock(1), wait_for('{}'), uwsgi.unlock(1)",
            file.display()
        ),
    );
    until_true("the lock", || dir.join("go.started").exists());
    server.signal(Signal::HUP);
    until_true("the new worker", || {
        ask(&server, "uwsgi.is_a_reload") == "True"
    });
    assert_eq!(ask(&server, "uwsgi.is_locked(1)"), "True");
    let mut waiting = begin(
        &server,
        "uwsgi.lock(1), uwsgi.unlock(1), uwsgi.is_locked(1)",
    );
    dir.write("go", "");
    holder.response("POST").expect(200);
    assert_eq!(
        waiting.response("POST").expect(200).text(),
        "(None, None, False)"
    );
}

/// The client has its answer while the application goes on, and what it says then goes nowhere.
#[test]
fn disconnect_ends_the_answer() {
    let source = "\
import os, time, uwsgi
def application(environ, start_response):
    write = start_response('200 OK', [])
    write(b'all ')
    write(b'there is')
    uwsgi.disconnect()
    while not os.path.exists('go'):
        time.sleep(0.005)
    print('## went on', flush=True)
    write(b'lost')
    return [b'lost, too']
";
    let server = Setup::source(Kind::Uwgate, source).start();
    let mut client = server.client();
    client.write(Request::get("/").bytes());
    assert_eq!(client.response("GET").expect(200).text(), "all there is");
    server.dir.write("go", "");
    assert_eq!(client.rest(), b"", "the connection ends");
    server.wait_for_log("## went on");
    // Behind a front server, too.
    server.uwsgi(&Packet::get("/")).expect(200);
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}

#[test]
fn a_client_that_has_gone_is_not_connected() {
    let server = Server::app(Kind::Uwgate, "ask.py");
    let dir = TempDir::new();
    let file = dir.join("go");
    let client = begin(
        &server,
        &format!(
            "uwsgi.is_connected(uwsgi.connection_fd()), wait_for('{}'), \
         print('##', uwsgi.is_connected(uwsgi.connection_fd()), flush=True)",
            file.display()
        ),
    );
    until_true("the request to start", || dir.join("go.started").exists());
    drop(client);
    dir.write("go", "");
    server.wait_for_log("## False");
}

/// In uWSGI some of them crash the server.
#[test]
fn request_functions_without_a_request() {
    let source = "\
import uwsgi
ANSWERS = [uwsgi.cl(), uwsgi.connection_fd(), uwsgi.add_var('a', 'b'), uwsgi.set_logvar('a', 'b'),
    uwsgi.get_logvar('a'), uwsgi.log_this_request(), uwsgi.disconnect(), uwsgi.set_user_harakiri(3)]
def application(environ, start_response):
    start_response('200 OK', [])
    return [repr(ANSWERS).encode()]
";
    let server = Setup::source(Kind::Uwgate, source).start();
    let answers = "[0, -1, True, None, None, None, None, None]";
    assert_eq!(server.get("/").expect(200).text(), answers);
}

/// An app that notes what its libraries would do around a fork.
const FORKED: &str = "\
import concurrent.futures, hashlib, json, logging, multiprocessing, operator, os, random, ssl, threading, uuid
import uwsgi
AT_FORK = []
os.register_at_fork(before=lambda: AT_FORK.append('before'), after_in_child=lambda: AT_FORK.append('child'),
    after_in_parent=lambda: AT_FORK.append('parent'))
CONTEXT = ssl.create_default_context()
LOG = logging.getLogger('app')
LOCK = threading.Lock()
THREADS = concurrent.futures.ThreadPoolExecutor(2)
BEGUN = []
uwsgi.post_fork_hook = lambda: threading.Thread(target=BEGUN.append, args=(os.getpid(),)).start()
def child():
    with multiprocessing.get_context(METHOD).Pool(1) as pool:
        return pool.map(operator.neg, [7]), pool.apply(os.getpid) != os.getpid()
def application(environ, start_response):
    global METHOD
    start_response('200 OK', [])
    METHOD = environ['QUERY_STRING'] or 'fork'
    with LOCK:
        LOG.warning('locked')
    answer = {
        'pid': os.getpid(), 'random': random.random(), 'uuid': uuid.uuid4().hex,
        'ssl': ssl.RAND_bytes(8).hex() + str(ssl.MemoryBIO().pending), 'at_fork': list(AT_FORK),
        'begun': BEGUN == [os.getpid()], 'pool': THREADS.submit(pow, 3, 2).result(),
        'thread': threading.main_thread() is threading.current_thread(), 'child': child(),
    }
    return [json.dumps(answer).encode()]
";

#[test]
fn libraries_survive_the_fork() {
    let server = Setup::source(Kind::Uwgate, FORKED)
        .option("processes", 2)
        .start();
    let ask = |target: &str| -> serde_json::Value {
        serde_json::from_slice(&server.get(target).expect(200).body).expect("is JSON")
    };
    let first = ask("/");
    signal(
        u32::try_from(first["pid"].as_u64().expect("a number")).expect("a pid"),
        Signal::KILL,
    );
    let second = until("another worker", || {
        let answer = ask("/");
        (answer["pid"] != first["pid"]).then_some(answer)
    });
    for answer in [&first, &second] {
        let at_fork = answer["at_fork"].as_array().expect("a list");
        assert_eq!(at_fork.last(), Some(&"child".into()), "{answer}");
        assert_eq!(at_fork[at_fork.len() - 2], "before", "{answer}");
        assert_eq!(
            answer["begun"], true,
            "the thread of the post_fork_hook has run"
        );
        assert_eq!(answer["pool"], 9);
        assert_eq!(answer["child"], serde_json::json!([[-7], true]));
        assert_eq!(answer["thread"], true);
    }
    for own in ["random", "uuid", "ssl"] {
        assert_ne!(first[own], second[own], "{own}");
    }
}

/// `spawn` starts `sys.executable`, which under uWSGI is uWSGI.
#[test]
fn multiprocessing_can_spawn() {
    let setup = Setup::new(Kind::Uwgate)
        .option("module", "forked")
        .option("threads", 2);
    setup.write("forked.py", FORKED);
    let server = setup.start();
    let answer = server.get("/?spawn").expect(200);
    assert!(
        answer.text().contains("\"child\": [[-7], true]"),
        "{answer:?}"
    );
}

#[test]
fn a_thread_that_was_started_while_loading_is_told_of() {
    let source = format!(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n{HOOKED}"
    );
    let server = Setup::source(Kind::Uwgate, &source).start();
    server.get("/").expect(200);
    server.wait_for_log("the application started 1 thread(s) while it was loaded");
}

/// Python runs handlers on a process's first thread only, which with several threads serves nothing, and with one
/// may wait for long.
#[test]
fn signal_handlers_of_the_application_run() {
    for threads in [1, 3] {
        let source = "\
import os, signal, threading
signal.signal(signal.SIGWINCH, lambda *_: print('## handled by', os.getpid(), flush=True))
def application(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";
        let server = Setup::source(Kind::Uwgate, source)
            .option("threads", threads)
            .start();
        let pid = server.get("/").expect(200).text().to_owned();
        signal(pid.parse().expect("a pid"), Signal::WINCH);
        server.wait_for_log(&format!("## handled by {pid}"));
        assert_eq!(server.get("/").expect(200).text(), pid);
    }
}

#[test]
fn every_serving_thread_has_a_name_of_its_own() {
    let server = Setup::app(Kind::Uwgate, "ask.py")
        .option("threads", 3)
        .start();
    let dir = TempDir::new();
    let waiting: Vec<Client> = (0..3)
        .map(|number| {
            let file = dir.join(number.to_string());
            let client = begin(
                &server,
                &format!(
                    "wait_for('{}'), threading.current_thread().name",
                    file.display()
                ),
            );
            until_true("the request to start", || {
                dir.join(format!("{number}.started")).exists()
            });
            client
        })
        .collect();
    let mut names: Vec<String> = (0..3)
        .zip(waiting)
        .map(|(number, mut client)| {
            dir.write(&number.to_string(), "");
            client.response("POST").expect(200).text().to_owned()
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names.iter().all(|name| name.contains("uWSGIWorker1Core")),
        "{names:?}"
    );
}
