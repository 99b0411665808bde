//! Vassals outlive their emperor, and the next one has them.

use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Emperor, Realm};
use crate::support::Kind;
use crate::support::process::{Process, alive};
use crate::support::wait::{Over, until_true};

/// Emperors that come one after the other, over the same vassals.
struct Dynasty {
    realm: Realm,
    reign: u32,
}

impl Dynasty {
    fn new(vassals: Kind) -> Self {
        let realm = Realm::new(Kind::Uwgate, vassals);
        let place = realm.dir.join("kept");
        Self {
            realm: realm.option("emperor-keep-vassals", place.display()),
            reign: 0,
        }
    }

    fn option(self, name: &str, value: impl ToString) -> Self {
        let realm = self.realm.option(name, value);
        Self { realm, ..self }
    }

    fn process(&mut self) -> Process {
        self.reign += 1;
        let log = self.realm.dir.join(format!("emperor{}.log", self.reign));
        Process::start(self.realm.command(), &log)
    }

    /// The next emperor. Of the one before, its process must have ended.
    fn reign(&mut self) -> Emperor {
        Emperor {
            process: self.process(),
            dir: Arc::clone(&self.realm.dir),
        }
    }
}

/// Ends without a word. Its vassals are in groups of their own.
fn kill(mut emperor: Emperor) {
    emperor.process.kill();
}

/// Nothing is left of these processes when the test is over, also when it fails.
#[derive(Default)]
struct Vassals(HashMap<u32, OwnedFd>);

impl Vassals {
    fn meet(&mut self, emperor: &Emperor, name: &str) -> u32 {
        let pid = emperor.pid(name);
        let raw = Pid::from_raw(pid.cast_signed()).expect("a pid");
        let handle = pidfd_open(raw, PidfdFlags::empty()).expect("it lives");
        self.0.insert(pid, handle);
        pid
    }

    fn kill(&self, pid: u32) {
        pidfd_send_signal(&self.0[&pid], Signal::KILL).expect("it lives");
    }
}

impl Drop for Vassals {
    fn drop(&mut self) {
        for handle in self.0.values() {
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
}

/// Waits until the vassal may outlive its emperor.
fn wait_until_kept(emperor: &Emperor, name: &str) {
    let notes = emperor.dir.join("kept/vassals");
    until_true(&format!("{name} to be kept"), || {
        let text = fs::read_to_string(&notes).unwrap_or_default();
        text.contains(&format!("\"name\":\"{name}\""))
    });
    until_true(&format!("{name} to know"), || {
        let log = emperor.status(name)["log"].to_string();
        log.contains("received message 107 from emperor")
    });
}

#[test]
fn a_killed_emperor_is_succeeded_and_no_request_is_lost() {
    let mut dynasty = Dynasty::new(Kind::Uwgate);
    let mut vassals = Vassals::default();
    let first = dynasty.reign();
    first.add("a.ini", "1");
    first.add("b.ini", "1");
    for name in ["a.ini", "b.ini"] {
        first.wait_for_version(name, "1");
        wait_until_kept(&first, name);
    }
    let pids = ["a.ini", "b.ini"].map(|name| vassals.meet(&first, name));
    let socket = first.socket("a.ini");
    let (over, failures) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let answered = super::ask(&socket).is_some();
                failures.fetch_add(u64::from(!answered), Ordering::SeqCst);
            }
        });
        kill(first);
        let second = dynasty.reign();
        for name in ["a.ini", "b.ini"] {
            second.wait_for_log(&format!("[emperor] vassal {name} is adopted"));
            second.wait_for_state(name, "running");
        }
        assert_eq!(["a.ini", "b.ini"].map(|name| second.pid(name)), pids);
        assert_eq!(second.count_in_log("[emperor] started vassal"), 0);
        // As any other: it is told of changes, what it prints is heard, and its end is seen.
        second.add("a.ini", "2");
        second.wait_for_version("a.ini", "2");
        assert_eq!(second.pid("a.ini"), pids[0]);
        second.wait_for_log("received message 1 from emperor");
        // And once more, in order.
        second.process.signal(Signal::TERM);
        second.wait_for_log("[emperor] vassal a.ini goes on without an emperor");
        let mut second = second;
        assert_eq!(second.process.wait().code(), Some(0));
        let third = dynasty.reign();
        third.wait_for_log("[emperor] vassal a.ini is adopted");
        assert_eq!(third.pid("a.ini"), pids[0]);
        third.wait_for_version("a.ini", "2");
        over.store(true, Ordering::SeqCst);
        vassals.kill(pids[1]);
        third.wait_for_log("[emperor] curse the uwsgi instance b.ini");
        until_true("another process", || {
            third.status("b.ini")["pid"].as_u64() != Some(pids[1].into())
        });
        third.wait_for_version("b.ini", "1");
        third.process.signal(Signal::INT);
        let mut third = third;
        assert_eq!(third.process.wait().code(), Some(0));
        assert!(!alive(pids[0]), "it was to end with the emperor");
    });
    assert_eq!(failures.load(Ordering::SeqCst), 0);
}

#[test]
fn what_has_changed_meanwhile_is_made_up_for() {
    let mut dynasty = Dynasty::new(Kind::Uwgate);
    let mut vassals = Vassals::default();
    let first = dynasty.reign();
    let names = ["changed.ini", "removed.ini", "dead.ini", "held.ini"];
    for name in names {
        first.add(name, "1");
    }
    for name in names {
        first.wait_for_version(name, "1");
        wait_until_kept(&first, name);
    }
    let [changed, removed, dead, held] = names.map(|name| vassals.meet(&first, name));
    first.control(r#"{"do":"stop","vassals":["held.ini"]}"#);
    first.wait_for_state("held.ini", "stopped");
    assert!(!alive(held));
    let texts = names.map(|name| first.config(name, "2"));
    kill(first);
    let directory = dynasty.realm.dir.join("vassals");
    fs::write(directory.join("changed.ini"), &texts[0]).unwrap();
    fs::remove_file(directory.join("removed.ini")).unwrap();
    vassals.kill(dead);
    until_true("its end", || !alive(dead));
    let second = dynasty.reign();
    second.wait_for_version("changed.ini", "2");
    assert_eq!(second.pid("changed.ini"), changed, "it was to reload");
    second.wait_for_log("[emperor] reload the uwsgi instance changed.ini");
    second.wait_for_log("[emperor] removed uwsgi instance removed.ini");
    assert!(!alive(removed));
    assert!(!second.log().contains("NO MERCY"));
    second.wait_for_version("dead.ini", "1");
    assert_eq!(second.count_in_log("[emperor] started vassal"), 1);
    assert_ne!(vassals.meet(&second, "dead.ini"), dead);
    second.wait_for_state("held.ini", "stopped");
}

/// Who has the pid of a vassal that is in the notes, and is none, is not touched.
#[test]
fn a_stranger_is_never_signalled() {
    let mut dynasty = Dynasty::new(Kind::Uwgate);
    let first = dynasty.reign();
    first.add("a.ini", "1");
    first.wait_for_version("a.ini", "1");
    wait_until_kept(&first, "a.ini");
    let mut vassals = Vassals::default();
    let pid = vassals.meet(&first, "a.ini");
    kill(first);
    vassals.kill(pid);
    until_true("its end", || !alive(pid));
    let mut command = std::process::Command::new("/bin/cat");
    command.stdin(std::process::Stdio::piped());
    let mut stranger = command.spawn().unwrap();
    let notes = dynasty.realm.dir.join("kept/vassals");
    let text = fs::read_to_string(&notes).unwrap();
    let number = |pid: u32| format!("\"pid\":{pid},");
    fs::write(&notes, text.replace(&number(pid), &number(stranger.id()))).unwrap();
    fs::remove_file(dynasty.realm.dir.join("vassals/a.ini")).unwrap();
    let second = dynasty.reign();
    second.add("b.ini", "1");
    second.wait_for_version("b.ini", "1");
    assert_eq!(
        second.control(r#"{"do":"list"}"#)["vassals"]["vassals"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    second.process.signal(Signal::INT);
    let mut second = second;
    assert_eq!(second.process.wait().code(), Some(0));
    assert!(alive(stranger.id()), "it was signalled");
    drop(stranger.stdin.take());
    assert!(stranger.wait().unwrap().success());
}

#[test]
fn a_second_emperor_does_not_start_and_touches_nothing() {
    let mut dynasty = Dynasty::new(Kind::Uwgate);
    let first = dynasty.reign();
    first.add("a.ini", "1");
    first.wait_for_version("a.ini", "1");
    let (pid, written) = (first.pid("a.ini"), first.dir.join("e.pid"));
    let mut second = dynasty.process();
    assert_eq!(second.wait().code(), Some(1));
    let log = second.log();
    assert!(
        log.contains("another emperor keeps its vassals there"),
        "{log}"
    );
    first.wait_for_version("a.ini", "1");
    assert_eq!(first.pid("a.ini"), pid);
    let written = fs::read_to_string(written).unwrap();
    assert_eq!(written.trim(), first.process.pid().to_string());
    assert_eq!(first.count_in_log("is adopted"), 0);
}

/// A real uWSGI cannot look for another emperor: it ends with its own, and the next one starts it.
#[test]
fn vassals_that_do_not_know_how_end_with_their_emperor() {
    let mut dynasty = Dynasty::new(Kind::Uwsgi);
    let first = dynasty.reign();
    first.add("a.ini", "1");
    first.wait_for_version("a.ini", "1");
    let pid = first.pid("a.ini");
    kill(first);
    until_true("its end", || !alive(pid));
    let second = dynasty.reign();
    second.wait_for_version("a.ini", "1");
    second.process.signal(Signal::TERM);
    second.wait_for_log("[emperor] stop the uwsgi instance a.ini");
    let mut second = second;
    assert_eq!(second.process.wait().code(), Some(0));
}

/// Its socket, and who waits in its queue, is not lost while it runs.
#[test]
fn a_vassal_on_demand_brings_its_socket_along() {
    let mut dynasty = Dynasty::new(Kind::Uwgate).option("emperor-on-demand-extension", ".socket");
    let first = dynasty.reign();
    let mut vassals = Vassals::default();
    let text = first.config("a.ini", "1");
    let text = text.replace("http-socket", "placeholder = x\n#");
    let text = format!("{text}protocol = http\n");
    first.put("a.ini.socket", &format!("{}\n", first.socket("a.ini")));
    first.put("a.ini", &text);
    first.wait_for_state("a.ini", "on-demand");
    first.wait_for_version("a.ini", "1");
    wait_until_kept(&first, "a.ini");
    let pid = vassals.meet(&first, "a.ini");
    let socket = first.socket("a.ini");
    kill(first);
    assert!(super::ask(&socket).is_some(), "it serves alone");
    let second = dynasty.reign();
    second.wait_for_log("[emperor] vassal a.ini is adopted");
    assert_eq!(second.pid("a.ini"), pid);
    vassals.kill(pid);
    second.wait_for_log("[emperor] curse the uwsgi instance a.ini");
    // Whoever comes now finds the socket, and starts it.
    second.wait_for_version("a.ini", "1");
    assert_ne!(vassals.meet(&second, "a.ini"), pid);
}
