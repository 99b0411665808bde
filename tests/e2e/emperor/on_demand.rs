//! Vassals that are started by who connects to them, and stopped again when nobody does.

use std::fs;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{APP, Emperor, Kind, Realm, pairings};
use crate::support::Address;
use crate::support::process::alive;
use crate::support::wait::{PATIENCE, until, until_true};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// What a vassal on demand has in its file: no socket.
const VASSAL: &str = "[uwsgi]\nprotocol = http\nmaster = true\nneed-app = true\n\
    vacuum = true\nenv = VERSION=1\n";

const BORED: &str = "idle = 1\ndie-on-idle = true\n";

impl Realm {
    /// Each vassal has its socket in the directory `run`.
    fn on_demand(self) -> Self {
        let run = self.dir.join("run");
        fs::create_dir(&run).expect("a new directory");
        self.option("emperor-on-demand-directory", run.display())
    }
}

impl Emperor {
    fn bare(&self, more: &str) -> String {
        let app = self.dir.write("app.py", APP);
        format!("{VASSAL}wsgi-file = {}\n{more}", app.display())
    }

    fn door(&self, name: &str) -> Address {
        Address::Unix(self.dir.join(format!("run/{name}.socket")))
    }

    /// Waits for the socket of a vassal without a process.
    fn wait_for_door(&self, name: &str) {
        let door = self.door(name);
        until_true("its socket", || door.is_listening());
    }
}

/// One request on a connection of its own; the body of the answer.
fn request(address: &Address) -> String {
    let mut connection = address.connect().expect("somebody listens");
    connection.set_timeout(PATIENCE).expect("a timeout");
    connection
        .write_all(REQUEST)
        .expect("a request can be sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}

fn pid_in(body: &str) -> u32 {
    let pid = body.split(' ').nth(1).and_then(|pid| pid.parse().ok());
    pid.unwrap_or_else(|| panic!("no pid in {body:?}"))
}

pairings! {
    /// The first request starts it and is served; without requests it is stopped; the next one starts it again.
    fn a_request_starts_a_vassal_and_rest_stops_it(realm) {
        let emperor = realm.on_demand().start();
        let text = emperor.bare(BORED);
        emperor.put("a.ini", &text);
        emperor.wait_for_door("a");
        emperor.wait_for_log("a.ini -> \"on demand\" instance detected");
        assert_eq!(emperor.count_in_log("has been spawned"), 0, "{}", emperor.log());
        let first = pid_in(&request(&emperor.door("a")));
        emperor.wait_for_log("[emperor] vassal a.ini has been spawned");
        emperor.wait_for_log("[emperor] vassal a.ini is now loyal");
        until_true("it to be stopped", || !alive(first));
        let second = pid_in(&request(&emperor.door("a")));
        assert_ne!(first, second);
        until_true("it to be stopped", || !alive(second));
        request(&emperor.door("a"));
    }
}

pairings! {
    /// Many at the very first moment: one process, and nobody is turned away.
    fn a_crowd_starts_one_vassal(realm) {
        let emperor = realm.on_demand().start();
        let text = emperor.bare("");
        emperor.put("a.ini", &text);
        emperor.wait_for_door("a");
        let door = emperor.door("a");
        thread::scope(|scope| {
            let all: Vec<_> = (0..60).map(|_| scope.spawn(|| pid_in(&request(&door)))).collect();
            let pids: Vec<u32> = all.into_iter().map(|it| it.join().expect("served")).collect();
            assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
        });
        emperor.wait_for_log("is now loyal");
        assert_eq!(emperor.count_in_log("has been spawned"), 1, "{}", emperor.log());
    }
}

/// Whatever the moment of a request, it is served: also when the vassal is about to leave, or has just left.
#[test]
fn no_request_is_lost_when_a_vassal_falls_asleep() {
    for (emperor, vassals) in [(Kind::Uwgate, Kind::Uwgate), (Kind::Uwsgi, Kind::Uwgate)] {
        let emperor = Realm::new(emperor, vassals).on_demand().start();
        let text = emperor.bare(BORED);
        emperor.put("a.ini", &text);
        emperor.wait_for_door("a");
        let door = emperor.door("a");
        let mut pids = Vec::new();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            // Requests just at the moments at which it falls asleep, each a little later than the one before.
            let clients: Vec<_> = (0..4)
                .map(|client| {
                    let (door, over) = (&door, &over);
                    scope.spawn(move || {
                        let mut seen = Vec::new();
                        for round in 0..4 {
                            if over.load(Ordering::Relaxed) {
                                break;
                            }
                            seen.push(pid_in(&request(door)));
                            let nap = 1000 + 130 * round + 37 * client;
                            thread::sleep(std::time::Duration::from_millis(nap));
                        }
                        over.store(true, Ordering::Relaxed);
                        seen
                    })
                })
                .collect();
            for client in clients {
                pids.extend(client.join().expect("every request is served"));
            }
        });
        pids.sort_unstable();
        pids.dedup();
        assert!(!pids.is_empty());
    }
}

/// A file beside the vassal's names the socket, here a TCP one; without such a file it is a vassal like any other.
#[test]
fn a_file_beside_names_the_socket() {
    for kind in [Kind::Uwgate, Kind::Uwsgi] {
        let realm = Realm::new(kind, kind);
        let emperor = realm.option("emperor-on-demand-extension", ".od").start();
        let address = Address::free_port();
        fs::write(emperor.file("a.ini.od"), format!("{address}\nmore\n")).expect("a file");
        let text = emperor.bare("");
        emperor.put("a.ini", &text);
        emperor.add("b.ini", "plain");
        emperor.wait_for_version("b.ini", "plain");
        until_true("its socket", || address.connect().is_ok());
        request(&address);
    }
}

#[test]
fn a_command_names_the_socket() {
    for kind in [Kind::Uwgate, Kind::Uwsgi] {
        let realm = Realm::new(kind, kind);
        let script = realm.dir.write(
            "where.sh",
            format!(
                "#!/bin/sh\ncase $1 in a.ini) echo {}/run-$1.socket;; esac\n",
                realm.dir.display()
            ),
        );
        let emperor = realm
            .option("emperor-on-demand-exec", format!("sh {}", script.display()))
            .start();
        let text = emperor.bare("");
        emperor.put("a.ini", &text);
        emperor.add("b.ini", "plain");
        emperor.wait_for_version("b.ini", "plain");
        let door = Address::Unix(emperor.dir.join("run-a.ini.socket"));
        until_true("its socket", || door.is_listening());
        request(&door);
    }
}

/// Five hundred files, no process; one request, one process.
#[test]
fn many_vassals_without_a_process() {
    const MANY: usize = 500;
    let realm = Realm::ours().on_demand();
    let text = {
        let app = realm.dir.write("app.py", APP);
        format!("{VASSAL}wsgi-file = {}\n", app.display())
    };
    for number in 0..MANY {
        realm.dir.write(&format!("vassals/v{number}.ini"), &text);
    }
    let emperor = realm.start();
    until_true("all sockets", || {
        fs::read_dir(emperor.dir.join("run")).is_ok_and(|all| all.count() == MANY)
    });
    let listed = emperor.control("{\"do\":\"list\"}");
    let vassals = listed["vassals"]["vassals"].as_array().expect("vassals");
    assert_eq!(vassals.len(), MANY);
    assert!(
        vassals.iter().all(|it| it["state"] == "on-demand"),
        "{listed}"
    );
    request(&emperor.door("v123"));
    emperor.wait_for_log("started vassal");
    let started = emperor.log();
    let started: Vec<&str> = started
        .lines()
        .filter(|line| line.contains("started vassal"))
        .collect();
    assert_eq!(started.len(), 1, "{started:?}");
    assert!(started[0].contains("v123.ini"), "{started:?}");
}

/// A touched file of a vassal that sleeps is used by the next start; of one that runs, it reloads.
#[test]
fn the_next_start_reads_the_file_of_now() {
    let emperor = Realm::ours().on_demand().start();
    let text = emperor.bare(BORED);
    emperor.put("a.ini", &text.replace("VERSION=1", "VERSION=0"));
    emperor.wait_for_door("a");
    emperor.put("a.ini", &text);
    until_true("the new version", || {
        request(&emperor.door("a")).starts_with("1 ")
    });
    let text = emperor.bare("").replace("VERSION=1", "VERSION=2");
    emperor.put("a.ini", &text);
    until_true("the newest version", || {
        request(&emperor.door("a")).starts_with("2 ")
    });
}

/// Who has come to a vassal that cannot start is served by the next version of its file.
#[test]
fn a_visitor_waits_for_a_vassal_that_fails_at_first() {
    let emperor = Realm::ours().on_demand().start();
    let text = emperor.bare("");
    emperor.put("a.ini", &text.replace("wsgi-file", "module = nowhere\n#"));
    emperor.wait_for_door("a");
    let door = emperor.door("a");
    thread::scope(|scope| {
        let visitor = scope.spawn(|| request(&door));
        emperor.wait_for_log("[emperor] curse the uwsgi instance a.ini");
        emperor.put("a.ini", &text);
        assert!(visitor.join().expect("is served").starts_with("1 "));
    });
}

/// Its own file names the same socket: then the protocol is said there, and it is the emperor's all the same.
#[test]
fn a_vassal_may_name_its_socket() {
    for emperor in [Kind::Uwgate, Kind::Uwsgi] {
        let realm = Realm::new(emperor, Kind::Uwgate).on_demand();
        let emperor = realm.start();
        let path = emperor.dir.join("run/a.socket");
        let text = emperor.bare(BORED).replace(
            "protocol = http\n",
            &format!("http-socket = {}\n", path.display()),
        );
        emperor.put("a.ini", &text);
        emperor.wait_for_door("a");
        for _ in 0..2 {
            let pid = pid_in(&request(&emperor.door("a")));
            until_true("it to be stopped", || !alive(pid));
        }
    }
}

/// Somebody cleans up the directory: there is a new socket, for one that sleeps as well as for one that runs.
#[test]
fn a_socket_that_vanishes_is_made_again() {
    let emperor = Realm::ours().on_demand().start();
    let text = emperor.bare("");
    emperor.put("a.ini", &text);
    emperor.wait_for_door("a");
    let path = emperor.dir.join("run/a.socket");
    fs::remove_file(&path).expect("it is there");
    until("a socket", || emperor.door("a").connect().ok());
    let first = pid_in(&request(&emperor.door("a")));
    fs::remove_file(&path).expect("it is there");
    emperor.wait_for_log("the socket of vassal a.ini was removed");
    // The vassal that leaves has a socket of that name as well.
    until("a socket", || emperor.door("a").connect().ok());
    assert_ne!(pid_in(&request(&emperor.door("a"))), first);
}

/// A name that is taken is said, left alone, and had as soon as it is free.
#[test]
fn a_socket_that_is_taken_is_had_later() {
    let realm = Realm::ours().on_demand();
    let path = realm.dir.join("run/a.socket");
    let other = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let emperor = realm.start();
    let text = emperor.bare("");
    emperor.put("a.ini", &text);
    emperor.wait_for_log("is in use by a running server");
    drop(other);
    fs::remove_file(&path).expect("it is there");
    emperor.wait_for_log("is open now");
    request(&emperor.door("a"));
}

/// Without the file there is no socket any more, and so with a vassal that the operator stops.
#[test]
fn nobody_waits_for_a_vassal_that_is_not_to_come() {
    let emperor = Realm::ours().on_demand().start();
    let text = emperor.bare("");
    emperor.put("a.ini", &text);
    emperor.put("b.ini", &text);
    emperor.wait_for_door("a");
    emperor.wait_for_door("b");
    request(&emperor.door("b"));
    for name in ["a", "b"] {
        emperor.ctl(&["stop", &format!("{name}.ini")]);
        assert!(emperor.door(name).connect().is_err(), "{name}");
        emperor.ctl(&["start", &format!("{name}.ini")]);
        until("an answer", || emperor.door(name).connect().ok());
        request(&emperor.door(name));
        fs::remove_file(emperor.file(&format!("{name}.ini"))).expect("it is there");
        until_true("no socket", || emperor.door(name).connect().is_err());
    }
}

/// On demand today, always tomorrow, and back.
#[test]
fn a_vassal_becomes_one_on_demand_and_back() {
    let realm = Realm::ours().option("emperor-on-demand-extension", ".od");
    let emperor = realm.start();
    let door = emperor.dir.join("door");
    let text = emperor.config("a.ini", "1") + "protocol = http\n";
    emperor.put("a.ini", &text);
    emperor.wait_for_version("a.ini", "1");
    emperor.put("a.ini.od", &door.display().to_string());
    emperor.wait_for_state("a.ini", "on-demand");
    request(&Address::Unix(door.clone()));
    emperor.wait_for_version("a.ini", "1");
    fs::remove_file(emperor.file("a.ini.od")).expect("it is there");
    until_true("no socket", || !door.exists());
    emperor.wait_for_version("a.ini", "1");
}

/// Who has connected before the emperor became a newer binary is served after.
#[test]
fn an_upgrade_keeps_the_sockets() {
    use std::os::unix::fs::MetadataExt;

    let installed = crate::support::install::Installed::new(Kind::Uwgate);
    let mut realm = Realm::ours().on_demand();
    realm.program = Some(installed.program());
    let emperor = realm.start();
    emperor.put("a.ini", &emperor.bare(""));
    emperor.wait_for_door("a");
    let file = emperor.dir.join("run/a.socket");
    let before = fs::metadata(&file).expect("a socket").ino();
    installed.upgrade();
    emperor.process.signal(rustix::process::Signal::HUP);
    until_true("the emperor to be back", || {
        emperor.count_in_log("*** starting uWSGI Emperor ***") == 2
    });
    emperor.wait_for_state("a.ini", "on-demand");
    assert!(request(&emperor.door("a")).starts_with("1 "));
    assert_eq!(fs::metadata(&file).expect("a socket").ino(), before);
}
