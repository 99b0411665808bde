//! The pipes that the master reads commands from, and their slots.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::Signal;

use super::{rewrite, write_to};
use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Setup};

both! {
    /// Only the pipe of the active slot is there and read.
    fn a_digit_chooses_another_fifo(kind) {
        let setup = Setup::app(kind, "hello.py");
        let paths = ["zero", "one"].map(|name| setup.dir().join(name));
        let [zero, one] = &paths;
        let mut server = setup
            .option("master-fifo", zero.display())
            .option("master-fifo", one.display())
            .start();
        until_true("the first FIFO", || zero.exists());
        assert!(!one.exists());
        let made = fs::metadata(zero).expect("is there");
        assert!(made.file_type().is_fifo());
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
        write_to(zero, "1");
        server.wait_for_log(&format!("active master fifo is now {}", one.display()));
        write_to(one, "s");
        server.wait_for_log("workers total requests");
        // uWSGI begins with the first slot again.
        if kind == Kind::Uwgate {
            server.signal(Signal::HUP);
            server.wait_for_log("buried");
        }
        write_to(one, "Q");
        assert_eq!(server.process.wait().code(), Some(0));
    }
}

/// Even if it is as small as what `echo r > FILE` leaves where there is no pipe.
#[test]
fn a_file_in_the_place_of_a_fifo_is_left_alone() {
    for content in ["r\n".to_owned(), "important\n".repeat(50)] {
        let setup = Setup::app(Kind::Uwgate, "hello.py");
        let file = setup.write("fifo", &content);
        let other = setup.dir().join("other");
        let mut server = setup
            .option("http-socket", "127.0.0.1:0")
            .option("master-fifo", other.display())
            .option("master-fifo", file.display())
            .spawn();
        assert_eq!(server.process.wait().code(), Some(1));
        let log = server.log();
        let told = log.lines().any(|line| {
            line.contains("server.ini:") && line.contains("something else than a named pipe")
        });
        assert!(told, "{log}");
        assert_eq!(fs::read_to_string(&file).expect("is there"), content);
        assert!(!other.exists());
    }
}

both! {
    /// Whoever writes on a pipe that nobody reads waits for ever.
    fn a_reload_that_renames_the_fifo_leaves_no_other_behind(kind) {
        let setup = Setup::app(kind, "hello.py");
        let (first, second) = (setup.dir().join("first"), setup.dir().join("second"));
        let server = setup.option("master-fifo", first.display()).start();
        until_true("the first FIFO", || first.exists());
        rewrite(&server, "/first", "/second");
        server.signal(Signal::HUP);
        until_true("the second FIFO", || second.exists());
        if kind == Kind::Uwsgi {
            assert!(first.exists(), "nobody removes it");
            return;
        }
        until_true("the first FIFO to go", || !first.exists());
        write_to(&second, "s");
        server.wait_for_log("workers total requests");
        rewrite(&server, "master-fifo", "# ");
        server.signal(Signal::HUP);
        until_true("the second FIFO to go", || !second.exists());
    }
}

/// The pipe that is read stays when other slots come and go, and so does a command that was written meanwhile.
#[test]
fn a_reload_that_brings_another_slot_reads_on() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let [zero, one, two] = ["zero", "one", "two"].map(|name| setup.dir().join(name));
    let server = setup
        .option("master-fifo", zero.display())
        .option("master-fifo", one.display())
        .start();
    write_to(&zero, "1");
    until_true("the other slot", || one.exists());
    let inode = |path: &Path| fs::metadata(path).expect("is there").ino();
    let before = inode(&one);
    let line = format!("master-fifo = {}\n", one.display());
    let more = format!("{line}master-fifo = {}\n", two.display());
    rewrite(&server, &line, &more);
    server.signal(Signal::HUP);
    server.wait_for_log("buried");
    write_to(&one, "s");
    server.wait_for_log("workers total requests");
    assert_eq!(inode(&one), before);
    write_to(&one, "2");
    server.wait_for_log(&format!("active master fifo is now {}", two.display()));
}

#[test]
fn a_reload_whose_fifo_is_a_file_is_refused() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let first = setup.dir().join("first");
    let file = setup.write("file", "r\n");
    let server = setup.option("master-fifo", first.display()).start();
    until_true("the first FIFO", || first.exists());
    rewrite(&server, "/first", "/file");
    server.signal(Signal::HUP);
    server.wait_for_log("something else than a named pipe");
    server.wait_for_log("RELOAD FAILED");
    write_to(&first, "s");
    server.wait_for_log("workers total requests");
    assert_eq!(fs::read_to_string(&file).expect("is there"), "r\n");
}
