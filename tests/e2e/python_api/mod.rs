//! What the application can ask its server: `import uwsgi`, `uwsgidecorators`, and how a worker lives after its fork.

mod decorators;
mod endings;
mod hooks;
mod locks;
mod processes;
mod requests;
mod values;

use crate::support::{Client, Request, Server};

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
