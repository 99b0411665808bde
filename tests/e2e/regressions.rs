//! What once went wrong, each test named after it.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::process::{alive, children, signal};
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Packet, Request, Server, Setup};

fn server(source: &str) -> Server {
    Setup::source(Kind::Uwgate, source).start()
}

const READS_ALL: &str = "
def application(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [])
    return [str(len(body)).encode()]
";

#[test]
fn a_chunked_body_passed_by_limit_post() {
    let server = Setup::source(Kind::Uwgate, READS_ALL)
        .option("limit-post", 1000)
        .start();
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 2000, "x".repeat(2000));
    let mut client = server.client();
    client.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.write(chunk);
    client.response("POST").expect(413);
    assert_eq!(
        server.post("/", vec![b'x'; 1000]).expect(200).text(),
        "1000"
    );
    server.post("/", vec![b'x'; 1001]).expect(413);
}

#[test]
fn a_whole_body_was_not_seekable() {
    let source = "
def application(environ, start_response):
    body = environ['wsgi.input']
    first = body.read(7)
    rest = body.read()
    assert body.tell() == len(first) + len(rest)
    body.seek(0)
    assert body.read() == first + rest
    assert body.seek(-3, 2) == len(first + rest) - 3
    start_response('200 OK', [])
    return [body.read(), str(len(first + rest)).encode()]
";
    let server = Setup::source(Kind::Uwgate, source)
        .option("post-buffering", 1000)
        .start();
    // In memory, in a file, and in chunks.
    assert_eq!(server.post("/", "0123456789").expect(200).text(), "78910");
    let long = "x".repeat(300_000);
    assert_eq!(
        server.post("/", long.clone()).expect(200).text(),
        "xxx300000"
    );
    assert_eq!(
        server.uwsgi(&Packet::post("/", long)).expect(200).text(),
        "xxx300000"
    );
    let mut client = server.client();
    client.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.write("5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n");
    assert_eq!(client.response("POST").expect(200).text(), "78910");
}

const KEEPS: &str = "
kept = {}
def application(environ, start_response):
    if environ['PATH_INFO'] == '/keep':
        kept['self'] = start_response.__self__
        kept['start_response'] = start_response
        kept['write'] = start_response('200 OK', [])
        kept['input'] = environ['wsgi.input']
        return [b'kept']
    raised = []
    for use in (
        lambda: kept['self'].start_response('500 No', []),
        lambda: kept['start_response']('500 No', []),
        lambda: kept['write'](b'leaked'),
        lambda: kept['input'].read(),
    ):
        try:
            use()
        except Exception as error:
            raised.append(type(error).__name__)
    start_response('200 OK', [])
    return [' '.join(raised).encode()]
";

#[test]
fn what_an_application_kept_answered_somebody_elses_request() {
    let server = server(KEEPS);
    let mut client = server.client();
    client.send(&Request::post("/keep", "secret")).expect(200);
    let raised = client.send(&Request::post("/use", "other")).expect(200);
    assert_eq!(
        raised.text(),
        "RuntimeError RuntimeError RuntimeError ValueError"
    );
}

#[test]
fn variables_of_a_peer_replaced_the_servers_own() {
    let source = "
def application(environ, start_response):
    start_response('200 OK', [])
    return [repr((environ['wsgi.version'], environ['wsgi.url_scheme'])).encode()]
";
    let packet = Packet::get("/")
        .var("wsgi.version", "(9, 9)")
        .var("wsgi.url_scheme", "gopher");
    assert_eq!(
        server(source).uwsgi(&packet).expect(200).text(),
        "((1, 0), 'http')"
    );
}

#[test]
fn a_thread_that_still_reads_kept_the_connection_open() {
    let source = "
import threading
def application(environ, start_response):
    body = environ['wsgi.input']
    entered = threading.Event()
    def read():
        entered.set()
        body.read()
    threading.Thread(target=read).start()
    entered.wait()
    import time; time.sleep(0.2)
    start_response('200 OK', [])
    return [b'answered']
";
    let server = server(source);
    let mut client = server.client();
    client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
    client.write(vec![b'x'; 100_000]);
    client.rest();
}

#[test]
fn a_file_of_the_kernel_came_out_empty() {
    let source = "
def application(environ, start_response):
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](open('/proc/self/status', 'rb'))
";
    let answer = server(source).get("/").expect(200);
    assert!(answer.text().contains("VmRSS"), "{}", answer.text());
}

/// The first worker of the new generation serves a request while the second one is still loading.
#[test]
fn a_second_reload_killed_workers_that_served() {
    let source = "
import os, time, uuid
if os.path.exists('slow'):
    time.sleep(0.5)
def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        time.sleep(1)
    start_response('200 OK', [])
    return [b'ok']
";
    let server = Setup::source(Kind::Uwgate, source)
        .option("processes", 2)
        .option("lazy-apps", "true")
        .start();
    server.dir.write("slow", "");
    let requests: Vec<_> = (0..8)
        .map(|number| {
            server.signal(Signal::HUP);
            thread::sleep(Duration::from_millis(40 * number));
            let mut client = server.client();
            client.write(Request::get("/slow").bytes());
            client
        })
        .collect();
    for mut client in requests {
        client.response("GET").expect(200);
    }
}

#[test]
fn a_lost_zygote_was_tried_once_only() {
    let server = server("def application(e, s):\n    s('200 OK', [])\n    return [b'ok']\n");
    server.get("/").expect(200);
    let master = server.process.pid();
    let workers = until("the worker", || {
        Some(server.workers()).filter(|workers| !workers.is_empty())
    });
    let zygotes = || {
        let is_zygote = |pid: &u32| !workers.contains(pid);
        children(master)
            .into_iter()
            .filter(is_zygote)
            .collect::<Vec<_>>()
    };
    server
        .dir
        .write("app.py", "raise RuntimeError('broken meanwhile')");
    for zygote in zygotes() {
        signal(zygote, Signal::KILL);
    }
    server.wait_for_log("broken meanwhile");
    server.get("/").expect(200);
    server.dir.write(
        "app.py",
        "def application(e, s):\n    s('200 OK', [])\n    return [b'mended']\n",
    );
    until_true("the mended code", || {
        server.get("/").expect(200).text() == "mended"
    });
}

#[test]
fn half_a_head_held_up_a_stop() {
    let mut server = server(READS_ALL);
    let mut client = server.client();
    client.write("GET / HTTP/1.1\r\nHo");
    // It is served next to the half head, so that was read before.
    server.get("/").expect(200);
    let pids = server.workers();
    server.stop_with(Signal::TERM);
    assert!(pids.into_iter().all(|pid| !alive(pid)));
}
