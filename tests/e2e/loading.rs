//! From options to an application: where it is looked for, how it is named, what a failure does.

use crate::both;
use crate::http_environ::Environ;
use crate::support::wait::until_true;
use crate::support::{Kind, Packet, Request, Server, Setup};

/// An app that answers with a text.
fn app(name: &str, text: &str) -> String {
    format!(
        "def {name}(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   return [b'{text} ' + environ['SCRIPT_NAME'].encode() + b' ' + environ['PATH_INFO'].encode()]\n"
    )
}

#[track_caller]
fn answers(server: &Server, target: &str, text: &str) {
    assert_eq!(server.get(target).expect(200).text(), text);
}

both! {
    fn a_module_in_the_current_directory(kind) {
        let setup = Setup::new(kind).option("module", "mine");
        setup.write("mine.py", app("application", "mine"));
        answers(&setup.start(), "/x", "mine  /x");
    }
}

both! {
    fn a_module_with_a_name(kind) {
        let setup = Setup::new(kind).option("module", "mine:other");
        setup.write("mine.py", app("other", "other"));
        answers(&setup.start(), "/", "other  /");
    }
}

both! {
    fn a_factory(kind) {
        let setup = Setup::new(kind).option("module", "mine:make()");
        let source = app("application", "made") + "def make():\n    return application\n";
        setup.write("mine.py", source);
        answers(&setup.start(), "/", "made  /");
    }
}

both! {
    fn a_module_and_a_callable(kind) {
        let setup = Setup::new(kind).option("module", "mine").option("callable", "other");
        setup.write("mine.py", app("other", "other"));
        answers(&setup.start(), "/", "other  /");
    }
}

both! {
    fn a_file_and_a_callable(kind) {
        let setup = Setup::new(kind).option("wsgi-file", "mine.wsgi").option("callable", "other");
        setup.write("mine.wsgi", app("other", "other"));
        answers(&setup.start(), "/", "other  /");
    }
}

both! {
    fn chdir_and_pythonpath(kind) {
        let setup = Setup::new(kind);
        std::fs::create_dir_all(setup.dir().join("site/lib")).expect("can be created");
        setup.write("site/lib/mine.py", app("application", "found"));
        let site = setup.dir().join("site").display().to_string();
        let setup = setup.option("chdir", &site).option("pythonpath", "lib").option("module", "mine");
        answers(&setup.start(), "/", "found  /");
    }
}

both! {
    fn env_is_there_at_import(kind) {
        let source = "import os\nVALUE = os.environ['SOME_NAME']\n\
            def application(environ, start_response):\n\
            \x20   start_response('200 OK', [])\n\
            \x20   return [VALUE.encode()]\n";
        let server = Setup::source(kind, source).option("env", "SOME_NAME=some=value").start();
        answers(&server, "/", "some=value");
    }
}

both! {
    /// Two apps below two paths: the longest that fits takes the request.
    fn mounts(kind) {
        let setup = Setup::new(kind)
            .option("manage-script-name", "true")
            .option("mount", "/=root.py")
            .option("mount", "/one=one:application")
            .option("mount", "/one/two=two.py");
        setup.write("root.py", app("application", "root"));
        setup.write("one.py", app("application", "one"));
        setup.write("two.py", app("application", "two"));
        let server = setup.start();
        answers(&server, "/one", "one /one ");
        answers(&server, "/one/x", "one /one /x");
        answers(&server, "/one/two/x", "two /one/two /x");
    }
}

/// `/onemore` is not below `/one`.
#[test]
fn mounts_end_at_a_segment() {
    let setup = Setup::new(Kind::Uwgate)
        .option("manage-script-name", "true")
        .option("mount", "/=root.py")
        .option("mount", "/one=one.py");
    setup.write("root.py", app("application", "root"));
    setup.write("one.py", app("application", "one"));
    let server = setup.start();
    assert!(
        server
            .get("/onemore")
            .expect(200)
            .text()
            .starts_with("root ")
    );
    assert!(server.get("/other").expect(200).text().starts_with("root "));
}

both! {
    /// The front server names the app by SCRIPT_NAME.
    fn script_name_of_the_front_server_chooses_the_app(kind) {
        let setup = Setup::new(kind).option("mount", "/=root.py").option("mount", "/one=one.py");
        setup.write("root.py", app("application", "root"));
        setup.write("one.py", app("application", "one"));
        let server = setup.start();
        let packet = Packet::get("/x").var("SCRIPT_NAME", "/one");
        assert_eq!(server.uwsgi(&packet).expect(200).text(), "one /one /x");
    }
}

both! {
    fn need_app_ends_with_22(kind) {
        let setup = Setup::new(kind).option("wsgi-file", "broken.py");
        setup.write("broken.py", "import nowhere_to_be_found\n");
        let socket = setup.dir().join("x.sock");
        let mut server = setup.option("http-socket", socket.display()).spawn();
        assert_eq!(server.process.wait().code(), Some(22));
        assert!(server.log().contains("nowhere_to_be_found"), "{}", server.log());
    }
}

both! {
    /// Without need-app the server stands and answers 500.
    fn a_broken_app_without_need_app_answers_500(kind) {
        let setup = Setup::source(kind, "import nowhere_to_be_found\n").option("need-app", "false");
        let server = setup.start();
        let response = server.uwsgi(&Packet::get("/"));
        assert_eq!(response.status, 500);
        assert!(!response.text().contains("nowhere_to_be_found"));
        server.wait_for_log("nowhere_to_be_found");
    }
}

#[test]
fn the_message_of_a_failed_import_says_what_to_look_at() {
    let setup = Setup::new(Kind::Uwgate).option("module", "mine:absent");
    setup.write("mine.py", app("application", "x"));
    let socket = setup.dir().join("x.sock");
    let mut server = setup.option("http-socket", socket.display()).spawn();
    assert_eq!(server.process.wait().code(), Some(22));
    let log = server.log();
    assert!(log.contains("absent") && log.contains("mine"), "{log}");
}

both! {
    fn script_name_is_managed_in_environ(kind) {
        let server = Setup::new(kind)
            .option("manage-script-name", "true")
            .option("mount", format!("/app={}", crate::support::paths::app("environ.py").display()))
            .start();
        let environ = Environ::of(&server, &Request::get("/app/a%20b?c"));
        environ.is("SCRIPT_NAME", "str '/app'");
        environ.is("PATH_INFO", "str '/a b'");
        environ.is("REQUEST_URI", "str '/app/a%20b?c'");
    }
}

both! {
    /// For development only: the client gets the traceback.
    fn catch_exceptions_shows_the_traceback(kind) {
        let server = Setup::app(kind, "faults.py").option("catch-exceptions", "true").start();
        let answer = server.raw_uwsgi(Packet::get("/raise-at-call").bytes());
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("ValueError: raised before start_response"), "{answer}");
    }
}

both! {
    /// A thread of the application's own goes on while nobody asks for anything.
    fn background_threads_run_between_requests(kind) {
        let source = "import threading, time\n\
            def count():\n\
            \x20   with open('count', 'w', buffering=1) as file:\n\
            \x20       while True:\n\
            \x20           file.write('x\\n')\n\
            \x20           time.sleep(0.01)\n\
            threading.Thread(target=count, daemon=True).start()\n\
            def application(environ, start_response):\n\
            \x20   start_response('200 OK', [])\n\
            \x20   return [b'x']\n";
        let setup = Setup::source(kind, source);
        let dir = setup.dir().to_owned();
        let server = setup
            .option("enable-threads", "true")
            .option("lazy-apps", "true")
            .option("chdir", dir.display())
            .start();
        server.get("/").expect(200);
        let count = || std::fs::read(dir.join("count")).map_or(0, |file| file.len());
        let first = count();
        until_true("the thread to go on", || count() > first + 20);
    }
}

/// Threads do not survive a fork: who starts them at import must hear of it.
#[test]
fn a_thread_started_at_import_is_warned_of() {
    let source = "import threading, time\n\
        threading.Thread(target=time.sleep, args=(60,), daemon=True, name='the-thread').start()\n\
        def application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   return [b'x']\n";
    let server = Setup::source(Kind::Uwgate, source).start();
    server.get("/").expect(200);
    server.wait_for_log("lazy-apps");
}

/// An app that tells what the collector does, in a worker and before. `set` is what it sets itself.
fn collector(set: &str) -> String {
    format!(
        "import gc, sys\n\
        {set}\n\
        LOADED = 'signal' in sys.modules\n\
        class Garbage:\n\
        \x20   left = 0\n\
        \x20   def __init__(self):\n\
        \x20       Garbage.left += 1\n\
        \x20       self.own = self\n\
        \x20   def __del__(self):\n\
        \x20       Garbage.left -= 1\n\
        for _ in range(130000):\n\
        \x20   Garbage()\n\
        def application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   more = 'signal' in sys.modules and not LOADED\n\
        \x20   facts = gc.get_threshold()[0], gc.get_freeze_count() > 1000, 0 < Garbage.left < 120000, more\n\
        \x20   return [repr(facts).encode()]\n"
    )
}

/// While the application is loaded, the collector runs only when much is left behind; the workers do not notice.
#[test]
fn the_collector_waits_for_the_application() {
    let server = Setup::source(Kind::Uwgate, &collector("")).start();
    let answer = server.get("/").expect(200);
    let (threshold, others) = answer.text().split_once(", ").expect("a tuple");
    assert_eq!(others, "True, True, False)");
    assert!(!threshold.contains("100003"), "{threshold}");
    let server = Setup::source(Kind::Uwgate, &collector("gc.set_threshold(50000)")).start();
    answers(&server, "/", "(50000, True, True, False)");
}

/// In a worker that loads the application itself there is nobody to share with.
#[test]
fn the_collector_does_not_wait_in_a_worker() {
    let source = "import gc\n\
        THRESHOLD = gc.get_threshold()\n\
        def application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   return [repr(THRESHOLD == gc.get_threshold() and gc.get_freeze_count() == 0).encode()]\n";
    let server = Setup::source(Kind::Uwgate, source)
        .option("lazy-apps", "true")
        .start();
    answers(&server, "/", "True");
}
