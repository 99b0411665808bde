//! Programs that are started, and what they are given.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use crate::{output, pid, role, shell, succeeds_in_child};
use uwgate_sys::memory::{memfd, read_all};
use uwgate_sys::process::{self, Exit, Signal, Spawn};
use uwgate_sys::signals;

pub(crate) fn arguments() {
    let text = output(Spawn {
        arg0: Some("renamed".into()),
        env: Some(vec![("COLOUR".into(), "red".into())]),
        cwd: Some("/proc".into()),
        ..shell("echo $0 $COLOUR ${HOME-none} $PWD")
    });
    assert_eq!(text, "renamed red none /proc\n");
    let found_on_path = Spawn {
        args: vec!["x".into()],
        ..Spawn::new("echo")
    };
    assert_eq!(output(found_on_path), "x\n");
}

pub(crate) fn cannot_start() {
    let error = Spawn::new("/no/such/program").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = Spawn::new("/etc/passwd").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let error = Spawn {
        cwd: Some("/no/such".into()),
        ..shell("true")
    }
    .spawn()
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

pub(crate) fn file_of(text: &str) -> OwnedFd {
    memfd("text", text.as_bytes()).unwrap()
}

/// The second one's number is the first one's target and the other way round.
pub(crate) fn descriptors() {
    let (one, two) = (file_of("one "), file_of("two "));
    let (first, second) = (one.as_raw_fd(), two.as_raw_fd());
    let fds = vec![
        (one, second),
        (two, first),
        (file_of("in "), 0),
        (file_of("far "), 60),
    ];
    let script = format!("cat; cat <&{second}; cat <&{first}; exec cat /proc/self/fd/60");
    assert_eq!(
        output(Spawn {
            fds,
            ..shell(&script)
        }),
        "in one two far "
    );

    let _ours = File::open("/dev/null").unwrap();
    let open = "for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done";
    let numbers = output(Spawn {
        fds: vec![(file_of("x"), 9)],
        ..shell(open)
    });
    assert_eq!(numbers, "0\n1\n2\n9\n", "nothing of ours leaks");

    for fds in [
        vec![(file_of("a"), 5), (file_of("b"), 5)],
        vec![(file_of("a"), -1)],
    ] {
        assert_eq!(
            Spawn {
                fds,
                ..shell("true")
            }
            .spawn()
            .unwrap_err()
            .kind(),
            ErrorKind::InvalidInput
        );
    }
}

/// Command's own pipe for the error of exec must not sit on any of the numbers.
pub(crate) fn failed_exec_with_descriptors() {
    let fds = (3..40).map(|number| (file_of("x"), number)).collect();
    let error = Spawn {
        fds,
        ..Spawn::new("/no/such/program")
    }
    .spawn()
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

pub(crate) fn default_signals() {
    signals::ignore(Signal::HUP);
    signals::ignore_sigpipe();
    signals::block(&[Signal::TERM, Signal::CHILD]).unwrap();
    let status = output(Spawn {
        args: vec!["/proc/self/status".into()],
        ..Spawn::new("/bin/cat")
    });
    signals::reset_to_default();
    for field in ["SigBlk", "SigIgn"] {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        // 32 and 33 are the C library's, which does not let us see them.
        assert_eq!(mask & !(0b11 << 31), 0, "{line}");
    }
}

pub(crate) fn session_and_group() {
    // Numbers, not `Pid`s: in a container a group or session from outside shows as 0.
    let ids = |spawn: Spawn| -> [i32; 3] {
        let stat = output(Spawn {
            args: vec!["/proc/self/stat".into()],
            program: "/bin/cat".into(),
            ..spawn
        });
        let fields: Vec<&str> = stat.split_whitespace().collect();
        [0, 4, 5].map(|at| fields[at].parse().unwrap())
    };
    let [this, group, session] = ids(Spawn {
        new_session: true,
        ..Spawn::default()
    });
    assert_eq!((group, session), (this, this));
    let [this, group, session] = ids(Spawn {
        process_group: true,
        ..Spawn::default()
    });
    assert_eq!(group, this);
    assert_ne!(session, this);
    let [this, group, _] = ids(Spawn::default());
    assert_ne!(group, this);
}

pub(crate) fn death_signal() {
    let sleeper = pid(&output(role("die-before-your-child")));
    assert_eq!(
        process::reap(sleeper).unwrap(),
        Exit::Signal {
            signal: 9,
            core: false
        }
    );
}

pub(crate) fn inherited_once() {
    let fds = vec![(file_of("for you"), 7)];
    assert_eq!(
        output(Spawn {
            fds,
            ..role("take-seven")
        }),
        "for you"
    );
}

pub(crate) fn take_seven() {
    let kind = |number| process::inherited(number).unwrap_err().kind();
    let seven = process::inherited(7).unwrap();
    assert!(
        rustix::io::fcntl_getfd(&seven)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    assert_eq!(kind(7), ErrorKind::AlreadyExists, "taken");
    assert_eq!(kind(1), ErrorKind::InvalidInput);
    assert_eq!(
        process::inherited(99).unwrap_err().raw_os_error(),
        Some(9),
        "EBADF"
    );
    let own = File::open("/dev/null").unwrap();
    assert_eq!(
        kind(own.as_raw_fd()),
        ErrorKind::AlreadyExists,
        "opened by this process"
    );
    std::io::stdout()
        .write_all(&read_all(seven).unwrap())
        .unwrap();
}

pub(crate) fn becomes_itself() {
    let (mut read, write) = std::io::pipe().unwrap();
    let child = Spawn {
        fds: vec![(write.into(), 1)],
        ..role("exec-again")
    }
    .spawn()
    .unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(
        text,
        format!("{child} {}", process::this()),
        "same process, same parent"
    );
    assert_eq!(process::reap(child).unwrap(), Exit::Code(0));
}

pub(crate) fn becomes_another() {
    let text = output(role("exec-a-shell"));
    let parent = process::this().to_string();
    assert!(
        text.starts_with("exec ") && text.trim_end().ends_with(&parent),
        "{text}"
    );
    let error = Spawn::new("/no/such/program");
    succeeds_in_child(|| assert_eq!(error.exec().kind(), ErrorKind::NotFound));
}
