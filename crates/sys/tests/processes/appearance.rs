//! Names, titles, limits, processors, the background.

use std::fs::File;
use std::io::Read;

use crate::{role, succeeds_in_child};
use uwgate_sys::process::{self, Exit};

pub(crate) fn name_and_limits() {
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

pub(crate) fn titles() {
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

pub(crate) fn background() {
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

pub(crate) fn cpus() {
    succeeds_in_child(|| {
        let allowed = process::allowed_cpus().unwrap();
        let one = [*allowed.last().unwrap()];
        process::bind_to_cpus(&one).unwrap();
        assert_eq!(process::allowed_cpus().unwrap(), one);
        assert!(process::bind_to_cpus(&[]).is_err(), "nowhere to run");
    });
}
