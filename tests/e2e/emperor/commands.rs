//! `emperor-command-socket`. The uWSGI of these tests (2.0) has none, so there is nobody to compare with.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use super::*;

fn send(emperor: &Emperor, pairs: &[(&str, &str)]) {
    let mut body = Vec::new();
    for text in pairs.iter().flat_map(|&(name, value)| [name, value]) {
        body.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        body.extend(text.as_bytes());
    }
    let [low, high] = u16::try_from(body.len()).unwrap().to_le_bytes();
    let packet = [vec![0, low, high, 0], body].concat();
    let socket = UnixDatagram::unbound().unwrap();
    socket
        .send_to(&packet, emperor.dir.join("commands.sock"))
        .expect("the emperor listens");
}

fn listening(realm: Realm) -> Emperor {
    let path = realm.dir.join("commands.sock");
    let emperor = realm
        .option("emperor-command-socket", path.display())
        .start();
    until_true("the command socket", || path.exists());
    emperor
}

#[test]
fn vassals_do_what_they_are_told() {
    let emperor = listening(
        Realm::ours()
            .flag("emperor-wait-for-command")
            .option("emperor-wait-for-command-ignore", "first.ini"),
    );
    emperor.add("a.ini", "1");
    emperor.add("first.ini", "1");
    emperor.wait_for_version("first.ini", "1");
    emperor.wait_for_state("a.ini", "stopped");
    let reason = emperor.status("a.ini")["reason"].to_string();
    assert!(reason.contains("emperor-wait-for-command"), "{reason}");
    send(&emperor, &[("cmd", "spawn"), ("vassal", "a.ini")]);
    emperor.wait_for_version("a.ini", "1");
    emperor.wait_for_log("[uwsgi-emperor] INFO: requested the spawn of vassal \"a.ini\"");
    // One that has not said so is started anew instead.
    emperor.wait_for_state("a.ini", "running");
    send(&emperor, &[("vassal", "a.ini"), ("command", "respawn")]);
    emperor.wait_for_log("[emperor] reload the uwsgi instance a.ini");
    send(&emperor, &[("cmd", "stop"), ("vassal", "a.ini")]);
    emperor.wait_for_state("a.ini", "stopped");
    emperor.wait_for_version("first.ini", "1");
}

#[test]
fn nonsense_is_told_and_does_nothing() {
    let emperor = listening(Realm::ours());
    let path = emperor.dir.join("commands.sock");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    send(&emperor, &[("cmd", "stop"), ("vassal", "nobody.ini")]);
    emperor.wait_for_log("ERROR: unable to find vassal \"nobody.ini\"");
    UnixDatagram::unbound()
        .unwrap()
        .send_to(b"x", &path)
        .unwrap();
    emperor.wait_for_log("ERROR: that is no uwsgi packet");
    send(&emperor, &[("cmd", "log"), ("msg", "hello over there")]);
    emperor.wait_for_log("hello over there");
    let mut emperor = emperor;
    emperor.process.signal(rustix::process::Signal::TERM);
    assert_eq!(emperor.process.wait().code(), Some(0));
    assert!(!path.exists());
}
