//! Forking, spawning, reaping, becoming somebody else: in a process with one thread and no other children,
//! which the usual harness is not. Each scenario is a function; the program also plays the children, by role.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use uwgate_sys::channel::{self, Channel};
use uwgate_sys::listener::{Address, Bind, bind};
use uwgate_sys::memory::{SharedSlice, memfd, read_all};
use uwgate_sys::process::{self, Exit, Fork, Identity, Pid, SELF, Signal, Spawn};
use uwgate_sys::record_locks::RecordLocks;
use uwgate_sys::{signals, socket};

type Scenario = (&'static str, fn());

const SCENARIOS: &[Scenario] = &[
    (
        "a_program_gets_its_arguments_environment_and_directory",
        arguments,
    ),
    (
        "a_program_that_cannot_start_is_an_error_and_no_child",
        cannot_start,
    ),
    (
        "descriptors_land_on_their_numbers_whatever_ours_were",
        descriptors,
    ),
    (
        "a_failed_exec_is_reported_whatever_numbers_are_taken",
        failed_exec_with_descriptors,
    ),
    ("a_child_begins_with_default_signals", default_signals),
    ("a_child_may_lead_a_session_or_a_group", session_and_group),
    (
        "a_child_with_a_death_signal_dies_with_its_parent",
        death_signal,
    ),
    ("inherited_descriptors_are_taken_once", inherited_once),
    ("the_program_becomes_itself_again", becomes_itself),
    ("the_program_becomes_another", becomes_another),
    ("every_end_is_reaped_once_and_told_apart", reaping),
    ("a_fork_is_a_copy_with_one_thread", forking),
    ("an_adopted_child_belongs_to_the_subreaper", adoption),
    ("memory_is_shared_over_fork_and_exec", shared_memory),
    ("a_killed_process_is_the_end_of_its_channel", channel_ends),
    ("locks_of_a_dead_process_are_free_again", locks),
    ("users_and_groups_are_found_by_name_and_number", resolving),
    ("dropped_privileges_stay_dropped", dropping),
    (
        "the_umask_does_not_matter_where_a_mode_is_asked_for",
        umask_and_mode,
    ),
    ("a_socket_file_is_never_wider_than_asked_for", never_wider),
    ("the_process_is_named_and_limited", name_and_limits),
    (
        "titles_of_any_length_are_shown_and_the_environment_stays",
        titles,
    ),
    (
        "some_of_roots_power_can_be_kept_and_passed_on",
        capabilities,
    ),
    ("who_calls_a_daemon_gets_its_verdict", background),
    ("a_thread_is_bound_to_cpus_that_it_may_use", cpus),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, role] = args.as_slice()
        && flag == "--role"
    {
        return play(role);
    }
    if args.iter().any(|arg| arg == "--list") {
        return;
    }
    process::become_subreaper().unwrap();
    for (name, scenario) in SCENARIOS {
        scenario();
        assert_eq!(process::reap_any().unwrap(), None, "{name} left a child");
        println!("test {name} ... ok");
    }
}

/// What this program does when a scenario started it.
fn play(role: &str) {
    match role {
        "report-parentage" => {
            let (pid, parent) = (process::this(), process::parent().unwrap());
            print!("{pid} {parent}");
        }
        "take-seven" => take_seven(),
        "exec-again" => {
            let error =
                process::exec_self(OsStr::new("again"), &["--role", "report-parentage"], None);
            panic!("{error}");
        }
        "die-before-your-child" => {
            let sleeper = Spawn {
                death_signal: Some(Signal::KILL),
                ..shell("exec sleep 600")
            }
            .spawn()
            .unwrap();
            print!("{sleeper}");
        }
        "exec-a-shell" => {
            let fds = vec![(file_of("exec "), 9)];
            let script = shell("cat <&9; echo $$ $PPID");
            panic!(
                "{}",
                Spawn {
                    fds,
                    death_signal: Some(Signal::KILL),
                    ..script
                }
                .exec()
            );
        }
        "count-to-shared" => {
            let rows = SharedSlice::<AtomicU64>::attach(process::inherited(5).unwrap(), 2).unwrap();
            rows[1].fetch_add(5, Ordering::Relaxed);
        }
        "succeed-in-background" => process::to_background(|| {}).unwrap().succeeded(),
        "fail-in-background" => process::to_background(|| {})
            .unwrap()
            .failed(7, "it is broken"),
        "die-in-background" => drop(process::to_background(|| {}).unwrap()),
        other => panic!("no role {other}"),
    }
}

fn shell(script: &str) -> Spawn {
    Spawn {
        args: vec!["-c".into(), script.into()],
        ..Spawn::new("/bin/sh")
    }
}

fn role(name: &str) -> Spawn {
    Spawn {
        args: vec!["--role".into(), name.into()],
        ..Spawn::new(SELF)
    }
}

/// Runs it to its end, which must be a good one, and returns what it printed.
fn output(mut spawn: Spawn) -> String {
    let (mut read, write) = std::io::pipe().unwrap();
    spawn.fds.push((write.into(), 1));
    let pid = spawn.spawn().unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(
        process::reap(pid).unwrap(),
        Exit::Code(0),
        "it said: {text}"
    );
    text
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Runs `work` in a forked child that ends with 0, or with 101 after a panic.
fn fork_to(work: impl FnOnce()) -> Pid {
    // SAFETY: this program never starts a thread.
    match unsafe { process::fork() }.unwrap() {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            process::exit_now(if outcome.is_ok() { 0 } else { 101 });
        }
    }
}

fn succeeds_in_child(work: impl FnOnce()) {
    assert_eq!(process::reap(fork_to(work)).unwrap(), Exit::Code(0));
}

fn arguments() {
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

fn cannot_start() {
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

fn file_of(text: &str) -> OwnedFd {
    memfd("text", text.as_bytes()).unwrap()
}

/// The second one's number is the first one's target and the other way round.
fn descriptors() {
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
fn failed_exec_with_descriptors() {
    let fds = (3..40).map(|number| (file_of("x"), number)).collect();
    let error = Spawn {
        fds,
        ..Spawn::new("/no/such/program")
    }
    .spawn()
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn default_signals() {
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

fn session_and_group() {
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

fn death_signal() {
    let sleeper = pid(&output(role("die-before-your-child")));
    assert_eq!(
        process::reap(sleeper).unwrap(),
        Exit::Signal {
            signal: 9,
            core: false
        }
    );
}

fn inherited_once() {
    let fds = vec![(file_of("for you"), 7)];
    assert_eq!(
        output(Spawn {
            fds,
            ..role("take-seven")
        }),
        "for you"
    );
}

fn take_seven() {
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

fn becomes_itself() {
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

fn becomes_another() {
    let text = output(role("exec-a-shell"));
    let parent = process::this().to_string();
    assert!(
        text.starts_with("exec ") && text.trim_end().ends_with(&parent),
        "{text}"
    );
    let error = Spawn::new("/no/such/program");
    succeeds_in_child(|| assert_eq!(error.exec().kind(), ErrorKind::NotFound));
}

fn reaping() {
    assert_eq!(process::reap_any().unwrap(), None, "no children");
    let sleeper = shell("exec sleep 600").spawn().unwrap();
    assert_eq!(process::reap_any().unwrap(), None, "none has ended");
    assert!(process::exists(sleeper));
    process::kill(sleeper, Signal::KILL).unwrap();
    let exit = process::reap(sleeper).unwrap();
    assert_eq!(
        (exit, exit.to_string().as_str()),
        (
            Exit::Signal {
                signal: 9,
                core: false
            },
            "killed by signal 9"
        )
    );
    assert_eq!(
        process::reap(sleeper).unwrap_err().raw_os_error(),
        Some(10),
        "ECHILD"
    );
    assert!(!process::exists(sleeper));

    let (mut all_gone, held) = std::io::pipe().unwrap();
    let mut expected: Vec<(Pid, Exit)> = (0..5)
        .map(|code| {
            let fds = vec![(held.try_clone().unwrap().into(), 9)];
            (
                Spawn {
                    fds,
                    // Also those that have left our process group.
                    new_session: code % 2 == 0,
                    ..shell(&format!("exit {code}"))
                }
                .spawn()
                .unwrap(),
                Exit::Code(code),
            )
        })
        .collect();
    drop(held);
    all_gone.read_to_end(&mut Vec::new()).unwrap();
    while !expected.is_empty() {
        if let Some(end) = process::reap_any().unwrap() {
            let at = expected
                .iter()
                .position(|one| *one == end)
                .unwrap_or_else(|| panic!("{end:?}"));
            expected.remove(at);
        }
    }
    assert_eq!(Exit::Code(22).to_string(), "exited with code 22");
}

fn forking() {
    assert_eq!(process::thread_count().unwrap(), 1);
    let parent = process::this();
    let mut count = 1;
    succeeds_in_child(|| {
        count += 1;
        assert_eq!(count, 2);
        assert_eq!(process::parent(), Some(parent));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(process::thread_count().unwrap(), 2));
        });
    });
    assert_eq!(count, 1);
}

fn adoption() {
    let master = process::this();
    let (ours, theirs) = channel::pair().unwrap();
    let zygote = fork_to(|| {
        // SAFETY: this program never starts a thread.
        match unsafe { process::fork_adopted() }.unwrap() {
            Fork::Parent(worker) => theirs
                .send(format!("zygote says {worker}").as_bytes(), &[])
                .unwrap(),
            Fork::Child => {
                assert_eq!(
                    process::parent(),
                    Some(master),
                    "adopted before anything else"
                );
                process::set_death_signal(Signal::KILL).unwrap();
                theirs
                    .send(format!("worker says {}", process::this()).as_bytes(), &[])
                    .unwrap();
                process::exit_now(17);
            }
        }
    });
    let mut heard = [hear(&ours), hear(&ours)];
    heard.sort();
    let [worker, told] = heard.map(|text| text.rsplit(' ').next().map(pid).unwrap());
    assert_eq!(worker, told);
    assert_eq!(process::reap(worker).unwrap(), Exit::Code(17));
    assert_eq!(process::reap(zygote).unwrap(), Exit::Code(0));
}

fn hear(channel: &Channel) -> String {
    let mut buffer = [0; 100];
    let message = channel.recv(&mut buffer).unwrap();
    assert!(!message.is_eof());
    String::from_utf8(buffer[..message.len].to_vec()).unwrap()
}

fn shared_memory() {
    let rows = SharedSlice::<AtomicU64>::create(2).unwrap();
    succeeds_in_child(|| {
        rows[0].store(7, Ordering::Relaxed);
        rows[1].store(10, Ordering::Relaxed);
    });
    let fds = vec![(rows.fd().try_clone_to_owned().unwrap(), 5)];
    output(Spawn {
        fds,
        ..role("count-to-shared")
    });
    assert_eq!(
        (
            rows[0].load(Ordering::Relaxed),
            rows[1].load(Ordering::Relaxed)
        ),
        (7, 15)
    );
}

fn locks() {
    let locks = RecordLocks::create().unwrap();
    locks.lock(3).unwrap();
    succeeds_in_child(|| {
        assert!(locks.is_locked_elsewhere(3).unwrap());
        assert!(!locks.try_lock(3).unwrap());
        assert!(locks.try_lock(4).unwrap());
        locks.unlock(3).unwrap();
        assert!(locks.is_locked_elsewhere(3).unwrap(), "it is not ours");
    });
    assert!(
        !locks.is_locked_elsewhere(4).unwrap(),
        "its owner has ended"
    );
    locks.unlock(3).unwrap();

    let (ours, theirs) = channel::pair().unwrap();
    let holder = fork_to(|| {
        locks.lock(3).unwrap();
        theirs.send(b"1", &[]).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(60));
    });
    ours.recv(&mut [0; 1]).unwrap();
    assert!(locks.is_locked_elsewhere(3).unwrap());
    process::kill(holder, Signal::KILL).unwrap();
    locks.lock(3).unwrap();
    assert!(!process::reap(holder).unwrap().success());
}

fn channel_ends() {
    let (ours, theirs) = channel::pair().unwrap();
    let child = Spawn {
        fds: vec![(theirs.into(), 3)],
        ..shell("exec sleep 600")
    }
    .spawn()
    .unwrap();
    assert!(!socket::is_closed_by_peer(ours.as_fd()));
    process::kill(child, Signal::KILL).unwrap();
    assert_eq!(
        process::reap(child).unwrap(),
        Exit::Signal {
            signal: 9,
            core: false
        }
    );
    assert!(ours.recv(&mut [0; 8]).unwrap().is_eof());
}

fn resolving() {
    let root = process::resolve("root", None).unwrap();
    assert_eq!((root.uid, root.gid), (0, 0));
    assert!(root.groups.contains(&0));
    assert_eq!(
        process::resolve("0", None).unwrap(),
        root,
        "an id somebody has is that somebody"
    );

    let stranger = process::resolve("3999999999", Some("3999999998")).unwrap();
    assert_eq!(
        stranger,
        Identity {
            uid: 3_999_999_999,
            gid: 3_999_999_998,
            groups: vec![3_999_999_998]
        }
    );
    assert_eq!(process::resolve("root", Some("12345")).unwrap().gid, 12_345);
    assert_eq!(process::resolve_group("root").unwrap(), 0);
    assert_eq!(process::resolve_user("root").unwrap(), 0);

    for error in [
        process::resolve("no-such-user", None).unwrap_err(),
        process::resolve("root", Some("no-such-group")).unwrap_err(),
        process::resolve("", None).unwrap_err(),
        // -1 in 32 bits means "leave as it is" to the kernel.
        process::resolve_user("4294967295").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

fn dropping() {
    if !rustix::process::geteuid().is_root() {
        let to_root = Identity {
            uid: 0,
            gid: 0,
            groups: vec![0],
        };
        assert_eq!(
            process::drop_to(&to_root).unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        return;
    }
    succeeds_in_child(|| {
        let nobody = Identity {
            uid: 12_345,
            gid: 23_456,
            groups: vec![23_456, 34_567],
        };
        process::drop_to(&nobody).unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        for line in [
            "Uid:\t12345\t12345\t12345\t12345",
            "Gid:\t23456\t23456\t23456\t23456",
            "Groups:\t23456 34567",
        ] {
            assert!(status.contains(line), "{status}");
        }
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        process::drop_to(&nobody).expect("already there");
        let root = Identity {
            uid: 0,
            gid: 0,
            groups: vec![0],
        };
        assert_eq!(
            process::drop_to(&root).unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        assert!(File::open("/etc/shadow").is_err());
    });
    let invalid = Identity {
        uid: u32::MAX,
        gid: 1,
        groups: vec![],
    };
    assert_eq!(
        process::drop_to(&invalid).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("uwgate-sys-processes-{}", process::this()));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &std::path::Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path)
        .ok()
        .map(|file| file.permissions().mode() & 0o777)
}

fn umask_and_mode() {
    let directory = Directory::new();
    let path = directory.0.join("s");
    let before = process::umask(0o022);
    for (umask, chmod, wanted) in [
        (0o022, None, 0o755),
        (0, None, 0o777),
        (0o077, Some(0o666), 0o666),
        (0, Some(0o600), 0o600),
    ] {
        process::umask(umask);
        let listener = bind(
            &Address::Unix(path.clone()),
            &Bind {
                chmod,
                ..Bind::default()
            },
        )
        .unwrap();
        assert_eq!(
            mode(&path),
            Some(wanted),
            "umask {umask:o}, chmod {chmod:?}"
        );
        drop(listener);
    }
    process::umask(before);
}

/// A child binds again and again while we watch the file.
fn never_wider() {
    let directory = Directory::new();
    let path = directory.0.join("s");
    let (ours, theirs) = channel::pair().unwrap();
    let child = fork_to(|| {
        process::umask(0);
        for _ in 0..500 {
            let options = Bind {
                chmod: Some(0o600),
                ..Bind::default()
            };
            bind(&Address::Unix(path.clone()), &options).unwrap();
        }
    });
    drop(theirs);
    while !socket::is_closed_by_peer(ours.as_fd()) {
        if let Some(mode) = mode(&path) {
            assert_eq!(mode, 0o600, "for a moment");
        }
    }
    assert_eq!(process::reap(child).unwrap(), Exit::Code(0));
}

fn name_and_limits() {
    succeeds_in_child(|| {
        process::set_name("a name longer than fits").unwrap();
        assert_eq!(
            std::fs::read_to_string("/proc/self/comm").unwrap(),
            "a name longer t\n"
        );
        let hard = process::open_files().hard;
        process::set_open_files(64).unwrap();
        assert_eq!(
            (process::open_files().soft, process::open_files().hard),
            (Some(64), hard)
        );
        let refusal = (0..64).find_map(|_| File::open("/dev/null").map(std::mem::forget).err());
        assert_eq!(
            refusal.and_then(|error| error.raw_os_error()),
            Some(24),
            "EMFILE"
        );
    });
}

fn titles() {
    succeeds_in_child(|| {
        let shown = || std::fs::read("/proc/self/cmdline").unwrap();
        let environment: Vec<_> = std::env::vars_os().collect();
        for title in ["a", &"long ".repeat(60), "", "short again"] {
            process::set_title(title).unwrap();
            let shown = shown();
            let shown = String::from_utf8_lossy(&shown);
            assert_eq!(shown.trim_end_matches('\0'), title);
            assert_eq!(std::env::vars_os().collect::<Vec<_>>(), environment);
        }
    });
}

fn capabilities() {
    use uwgate_sys::process::Capabilities;

    if !rustix::process::geteuid().is_root() {
        return;
    }
    let names = ["net_bind_service", "sys_nice"];
    let wanted = names.map(|name| Capabilities::named(name).unwrap());
    let wanted = wanted.into_iter().reduce(Capabilities::and).unwrap();
    if wanted.also_in(Capabilities::permitted().unwrap()) != wanted {
        return;
    }
    succeeds_in_child(move || {
        let somebody = Identity {
            uid: 12_345,
            gid: 23_456,
            groups: vec![23_456],
        };
        process::drop_to_keeping(&somebody, wanted).unwrap();
        let effective = |status: &str| status.contains("CapEff:\t0000000000800400");
        assert!(effective(
            &std::fs::read_to_string("/proc/self/status").unwrap()
        ));
        let status = shell("cat /proc/self/status");
        let passed_on = output(Spawn {
            capabilities: wanted,
            ..status
        });
        assert!(effective(&passed_on), "{passed_on}");
        let not_passed_on = output(shell("cat /proc/self/status"));
        assert!(not_passed_on.contains("CapEff:\t0000000000000000"));
    });
}

/// What the role prints to standard error, and how it ends.
fn caller_of(name: &str) -> (String, Exit) {
    let (mut read, write) = std::io::pipe().unwrap();
    let mut spawn = role(name);
    spawn.fds.push((write.into(), 2));
    let pid = spawn.spawn().unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    let exit = process::reap(pid).unwrap();
    // What went to the background is ours: we are the subreaper.
    while process::reap_any().unwrap().is_none() {
        std::thread::yield_now();
    }
    (text, exit)
}

fn background() {
    assert_eq!(
        caller_of("succeed-in-background"),
        (String::new(), Exit::Code(0))
    );
    let failed = ("it is broken\n".to_owned(), Exit::Code(7));
    assert_eq!(caller_of("fail-in-background"), failed);
    assert_eq!(
        caller_of("die-in-background"),
        (String::new(), Exit::Code(1))
    );
}

fn cpus() {
    succeeds_in_child(|| {
        let allowed = process::allowed_cpus().unwrap();
        let one = [*allowed.last().unwrap()];
        process::bind_to_cpus(&one).unwrap();
        assert_eq!(process::allowed_cpus().unwrap(), one);
        assert!(process::bind_to_cpus(&[]).is_err(), "nowhere to run");
    });
}
