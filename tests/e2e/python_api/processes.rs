//! How a worker lives after its fork: libraries, threads and signals.

use rustix::process::Signal;

use super::{HOOKED, begin};
use crate::support::process::signal;
use crate::support::wait::{until, until_true};
use crate::support::{Client, Kind, Setup, TempDir};

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
