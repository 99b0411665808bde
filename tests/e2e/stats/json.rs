//! The JSON as a whole: its shape, and what stands beside the workers.

use serde_json::Value;

use super::{Hanging, number, setup, started, stats, text, worker};
use crate::both;
use crate::support::wait::{until, until_true};
use crate::support::{Address, Client, Kind, Setup, paths};

/// The locks of uWSGI that there are none of here.
const LOCKS: [&str; 7] = [
    "signal", "filemon", "timer", "rbtimer", "cron", "rpc", "snmp",
];

/// Names in their order, with the depth at which they stand. Which core of which worker has the request is chance.
fn names(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().filter_map(|line| {
        let item = line.trim_start_matches('\t');
        let (name, _) = item.strip_prefix('"')?.split_once("\":")?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (name.bytes().all(is_name) && line != item).then(|| (line.len() - item.len(), name))
    });
    lines
        .filter(|(_, name)| !LOCKS.contains(name) && *name != "request_start")
        .collect()
}

/// The type of everything, a list standing for its first item.
fn types(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            assert!(
                value.as_i64().is_some(),
                "uWSGI has whole numbers only: {value}"
            );
            "number".into()
        }
        Value::String(_) => "text".into(),
        Value::Array(items) => items.iter().take(1).map(types).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(key, value)| (key.clone(), types(value)))
                .collect()
        }
    }
}

#[test]
fn the_json_is_that_of_uwsgi() {
    let texts = [Kind::Uwgate, Kind::Uwsgi].map(|kind| {
        let setup = setup(kind, "slow.py")
            .option("attach-daemon", "sleep 1000")
            .option("processes", 2)
            .option("threads", 2);
        let mount = format!("/other={}", paths::app("hello.py").display());
        let server = started(setup.option("mount", mount));
        let hanging = Hanging::start(&server, "go", "");
        let text = text(&Address::Unix(server.dir.join("stats.sock")));
        hanging.finish();
        text
    });
    let [ours, theirs] = &texts;
    assert_eq!(names(ours), names(theirs));
    let [ours, theirs] = texts.each_ref().map(|text| {
        let mut value: Value = serde_json::from_str(text).expect("is JSON");
        let workers = value["workers"].as_array_mut().expect("is a list");
        let is_busy = |worker: &Value| worker["status"] == "busy";
        workers.sort_by_key(|worker| !is_busy(worker));
        for worker in workers {
            let cores = worker["cores"].as_array_mut().expect("is a list");
            cores.sort_by_key(|core| core["in_request"] == 0);
        }
        types(&value)
    });
    assert_eq!(ours, theirs);
}

both! {
    fn daemons(kind) {
        let server = started(setup(kind, "hello.py").option("attach-daemon", "sleep 1000"));
        let daemon = until("the daemon", || {
            let daemon = stats(&server)["daemons"][0].clone();
            (number(&daemon, "pid") > 0).then_some(daemon)
        });
        assert_eq!(daemon["cmd"], "sleep 1000");
        assert_eq!(number(&daemon, "respawns"), 0);
        let children = crate::support::process::children(server.process.pid());
        assert!(children.iter().any(|pid| u64::from(*pid) == number(&daemon, "pid")));
    }
}

both! {
    /// uWSGI has locks of its own beside those of the application.
    fn locks_and_who_holds_them(kind) {
        let app = "\
import uwsgi
def application(environ, start_response):
    uwsgi.lock(1)
    start_response('200 OK', [])
    return [b'locked']
";
        let setup = Setup::source(kind, app).option("locks", 1);
        let address = setup.dir().join("stats.sock");
        let server = started(setup.option("stats", address.display()));
        server.get("/").expect(200);
        let seen = stats(&server);
        let locks = seen["locks"].as_array().expect("there are locks");
        let user: Vec<_> = locks.iter().filter(|lock| lock.to_string().contains("user")).collect();
        assert_eq!(user.len(), 2, "{locks:?}");
        assert_eq!(user[0]["user 0"], 0);
        assert_eq!(user[1]["user 1"], worker(&seen, 1)["pid"]);
    }
}

both! {
    /// uWSGI looks once a second.
    fn a_tcp_queue_is_seen(kind) {
        let server = started(setup(kind, "slow.py"));
        let hanging = Hanging::start(&server, "go", "");
        let _waiting = [(); 3].map(|()| server.client());
        until_true("three in the queue", || number(&stats(&server)["sockets"][0], "queue") == 3);
        let seen = stats(&server);
        assert_eq!((number(&seen, "listen_queue"), number(&seen, "load")), (3, 3));
        assert_eq!(number(&seen["sockets"][0], "max_queue"), 100);
        hanging.finish();
    }
}

/// uWSGI says 0 of any.
#[test]
fn a_unix_queue_is_seen() {
    let server = started(setup(Kind::Uwgate, "slow.py"));
    let hanging = Hanging::start(&server, "go", "");
    // Whoever tried whether the server is there may not have been accepted yet.
    let before = number(&stats(&server)["sockets"][1], "queue");
    let _waiting = [(); 3].map(|()| Client::connect(&server.socket));
    let seen = stats(&server);
    let socket = &seen["sockets"][1];
    assert_eq!(socket["proto"], "uwsgi");
    // A kernel without unix_diag does not tell.
    if number(socket, "max_queue") > 0 {
        assert_eq!(number(socket, "queue"), before + 3);
        assert_eq!(number(&seen, "listen_queue"), before + 3);
    }
    hanging.finish();
}

/// uWSGI shows them to whoever reaches the port.
#[test]
fn secrets_are_masked_unless_they_are_asked_for() {
    for (option, shown) in [("false", false), ("true", true)] {
        let server = setup(Kind::Uwgate, "slow.py")
            .option("stats-show-secrets", option)
            .start();
        let hanging = Hanging::start(&server, "go", "?a=plain&access_token=abcdef");
        let text = text(&Address::Unix(server.dir.join("stats.sock")));
        assert!(text.contains("a=plain&access_token="), "{text}");
        assert_eq!(text.contains("abcdef"), shown, "{text}");
        hanging.finish();
    }
}
