//! Options: files and the command line, and what a wrong one says.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::both;
use crate::support::process::Process;
use crate::support::wait::{until, until_true};
use crate::support::{Address, Client, Kind, Request, Setup, TempDir, paths};

/// Runs the program with these arguments until its end: exit code and output.
fn run(kind: Kind, arguments: &[&str]) -> (Option<i32>, String) {
    let dir = TempDir::new();
    let mut command = kind.command();
    command.args(arguments).current_dir(&*dir);
    let mut process = Process::start(command, &dir.join("output"));
    let code = process.wait().code();
    (code, process.log())
}

/// Starts the program with these arguments, and waits for the address to answer 200.
fn serves(kind: Kind, arguments: &[&str], address: &Address) {
    let dir = TempDir::new();
    let mut command = kind.command();
    command.args(arguments).current_dir(&*dir);
    let mut process = Process::start(command, &dir.join("output"));
    until("the server to listen", || {
        assert!(
            process.try_wait().is_none(),
            "ended at once: {}",
            process.log()
        );
        address.connect().ok()
    });
    Client::connect(address)
        .send(&Request::get("/"))
        .expect(200);
    process.kill();
    // Its workers hold the socket a little longer, and the next server may want the address.
    until_true("the address to be free", || address.connect().is_err());
}

both! {
    fn the_command_line(kind) {
        let address = Address::free_port();
        let app = paths::app("hello.py").display().to_string();
        serves(kind, &["--http-socket", &address.to_string(), "--wsgi-file", &app, "--master", "-p", "2"], &address);
        let http = format!("--http-socket={address}");
        let file = format!("--wsgi-file={app}");
        serves(kind, &[&http, &file, "--need-app"], &address);
    }
}

both! {
    fn a_yaml_file(kind) {
        let address = Address::free_port();
        let dir = TempDir::new();
        let app = paths::app("hello.py");
        let file = dir.write("app.yaml", format!(
            "uwsgi:\n  http-socket: {address}\n  wsgi-file: {}\n  master: true\n  processes: 2\n",
            app.display()
        ));
        serves(kind, &["--yaml", &file.display().to_string()], &address);
        serves(kind, &[&file.display().to_string()], &address);
    }
}

both! {
    fn an_ini_file_by_its_name(kind) {
        let address = Address::free_port();
        let dir = TempDir::new();
        let app = paths::app("hello.py");
        let file = dir.write("app.ini", format!(
            "; a comment\n[other]\nharakiri = soon\n[uwsgi]\n# another\nhttp-socket={address}\n  wsgi-file   =   {}\n",
            app.display()
        ));
        serves(kind, &[&file.display().to_string()], &address);
    }
}

both! {
    fn placeholders_and_magic_variables(kind) {
        let address = Address::free_port();
        let dir = TempDir::new();
        dir.write("app.py", std::fs::read(paths::app("hello.py")).expect("is there"));
        let file = dir.write("app.ini", format!(
            "[uwsgi]\nhere = %d\nname = app\nhttp-socket = {address}\nwsgi-file = %(here)%(name).py\n"
        ));
        serves(kind, &["--ini", &file.display().to_string()], &address);
    }
}

both! {
    fn an_unknown_option_on_the_command_line(kind) {
        let (code, output) = run(kind, &["--harakari", "5"]);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("harakari"), "{output}");
    }
}

#[test]
fn an_unknown_option_gets_a_suggestion() {
    let (code, output) = run(Kind::Uwgate, &["--harakari", "5"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("harakiri"), "{output}");
}

/// All of them at once, with file and line, and nothing is started.
#[test]
fn wrong_values_are_named_with_their_lines() {
    let dir = TempDir::new();
    let file = dir.write(
        "app.ini",
        "[uwsgi]\nhttp-socket = :0\nprocesses = many\nlisten = long\n",
    );
    let (code, output) = run(Kind::Uwgate, &["--ini", &file.display().to_string()]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("app.ini:3"), "{output}");
    assert!(output.contains("app.ini:4"), "{output}");
}

both! {
    fn a_missing_file(kind) {
        let (code, output) = run(kind, &["--ini", "/dev/null/app.ini"]);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("/dev/null/app.ini"), "{output}");
    }
}

both! {
    fn an_address_in_use(kind) {
        let address = Address::free_port();
        let Address::Tcp(tcp) = &address else { unreachable!("free_port gives TCP") };
        let _listener = std::net::TcpListener::bind(tcp).expect("is free");
        let app = paths::app("hello.py").display().to_string();
        let (code, output) = run(kind, &["--http-socket", &address.to_string(), "--wsgi-file", &app]);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("in use"), "{output}");
    }
}

both! {
    fn version(kind) {
        let (code, output) = run(kind, &["--version"]);
        assert_eq!(code, Some(0), "{output}");
        assert!(output.trim().ends_with(|c: char| c.is_ascii_digit()), "{output}");
    }
}

both! {
    fn help_lists_the_options(kind) {
        let (code, output) = run(kind, &["--help"]);
        assert_eq!(code, Some(0), "{output}");
        for option in ["--http-socket", "--processes", "--wsgi-file", "--module"] {
            assert!(output.contains(option), "{option} in {output}");
        }
    }
}

fn mode(path: &std::path::Path) -> u32 {
    let metadata = std::fs::metadata(path).expect("the socket is there");
    metadata.permissions().mode() & 0o777
}

both! {
    fn chmod_socket(kind) {
        for (value, expected) in [("660", 0o660), ("666", 0o666), ("600", 0o600)] {
            let server = Setup::app(kind, "hello.py").option("chmod-socket", value).start();
            assert_eq!(mode(&server.dir.join("uwsgi.sock")), expected, "{value}");
        }
    }
}

both! {
    fn vacuum_removes_the_socket(kind) {
        for (value, left) in [("true", false), ("false", true)] {
            let mut server = Setup::app(kind, "hello.py").option("vacuum", value).start();
            assert!(server.dir.join("uwsgi.sock").exists());
            let status = server.stop_with(rustix::process::Signal::INT);
            assert_eq!(status.code(), Some(0), "{status}");
            assert_eq!(server.dir.join("uwsgi.sock").exists(), left, "vacuum = {value}");
        }
    }
}

both! {
    /// What a crash left behind is no obstacle.
    fn a_stale_socket_is_replaced(kind) {
        let setup = Setup::app(kind, "hello.py");
        let path = setup.dir().join("uwsgi.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("can be bound"));
        assert!(path.exists());
        setup.start().get("/").expect(200);
    }
}

both! {
    fn uid_and_gid_are_given_up(kind) {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can give up being root");
            return;
        }
        let source = "import os\n\
            def application(environ, start_response):\n\
            \x20   start_response('200 OK', [])\n\
            \x20   return [b'%d %d' % (os.getuid(), os.getgid())]\n";
        let setup = Setup::source(kind, source).option("uid", "nobody").option("gid", "nogroup");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(setup.dir(), open).expect("it is ours");
        assert_eq!(setup.start().get("/").expect(200).text(), "65534 65534");
    }
}

both! {
    /// Whoever runs as the same user, such as a front end, can connect.
    fn sockets_belong_to_the_user_of_the_instance(kind) {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can give up being root");
            return;
        }
        let setup = Setup::app(kind, "hello.py").option("uid", "nobody").option("gid", "nogroup");
        let setup = setup.option("chmod-socket", "660");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(setup.dir(), open).expect("it is ours");
        let server = setup.start();
        let file = server.dir.join("uwsgi.sock").metadata().expect("it is there");
        assert_eq!((file.uid(), file.gid()), (65534, 65534));
    }
}

both! {
    /// The kernel would cut it without a word.
    fn a_queue_longer_than_the_system_allows_is_refused(kind) {
        let mut server = Setup::app(kind, "hello.py")
            .option("http-socket", Address::free_port())
            .option("listen", 1_000_000)
            .spawn();
        assert!(!server.process.wait().success());
        let log = server.log();
        assert!(log.contains("Listen queue size is greater than the system max net.core.somaxconn"), "{log}");
    }
}
