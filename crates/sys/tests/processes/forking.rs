//! Processes that are made by forking, their ends, and what they share.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{fork_to, output, pid, role, shell, succeeds_in_child};
use uwgate_sys::channel::{self, Channel};
use uwgate_sys::memory::SharedSlice;
use uwgate_sys::process::{self, Exit, Fork, Pid, Signal, Spawn};
use uwgate_sys::record_locks::RecordLocks;
use uwgate_sys::socket;

pub(crate) fn reaping() {
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

pub(crate) fn forking() {
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

pub(crate) fn adoption() {
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

/// Only glibc has holes that we know how to fill.
pub(crate) fn holes() {
    let pieces = || -> Vec<Vec<u8>> { (0..1000).map(|_| Vec::with_capacity(600)).collect() };
    let mut kept = pieces();
    let end = kept.iter().map(|piece| piece.as_ptr().addr()).max();
    let mut number = 0;
    kept.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    uwgate_sys::allocator::give_back();
    let filled = uwgate_sys::allocator::fill_holes();
    if cfg!(target_env = "gnu") {
        assert!(filled >= 500 * 600, "{filled}");
        let inside = pieces();
        let inside = inside
            .iter()
            .filter(|piece| Some(piece.as_ptr().addr()) < end);
        // What is left of the last two pages is no hole.
        assert!(inside.count() <= 2 * 4096 / 600);
        assert!(uwgate_sys::allocator::fill_holes() < filled / 2);
    }
}

pub(crate) fn shared_memory() {
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

pub(crate) fn locks() {
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

pub(crate) fn channel_ends() {
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
