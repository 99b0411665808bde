//! Lines stay whole, whoever prints at the same time, wherever they go.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Server, Setup};

/// A named pipe with its reading end, which does not wait for writers.
fn fifo(path: &Path) -> File {
    use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a fifo can be made");
    let reader = open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
    File::from(reader.expect("a fifo can be opened"))
}

/// Reads a pipe, with pauses in which it becomes full, until the text says that it is enough.
fn read_slowly(mut pipe: File, enough: impl Fn(&str) -> bool) -> String {
    let mut all = String::new();
    until_true("enough lines", || {
        let mut piece = [0; 30_000];
        match pipe.read(&mut piece) {
            Ok(len) => all.push_str(&String::from_utf8_lossy(&piece[..len])),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        enough(&all)
    });
    all
}

/// Every line of the crowd is one letter, so many times.
#[track_caller]
fn assert_whole(log: &str, size: usize) -> usize {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains('<')).collect();
    for line in &lines {
        let letter = line.get(1..2).unwrap_or_default();
        let whole = format!("<{}>", letter.repeat(size));
        assert!(**line == whole, "torn: {:.200}", line);
    }
    lines.len()
}

fn crowds(server: &Server, count: usize, size: usize) {
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| server.get(&format!("/crowd?{size}")).expect(200));
        }
    });
}

fn crowded(setup: Setup) -> Setup {
    setup
        .option("processes", 2)
        .option("threads", 2)
        .option("enable-threads", "true")
}

#[test]
fn threads_and_processes_that_print_to_a_file() {
    let server = crowded(Setup::app(Kind::Uwgate, "prints.py")).start();
    crowds(&server, 4, 6000);
    until_true("all lines", || server.log().matches("crowd?").count() == 4);
    assert_eq!(assert_whole(&server.log(), 6000), 4 * 8 * 20);
}

/// A pipe takes 4096 bytes of a writer at once, and here it is full most of the time.
#[test]
fn threads_and_processes_that_print_to_a_slow_pipe() {
    let setup = crowded(Setup::app(Kind::Uwgate, "prints.py"));
    let path = setup.dir().join("pipe");
    let pipe = fifo(&path);
    let server = setup.option("logto", path.display()).start();
    std::thread::scope(|scope| {
        scope.spawn(|| crowds(&server, 4, 9000));
        let log = read_slowly(pipe, |log| log.matches("GET /crowd").count() == 4);
        assert_eq!(assert_whole(&log, 9000), 4 * 8 * 20);
    });
}

#[test]
fn threads_and_processes_that_print_to_the_master() {
    let server = crowded(Setup::app(Kind::Uwgate, "prints.py"))
        .option("log-master", "true")
        .start();
    crowds(&server, 4, 9000);
    until_true("all lines", || server.log().matches("crowd?").count() == 4);
    assert_eq!(assert_whole(&server.log(), 9000), 4 * 8 * 20);
    server.get("/child").expect(200);
    server.wait_for_log("\nfrom a child\n");
}

both! {
    fn what_is_printed_is_there(kind) {
        let server = Server::app(kind, "prints.py");
        server.get("/hello").expect(200);
        for text in ["to stdout\n", "to stderr\n", "to wsgi.errors\n"] {
            server.wait_for_log(text);
        }
    }
}

#[test]
fn streams_do_what_libraries_want_of_them() {
    let server = Server::app(Kind::Uwgate, "prints.py");
    server.get("/buffers").expect(200);
    for text in [
        "bytes and more\n",
        "no newline",
        "reconfigured \\udc80\n",
        "text is no bytes\n",
    ] {
        server.wait_for_log(text);
    }
}

/// Nobody reads: requests are served all the same, and later the log says what it lacks.
#[test]
fn a_destination_that_takes_nothing_stops_nobody() {
    let setup = Setup::app(Kind::Uwgate, "prints.py");
    let path = setup.dir().join("pipe");
    let pipe = fifo(&path);
    let server = setup
        .option("req-logger", format!("file:{}", path.display()))
        .option("log-format", format!("%(uri) {}", "x".repeat(10_000)))
        .start();
    for number in 0..60 {
        server.get(&format!("/{number}")).expect(200);
    }
    let mut pipe = pipe;
    let mut all = String::new();
    until_true("word of lost lines", || {
        server.get("/after").expect(200);
        let mut piece = vec![0; 1 << 20];
        if let Ok(len) = pipe.read(&mut piece) {
            all.push_str(&String::from_utf8_lossy(&piece[..len]));
        }
        all.contains("log line(s) were lost here")
    });
    assert!(all.starts_with("/0 xxx"));
}
