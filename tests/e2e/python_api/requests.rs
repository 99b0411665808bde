//! What an application can do to the request it serves.

use super::{ask, begin};
use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Packet, Request, Server, Setup, TempDir};

both! {
    fn log_this_request_overrides_disable_logging(kind) {
        let server = Setup::app(kind, "ask.py").option("disable-logging", "true").start();
        ask(&server, "'quiet'");
        let marked = Request::post("/marked", b"uwsgi.log_this_request()".to_vec());
        server.send(&marked).expect(200);
        server.wait_for_log("POST /marked =>");
        // On the same connection, where there is one: the wish is that of one request.
        ask(&server, "'quiet'");
        server.send(&marked).expect(200);
        until_true("the second line", || server.log().matches("POST /marked =>").count() == 2);
        assert!(!server.log().contains("POST / =>"), "{}", server.log());
    }
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
