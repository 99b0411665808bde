//! Files that are looked at: touched ones, directories, and the application's modules.

use std::fs;

use rustix::process::Signal;

use super::write_to;
use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Server, Setup};

/// An app that tells the version it was loaded with, and its pid.
const VERSIONED: &str = "\
import os
HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = open(os.path.join(HERE, 'version')).read()
def application(environ, start_response):
    start_response('200 OK', [('Connection', 'close')])
    return [('%s %d' % (VERSION, os.getpid())).encode()]
";

/// Starts it and waits until it serves what was there at the start.
fn started(setup: Setup) -> Server {
    let server = setup.start();
    assert_eq!(version(&server), "one");
    server
}

fn versioned(kind: Kind) -> Setup {
    let setup = Setup::source(kind, VERSIONED);
    setup.write("version", "one");
    setup
}

fn version(server: &Server) -> String {
    answer(server).0
}

fn answer(server: &Server) -> (String, String) {
    let response = server.get("/").expect(200);
    let (version, pid) = response.text().split_once(' ').expect("two words");
    (version.to_owned(), pid.to_owned())
}

both! {
    /// A file that is not there at first counts when it is made; relative names start from `chdir`.
    fn touch_reload_reloads(kind) {
        let setup = versioned(kind);
        let there = setup.dir().join("there");
        fs::create_dir(setup.dir().join("sub")).expect("can be made");
        fs::write(&there, "").expect("can be written");
        let missing = setup.dir().join("sub/missing");
        let setup = setup
            .option("chdir", "sub")
            .option("touch-reload", there.display())
            .option("touch-reload", "missing");
        let server = started(setup);
        server.wait_for_log("missing, events will be triggered as soon as the file is created");
        for (file, text) in [(&there, "two"), (&missing, "three"), (&missing, "four")] {
            server.dir.write("version", text);
            // uWSGI looks at whole seconds, and only once the reload before is over.
            until_true(text, || {
                let touched = fs::File::create(file).expect("can be made");
                touched.set_modified(std::time::SystemTime::now()).expect("can be touched");
                std::thread::sleep(std::time::Duration::from_millis(300));
                server.http.connect().is_ok() && {
                    let mut client = server.client();
                    client.write(crate::support::Request::get("/").header("Connection", "close").bytes());
                    String::from_utf8_lossy(&client.rest()).contains(text)
                }
            });
        }
    }
}

#[test]
fn touched_files_have_their_own_wishes() {
    let setup = versioned(Kind::Uwgate);
    let file = |name: &str| setup.dir().join(name);
    let (workers, chain) = (file("workers"), file("chain"));
    let (reopen, rotate) = (file("reopen"), file("rotate"));
    let setup = setup
        .option("touch-workers-reload", workers.display())
        .option("touch-chain-reload", chain.display())
        .option("touch-logreopen", reopen.display())
        .option("touch-logrotate", rotate.display());
    let server = started(setup);
    server.dir.write("version", "two");
    for file in [&workers, &chain] {
        let (before, pid) = answer(&server);
        fs::write(file, "").expect("can be written");
        until_true("a new worker", || answer(&server).1 != pid);
        assert_eq!(version(&server), before, "the code is the same");
    }
    for file in [&reopen, &rotate] {
        fs::write(file, "").expect("can be written");
        server.wait_for_log(&format!("*** {} has been touched...", file.display()));
    }
    server.get("/").expect(200);
}

/// The touch that a reload answers is not asked for again by that reload, and one that comes meanwhile is not lost.
#[test]
fn a_touch_is_one_reload() {
    let setup = versioned(Kind::Uwgate);
    let file = setup.dir().join("touch");
    let server = started(setup.option("touch-reload", file.display()));
    for (count, text) in [(1, "two"), (2, "three")] {
        server.dir.write("version", text);
        fs::write(&file, text).expect("can be written");
        until_true(text, || version(&server) == text);
        server.signal(Signal::USR1);
        until_true("the signal after it", || {
            server.log().matches("workers total requests").count() == count
        });
        assert_eq!(server.log().matches("has been touched").count(), count);
    }
}

/// A configuration that a reload brings has other files to look at.
#[test]
fn a_reload_brings_other_files_to_look_at() {
    let setup = versioned(Kind::Uwgate);
    let (first, second) = (setup.dir().join("first"), setup.dir().join("second"));
    let fifo = setup.dir().join("fifo");
    let server = started(setup.option("touch-reload", first.display()));
    let ini = server.dir.join("server.ini");
    let text = fs::read_to_string(&ini).expect("is there");
    let text = text.replace(&first.display().to_string(), &second.display().to_string());
    fs::write(&ini, format!("{text}master-fifo = {}\n", fifo.display())).expect("can be written");
    server.signal(Signal::HUP);
    until_true("the FIFO", || fifo.exists());
    for (word, text) in [("touch", "two"), ("FIFO", "three")] {
        server.dir.write("version", text);
        match word {
            "touch" => fs::write(&second, "").expect("can be written"),
            _ => write_to(&fifo, "r"),
        }
        until_true(text, || version(&server) == text);
    }
}

#[test]
fn fs_reload_sees_changes_in_a_directory_and_of_a_file() {
    let setup = versioned(Kind::Uwgate);
    let (directory, file) = (setup.dir().join("directory"), setup.dir().join("file"));
    fs::create_dir(&directory).expect("can be made");
    let setup = setup.option("fs-reload", directory.display());
    let server = started(setup.option("fs-reload", file.display()));
    // What is not there is waited for.
    let changes: [(&str, &dyn Fn()); 4] = [
        ("two", &|| {
            fs::write(directory.join("x"), "").expect("can be written");
        }),
        ("three", &|| {
            fs::remove_file(directory.join("x")).expect("is there");
        }),
        ("four", &|| fs::write(&file, "").expect("can be written")),
        ("five", &|| {
            let new = directory.with_file_name("new");
            fs::write(&new, "").expect("can be written");
            fs::rename(new, &file).expect("can be moved");
        }),
    ];
    for (text, change) in changes {
        server.dir.write("version", text);
        change();
        until_true(text, || version(&server) == text);
    }
}

const RELOADED: &str = "\
import sys
sys.path.insert(0, __file__.rpartition('/')[0])
import part
def application(environ, start_response):
    import late
    start_response('200 OK', [('Connection', 'close')])
    return [('%s %s' % (part.VERSION, late.VERSION)).encode()]
";

/// Puts another module in the place of one, at once: who writes to it changes it twice, first to nothing.
fn replace(server: &Server, name: &str, content: &str) {
    let new = server.dir.write(&format!(".{name}.new"), content);
    fs::rename(new, server.dir.join(name)).expect("can be put there");
}

/// Modules that were imported before the fork and in a request; a broken version, which only a new file repairs; one
/// that is not to be looked at.
#[test]
fn py_autoreload_follows_the_code() {
    let setup = Setup::source(Kind::Uwgate, RELOADED);
    setup.write("part.py", "VERSION = 1");
    setup.write("late.py", "VERSION = 1");
    let server = setup
        .option("processes", 2)
        .option("py-autoreload", 1)
        .option("py-auto-reload-ignore", "ignored")
        .start();
    let reloads = || server.log().matches("...gracefully reloading").count();
    let serves = |text: &str| {
        until_true(text, || server.get("/").expect(200).text() == text);
    };
    serves("1 1");
    for (count, (file, text)) in (1..).zip([("part.py", "22 1"), ("late.py", "22 22")]) {
        replace(&server, file, "VERSION = 22");
        // A worker that has not imported it yet would serve the new one without a reload.
        until_true("the old workers to go", || {
            reloads() == count && server.log().matches("buried").count() == 2 * count
        });
        serves(text);
    }
    replace(&server, "ignored.py", "VERSION = 1");
    replace(
        &server,
        "part.py",
        "from ignored import VERSION\nfrom other import VERSION",
    );
    server.wait_for_log("RELOAD FAILED");
    assert_eq!(server.get("/").expect(200).text(), "22 22");
    replace(&server, "other.py", "VERSION = 333");
    serves("333 22");
    let before = reloads();
    replace(&server, "ignored.py", "VERSION = 4444");
    replace(&server, "other.py", "VERSION = 4444");
    serves("4444 22");
    assert_eq!(reloads(), before + 1, "one change, one reload");
}
