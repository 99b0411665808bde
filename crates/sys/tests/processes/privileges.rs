//! Users, groups, capabilities, and the modes of files.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::PathBuf;

use crate::{fork_to, output, shell, succeeds_in_child};
use uwgate_sys::channel::{self};
use uwgate_sys::listener::{Address, Bind, bind};
use uwgate_sys::process::{self, Exit, Identity, Spawn};
use uwgate_sys::socket;

pub(crate) fn resolving() {
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

pub(crate) fn dropping() {
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

pub(crate) fn umask_and_mode() {
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
pub(crate) fn never_wider() {
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

pub(crate) fn capabilities() {
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
