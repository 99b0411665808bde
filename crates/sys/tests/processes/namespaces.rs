//! Processes with parts of the system for themselves.

use std::io::Read;
use std::os::fd::OwnedFd;

use uwgate_sys::process::{Exit, Namespaces, Signal, Spawn, reap};

/// What a shell says there.
fn ask(namespaces: Namespaces, command: &str) -> Option<(Exit, String)> {
    let (mut answer, print) = std::io::pipe().unwrap();
    let stdin: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let spawn = Spawn {
        args: vec!["-c".into(), command.into()],
        env: Some(vec![("A".into(), "b".into())]),
        fds: vec![(print.into(), 1), (stdin, 0)],
        cwd: Some("/".into()),
        process_group: true,
        death_signal: Some(Signal::KILL),
        namespaces,
        ..Spawn::new("/bin/sh")
    };
    let pid = match spawn.spawn() {
        Ok(pid) => pid,
        Err(error) => {
            eprintln!("skipped: new namespaces are not allowed here: {error}");
            return None;
        }
    };
    let mut text = String::new();
    answer.read_to_string(&mut text).unwrap();
    Some((reap(pid).unwrap(), text))
}

pub(crate) fn are_new() {
    let pid = Namespaces::named("pid").unwrap();
    if let Some(answer) = ask(pid, "echo $$ $A $PWD; exit 7") {
        assert_eq!(answer, (Exit::Code(7), "1 b /\n".to_owned()));
    }
    let uts = Namespaces::named("uts").unwrap();
    let ours = std::fs::read_link("/proc/self/ns/uts").unwrap();
    if let Some((exit, text)) = ask(uts, "readlink /proc/self/ns/uts") {
        assert_eq!(exit, Exit::Code(0));
        assert_ne!(text.trim(), ours.to_str().unwrap());
    }
}

/// Without rights a user namespace brings them; whoever one is outside one is inside.
pub(crate) fn of_users_keep_everybody() {
    let user = Namespaces::named("user").unwrap();
    let uid = rustix::process::getuid().as_raw();
    if let Some((exit, text)) = ask(user, "id -u") {
        assert_eq!((exit, text), (Exit::Code(0), format!("{uid}\n")));
    }
}

pub(crate) fn are_not_there_for_a_program_that_is_not() {
    let uts = Namespaces::named("uts").unwrap();
    let spawn = Spawn {
        namespaces: uts,
        ..Spawn::new("/no/such/program")
    };
    let error = spawn.spawn().unwrap_err();
    let expected = [
        std::io::ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied,
    ];
    assert!(expected.contains(&error.kind()), "{error}");
}
