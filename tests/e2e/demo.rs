//! `uwgate` without arguments: the demo.

use crate::both;
use crate::support::process::Process;
use crate::support::wait::until;
use crate::support::{Address, Client, Kind, Request, Server, Setup, TempDir, paths};

fn demo(kind: Kind) -> Server {
    let app = paths::repository().join("demo/app.py");
    Setup::new(kind).option("wsgi-file", app.display()).start()
}

both! {
    fn the_page_shows_the_environ(kind) {
        let server = demo(kind);
        let request = Request::get("/a%20path?<script>").header("X-Mine", "<b>&\"'");
        let response = server.send(&request).expect(200);
        assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
        let page = response.text();
        assert!(page.contains("&#x27;/a path&#x27;"), "{page}");
        assert!(page.contains("HTTP_X_MINE"), "{page}");
        assert!(page.contains("wsgi.input"), "{page}");
        assert!(page.ends_with("</html>\n"), "{page}");
        // What a request brings is shown, not run.
        assert!(!page.contains("<script>"), "{page}");
        assert!(!page.contains("<b>&"), "{page}");
    }
}

both! {
    fn its_links_do_what_they_say(kind) {
        let server = demo(kind);
        let stream = server.get("/stream").expect(200);
        assert_eq!(stream.text().lines().count(), 12, "{stream:?}");
        let form = Request::post("/echo", "text=caf%C3%A9+%26")
            .header("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(server.send(&form).expect(200).text(), "café &\n");
        server.raw_http(Request::get("/error").header("Connection", "close").bytes());
        server.wait_for_log("this is the demo's /error");
    }
}

/// It takes port 8080, so it can only be tried where that is free.
#[test]
fn no_arguments_serve_it_on_port_8080() {
    let address = Address::Tcp(([127, 0, 0, 1], 8080).into());
    if address.connect().is_ok() {
        eprintln!("SKIPPED: somebody listens on port 8080");
        return;
    }
    let dir = TempDir::new();
    let mut command = Kind::Uwgate.command();
    command.current_dir(&*dir).env("TMPDIR", &*dir);
    let mut process = Process::start(command, &dir.join("output"));
    until("the demo to listen", || {
        assert!(
            process.try_wait().is_none(),
            "ended at once: {}",
            process.log()
        );
        address.connect().ok()
    });
    let page = Client::connect(&address)
        .send(&Request::get("/"))
        .expect(200);
    assert!(page.text().contains("<h1>uwgate</h1>"), "{page:?}");
    assert!(
        process.log().contains("http://127.0.0.1:8080"),
        "{}",
        process.log()
    );
    process.signal(rustix::process::Signal::INT);
    assert_eq!(process.wait().code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(&*dir)
        .expect("is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != "output")
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
