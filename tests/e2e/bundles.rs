//! Answers that leave together, to clients on this machine: none waits for a request that is stuck, and none is lost.

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::until_true;
use crate::support::{Client, Kind, Request, Server, Setup};

/// Quick, but `/stuck` says that it has begun, and ends when it is told to.
const APP: &str = r#"
import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        open("begun", "w").close()
        while not os.path.exists("enough"):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"whole"]
"#;

/// Clients whose server has got used to quick requests, several at a time.
fn quick_clients(server: &Server) -> Vec<Client> {
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    for _ in 0..200 {
        ask(&mut clients, "/");
        expect_answers(&mut clients);
    }
    clients
}

fn ask(clients: &mut [Client], path: &str) {
    for client in clients {
        client.write(Request::get(path).bytes());
    }
}

fn expect_answers(clients: &mut [Client]) {
    for client in clients {
        assert_eq!(client.response("GET").expect(200).text(), "whole");
    }
}

/// Asks for quick answers and then for one that gets stuck; returns the client that waits for it.
fn get_stuck(server: &Server, clients: &mut Vec<Client>) -> Client {
    let mut last = clients.pop().expect("there are eight");
    ask(clients, "/");
    last.write(Request::get("/stuck").bytes());
    until_true("the request that gets stuck", || {
        server.dir.join("begun").exists()
    });
    last
}

#[test]
fn no_answer_waits_for_a_request_that_is_stuck() {
    let server = Setup::source(Kind::Uwgate, APP).start();
    let mut clients = quick_clients(&server);
    let mut last = get_stuck(&server, &mut clients);
    expect_answers(&mut clients);
    server.dir.write("enough", "");
    last.response("GET").expect(200);
}

#[test]
fn an_answer_arrives_though_its_worker_was_killed_in_the_next_request() {
    let server = Setup::source(Kind::Uwgate, APP)
        .option("processes", 1)
        .start();
    let mut clients = quick_clients(&server);
    get_stuck(&server, &mut clients);
    for worker in server.workers() {
        let worker = i32::try_from(worker).ok().and_then(Pid::from_raw);
        kill_process(worker.expect("a pid"), Signal::KILL).expect("it is our child's child");
    }
    expect_answers(&mut clients);
}
