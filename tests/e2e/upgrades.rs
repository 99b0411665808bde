//! Upgrades of the binary itself: a reload that finds a newer file where it was started from becomes it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::install::Installed;
use crate::support::load::APP;
use crate::support::process::{alive, children, descriptors, signal};
use crate::support::versioned::{versioned, wait_for_version};
use crate::support::wait::{Over, until, until_true};
use crate::support::{Address, Kind, Load, Request, Server, Setup, TempDir, Way};

fn serving(installed: &Installed, app: &str) -> Setup {
    Setup::source(Kind::Uwgate, app)
        .program(&installed.program())
        .option("processes", 2)
}

/// Starts and waits until the log names both workers.
fn start(setup: Setup) -> Server {
    let server = setup.start();
    until_true("both workers", || server.workers().len() == 2);
    server
}

/// Whether the process runs the file that is at `path` now.
fn runs(pid: u32, path: &Path) -> bool {
    let running = fs::metadata(format!("/proc/{pid}/exe")).map(|file| (file.dev(), file.ino()));
    let there = fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((running, there), (Ok(running), Ok(there)) if running == there)
}

/// Reloads and waits until the master is the new binary and has no workers but its own.
fn upgrade(server: &Server, installed: &Installed) {
    let before = server.workers();
    installed.upgrade();
    server.signal(Signal::HUP);
    until_true("the master to be the new binary", || {
        runs(server.process.pid(), &installed.program())
    });
    until_true("the workers of the old binary to leave", || {
        let now = server.workers();
        now.len() >= 2 && before.iter().all(|pid| !alive(*pid))
    });
}

#[test]
fn a_newer_binary_takes_over_and_no_request_is_lost() {
    let installed = Installed::new(Kind::Uwgate);
    let server = start(serving(&installed, APP));
    let (http, uwsgi) = (server.http.clone(), server.socket.clone());
    let ways = [Way::Close(http.clone()), Way::Keep(http), Way::Uwsgi(uwsgi)];
    let load = Load::start(&ways, 2, Duration::from_millis(5));
    let mut held = None;
    for _ in 0..3 {
        load.wait_for(100);
        upgrade(&server, &installed);
        until_true("nothing but two workers and their zygote", || {
            children(server.process.pid()).len() == 3
        });
        held.get_or_insert_with(|| descriptors(server.process.pid()));
    }
    load.wait_for(100);
    load.finish().expect_no_loss(400);
    // One more may be open for a moment, while the master looks at its queues.
    until_true("no more descriptors than after the first upgrade", || {
        Some(descriptors(server.process.pid())) <= held
    });
}

/// Who connects meanwhile is served when the new binary is told to resume.
#[test]
fn a_pause_outlasts_an_upgrade() {
    let installed = Installed::new(Kind::Uwgate);
    let server = start(serving(&installed, APP));
    server.signal(Signal::TSTP);
    until_true("both to be suspended", || {
        server.log().matches("suspended ***").count() == 2
    });
    let mut client = server.client();
    client.write(Request::get("/echo/x").bytes());
    upgrade(&server, &installed);
    // New workers begin paused, and say so.
    until_true("the new ones to be suspended", || {
        server.log().matches("suspended ***").count() == 4
    });
    assert!(!server.log().contains("GET /echo/x"));
    server.signal(Signal::TSTP);
    client.response("GET").expect(200);
}

/// What the old binary has made, and the new configuration does not name, goes away when the new one serves.
#[test]
fn an_upgrade_takes_other_names_of_control_files() {
    let installed = Installed::new(Kind::Uwgate);
    let setup = serving(&installed, APP);
    let path = |name: &str| setup.dir().join(name);
    let (fifo, pidfile) = (path("old.fifo"), path("old.pid"));
    let (new_fifo, new_pidfile) = (path("new.fifo"), path("new.pid"));
    let server = start(
        setup
            .option("master-fifo", fifo.display())
            .option("pidfile", pidfile.display()),
    );
    until_true("both files", || fifo.exists() && pidfile.exists());
    let ini = server.dir.join("server.ini");
    let text = fs::read_to_string(&ini).expect("is there");
    fs::write(&ini, text.replace("/old.", "/new.")).expect("can be written");
    upgrade(&server, &installed);
    until_true("the old files to go", || {
        !fifo.exists() && !pidfile.exists()
    });
    let pid = format!("{}\n", server.process.pid());
    until_true("the new ones", || {
        new_fifo.exists() && fs::read_to_string(&new_pidfile).is_ok_and(|it| it == pid)
    });
}

const COUNTED: &str = "\
import os, time, uwsgi
HERE = os.path.dirname(os.path.abspath(__file__))
def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/hang':
        uwsgi.set_user_harakiri(1)
        time.sleep(600)
    if path == '/raise':
        raise ValueError('asked for')
    if path == '/slow':
        open(os.path.join(HERE, 'slow'), 'w').close()
        while not os.path.exists(os.path.join(HERE, 'go')):
            time.sleep(0.01)
    start_response('200 OK', [('Content-Length', '1000')])
    return [b'x' * 1000]
";

/// The sum over all workers of a number in the statistics.
fn counted(server: &Server, key: &str) -> u64 {
    // A new binary binds it anew, and who has connected before that is not answered.
    let path = server.dir.join("stats.sock");
    let read = || -> Option<serde_json::Value> {
        let stream = UnixStream::connect(&path).ok()?;
        let text = std::io::read_to_string(stream).ok()?;
        serde_json::from_str(&text).ok()
    };
    let stats = until("the statistics", read);
    let workers = stats["workers"].as_array().expect("a list");
    let number = |worker: &serde_json::Value| worker[key].as_u64().expect("a number");
    workers.iter().map(number).sum()
}

/// Also what workers of the old binary count while those of the new one serve.
#[test]
fn statistics_go_on_after_an_upgrade() {
    let installed = Installed::new(Kind::Uwgate);
    let setup = serving(&installed, COUNTED);
    let stats = setup.dir().join("stats.sock");
    let server = start(setup.option("stats", stats.display()));
    server.get("/hang").expect(504);
    server.get("/raise").expect(500);
    for _ in 0..8 {
        server.get("/").expect(200);
    }
    let all = || {
        let keys = ["requests", "exceptions", "harakiri_count", "respawn_count"];
        keys.map(|key| counted(&server, key))
    };
    until_true("the successor", || all() == [10, 1, 1, 3]);
    upgrade(&server, &installed);
    until_true("all to be there again", || all() == [10, 1, 1, 5]);
    let (tx, average) = (counted(&server, "tx"), counted(&server, "avg_rt"));
    assert!(tx > 8000 && average > 0, "{tx} {average}");
    let mut slow = server.client();
    slow.write(Request::get("/slow").bytes());
    until_true("the slow request", || server.dir.join("slow").exists());
    installed.upgrade();
    server.signal(Signal::HUP);
    until_true("the master to be the new binary", || {
        runs(server.process.pid(), &installed.program())
    });
    until_true("the new workers", || all() == [11, 1, 1, 7]);
    server.dir.write("go", "");
    slow.response("GET").expect(200);
    until_true("the answer to count", || counted(&server, "tx") > tx + 1000);
    until_true("the old workers to leave", || server.workers().len() == 2);
    server.get("/").expect(200);
    assert_eq!(all(), [12, 1, 1, 7]);
    assert!(counted(&server, "tx") > tx + 2000);
}

/// `mv uwgate uwgate.old; cp …/uwgate .` changes the name of the running file.
#[test]
fn the_old_binary_may_be_moved_away() {
    let installed = Installed::new(Kind::Uwgate);
    let server = start(serving(&installed, APP));
    fs::rename(installed.program(), installed.dir.join("server.old")).expect("can be renamed");
    upgrade(&server, &installed);
    server.get("/").expect(200);
}

/// Each of them would be the end of an instance that became it.
#[test]
fn a_file_that_is_no_uwgate_leaves_the_old_binary_serving() {
    let installed = Installed::new(Kind::Uwgate);
    let server = start(serving(&installed, APP));
    let master = server.process.pid();
    let scripts = [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\nexit 0\n",
        "#!/bin/sh\necho '[uwsgi]'\n",
        "",
        "no program\n",
    ];
    for script in scripts {
        installed.put_script(script);
        let said = failures(&server);
        server.signal(Signal::HUP);
        until_true("words about the failure", || failures(&server) > said);
        assert!(alive(master), "after {script:?}");
        server.get("/").expect(200);
    }
    fs::remove_file(installed.program()).expect("can be removed");
    fs::create_dir(installed.program()).expect("can be made");
    // There is no newer binary then: an ordinary reload.
    let before = server.workers();
    server.signal(Signal::HUP);
    until_true("an ordinary reload", || {
        before.iter().all(|pid| !alive(*pid))
    });
    server.get("/").expect(200);
    fs::remove_dir(installed.program()).expect("can be removed");
    upgrade(&server, &installed);
    server.get("/").expect(200);
}

fn failures(server: &Server) -> usize {
    server.log().matches("FAILED").count()
}

/// A binary that does not end when it is tried is no obstacle for the next one, and does not outlive the instance.
#[test]
fn a_binary_that_hangs_when_tried_is_given_up() {
    let installed = Installed::new(Kind::Uwgate);
    let mut server = start(serving(&installed, APP));
    let pid_file = installed.dir.join("hangs");
    let script = format!(
        "#!/bin/sh\necho $$ > {0}.new; mv {0}.new {0}\nexec sleep 1000\n",
        pid_file.display()
    );
    let tried = || {
        until("the trial", || {
            fs::read_to_string(&pid_file)
                .ok()?
                .trim()
                .parse::<u32>()
                .ok()
        })
    };
    installed.put_script(&script);
    server.signal(Signal::HUP);
    let first = tried();
    server.get("/").expect(200);
    upgrade(&server, &installed);
    until_true("the end of the trial", || !alive(first));
    fs::remove_file(&pid_file).expect("was there");
    installed.put_script(&script);
    server.signal(Signal::HUP);
    let second = tried();
    server.stop_with(Signal::TERM);
    until_true("the end of the trial", || !alive(second));
}

/// With `need-app` the zygote ends, without it is there but has nothing to serve.
#[test]
fn an_upgrade_with_a_broken_app_keeps_the_old_workers_until_it_is_mended() {
    for need_app in ["true", "false"] {
        let installed = Installed::new(Kind::Uwgate);
        let setup = versioned(Kind::Uwgate).program(&installed.program());
        let server = start(setup.option("need-app", need_app));
        wait_for_version(&server, "one");
        server.dir.write("version", "raise RuntimeError('broken')");
        installed.upgrade();
        server.signal(Signal::HUP);
        server.wait_for_log("RELOAD FAILED");
        for _ in 0..20 {
            assert_eq!(
                server.get("/").expect(200).text(),
                "one",
                "need-app = {need_app}"
            );
        }
        server.dir.write("version", "VERSION = 'two'");
        wait_for_version(&server, "two");
    }
}

/// Sockets, users and interpreters are found out about only by the new binary itself, when there is no way back.
#[test]
fn an_upgrade_to_a_configuration_that_cannot_be_served_keeps_the_old_workers() {
    let installed = Installed::new(Kind::Uwgate);
    let server = start(serving(&installed, APP));
    let ini = server.dir.join("server.ini");
    let good = fs::read_to_string(&ini).expect("is there");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = taken.local_addr().expect("is bound").port();
    for bad in [
        format!("http-socket = 127.0.0.1:{port}"),
        "python = /no/such/python".into(),
    ] {
        let said = failures(&server);
        fs::write(&ini, format!("{good}{bad}\n")).expect("can be written");
        installed.upgrade();
        server.signal(Signal::HUP);
        until_true("words about the failure", || failures(&server) > said);
        for _ in 0..20 {
            server.get("/").expect(200);
        }
        fs::write(&ini, &good).expect("can be written");
        upgrade(&server, &installed);
        server.get("/").expect(200);
    }
}

#[test]
fn a_request_may_last_longer_than_the_upgrade() {
    let installed = Installed::new(Kind::Uwgate);
    let setup = Setup::app(Kind::Uwgate, "slow.py").program(&installed.program());
    let server = start(setup.option("processes", 2));
    let dir = TempDir::new();
    let mut client = server.client();
    client.write(Request::get(&format!("/until{}", dir.join("go").display())).bytes());
    until_true("the request to start", || dir.join("go.started").exists());
    let before = server.workers();
    installed.upgrade();
    server.signal(Signal::HUP);
    until_true("the idle worker to leave", || {
        before.iter().filter(|pid| alive(**pid)).count() == 1
    });
    // A second upgrade inherits the worker of the first.
    let between: Vec<u32> = server
        .workers()
        .into_iter()
        .filter(|pid| !before.contains(pid))
        .collect();
    installed.upgrade();
    server.signal(Signal::HUP);
    until_true("the next workers to leave", || {
        !between.is_empty() && between.iter().all(|pid| !alive(*pid))
    });
    dir.write("go", "");
    let busy = client.response("GET").expect(200);
    assert!(before.contains(&busy.text().parse().expect("a pid")));
    drop(client);
    until_true("the last old worker to leave", || {
        before.iter().all(|pid| !alive(*pid))
    });
}

/// New code waits for what old code has locked, though the master is another program meanwhile.
#[test]
fn locks_of_the_application_hold_over_an_upgrade() {
    let installed = Installed::new(Kind::Uwgate);
    let setup = Setup::app(Kind::Uwgate, "ask.py").program(&installed.program());
    let server = start(setup.option("processes", 2).option("locks", 1));
    let dir = TempDir::new();
    let hold = format!(
        "uwsgi.lock(1), wait_for('{}'), uwsgi.unlock(1)",
        dir.join("go").display()
    );
    let mut holder = server.client();
    holder.write(Request::post("/", hold.into_bytes()).bytes());
    until_true("the lock", || dir.join("go.started").exists());
    installed.upgrade();
    server.signal(Signal::HUP);
    let asked = "uwsgi.is_a_reload, uwsgi.is_locked(1)";
    until_true("new code that finds the lock taken", || {
        server.post("/", asked).expect(200).text() == "(True, True)"
    });
    dir.write("go", "");
    holder.response("POST").expect(200);
    let free = server.post("/", "uwsgi.is_locked(1)").expect(200);
    assert_eq!(free.text(), "False");
}

/// Whatever the upgrade has come to when the signal arrives.
#[test]
fn a_stop_during_an_upgrade_is_obeyed() {
    let installed = Installed::new(Kind::Uwgate);
    for delay in [0, 10, 40, 100, 250] {
        let mut server = start(serving(&installed, APP));
        let workers = server.workers();
        installed.upgrade();
        server.signal(Signal::HUP);
        std::thread::sleep(Duration::from_millis(delay));
        let status = server.stop_with(Signal::TERM);
        assert_eq!(status.code(), Some(0), "{status} after {delay} ms");
        until_true("the workers to end", || {
            workers.iter().all(|pid| !alive(*pid))
        });
    }
}

/// No signal with a meaning for an instance may find its master unprepared.
#[test]
fn signals_during_an_upgrade_do_no_harm() {
    let installed = Installed::new(Kind::Uwgate);
    let server = start(serving(&installed, APP));
    let master = server.process.pid();
    let signals = [
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::URG,
        Signal::WINCH,
    ];
    installed.upgrade();
    server.signal(Signal::HUP);
    until_true("the master to be the new binary", || {
        for each in signals {
            signal(master, each);
        }
        runs(master, &installed.program())
    });
    for each in signals.into_iter().cycle().take(500) {
        signal(master, each);
        std::thread::sleep(Duration::from_micros(200));
    }
    server.get("/").expect(200);
}

#[test]
fn sockets_come_and_go_with_an_upgrade() {
    let installed = Installed::new(Kind::Uwgate);
    let setup = serving(&installed, APP);
    let [first, second] = ["first.sock", "second.sock"].map(|name| setup.dir().join(name));
    let server = start(setup.option("http-socket", first.display()));
    let ini = server.dir.join("server.ini");
    let text = fs::read_to_string(&ini).expect("is there");
    fs::write(&ini, text.replace("first.sock", "second.sock")).expect("can be written");
    upgrade(&server, &installed);
    let [first, second] = [first, second].map(Address::Unix);
    crate::support::Client::connect(&second)
        .send(&Request::get("/"))
        .expect(200);
    until_true("the removed socket to be closed", || {
        first.connect().is_err()
    });
    server.get("/").expect(200);
}

/// Started by root, the instance is somebody else when it becomes the new binary.
#[test]
fn an_upgrade_after_the_user_was_dropped() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let installed = Installed::new(Kind::Uwgate);
    let setup = serving(&installed, APP).option("uid", "nobody");
    let server = start(setup.option("gid", "nogroup"));
    upgrade(&server, &installed);
    server.get("/").expect(200);
    let owner = fs::metadata(format!("/proc/{}/task", server.workers()[0]))
        .expect("it lives")
        .uid();
    assert_ne!(owner, 0);
}

/// A link to the version of the day, as some installations have it.
#[test]
fn a_link_that_points_elsewhere_is_no_upgrade() {
    let installed = Installed::new(Kind::Uwgate);
    let link = installed.dir.join("current");
    symlink(installed.program(), &link).expect("can be made");
    let server = start(
        Setup::source(Kind::Uwgate, APP)
            .program(&link)
            .option("processes", 2),
    );
    let before = server.workers();
    server.signal(Signal::HUP);
    until_true("an ordinary reload", || {
        before.iter().all(|pid| !alive(*pid))
    });
    assert!(!server.log().contains("binary reloading"));
    server.get("/").expect(200);
}

/// Workers of the old binary write into a socket that the new one reads, and into the files of both.
#[test]
fn log_lines_are_collected_across_an_upgrade() {
    let installed = Installed::new(Kind::Uwgate);
    let setup = serving(&installed, APP);
    let requests = setup.dir().join("requests.log");
    let server = start(
        setup
            .option("log-master", "true")
            .option("req-logger", format!("file:{}", requests.display()))
            .option("log-encoder", "prefix |"),
    );
    let lines = || fs::read_to_string(&requests).unwrap_or_default();
    let served = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        use std::sync::atomic::Ordering::SeqCst;
        scope.spawn(|| {
            while !done.load(SeqCst) {
                server.get("/").expect(200);
                served.fetch_add(1, SeqCst);
            }
        });
        let over = Over(&done);
        upgrade(&server, &installed);
        drop(over);
    });
    let served = served.into_inner();
    until_true("a line for each request", || {
        lines().matches("=> generated").count() == served
    });
    server.wait_for_log("|binary reloading uwgate");
}
