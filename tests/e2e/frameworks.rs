//! Real frameworks, as their users use them.

use std::process::Command;

use crate::both;
use crate::support::{Client, Kind, Nginx, Request, Response, Server, Setup, paths};

/// What all five apps answer alike.
fn common(server: &Server, name: &str, file: &str) {
    assert_eq!(
        server.get("/").expect(200).text(),
        format!("Hello from {name}")
    );

    let lines: String = (0..1_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let response = server.get("/stream").expect(200);
    assert_eq!(response.text(), lines);

    let body: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let request =
        Request::post("/body", body.clone()).header("Content-Type", "application/octet-stream");
    assert!(server.send(&request).expect(200).body == body);

    let source = std::fs::read(paths::app(file)).expect("the app is there");
    assert!(server.get("/download").expect(200).body == source);

    server.get("/nowhere").expect(404);
    let error = server.get("/error").expect(500);
    assert!(!error.text().contains("raised in a view"));
    let head = server.send(&Request::new("HEAD", "/")).expect(200);
    assert!(head.body.is_empty());
}

const BOUNDARY: &str = "----of-the-test";

/// A form with a text field and a file, as a browser sends it.
fn multipart(target: &str, fields: &[(&str, &str)], content: &[u8]) -> Request {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend(part.bytes());
    }
    let part = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a file.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.extend(part.bytes());
    body.extend(content);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    Request::post(target, body).header("Content-Type", kind)
}

/// Keeps cookies from answer to answer, as a browser does.
struct Browser<'server> {
    server: &'server Server,
    client: Client,
    cookies: Vec<(String, String)>,
}

impl<'server> Browser<'server> {
    fn new(server: &'server Server) -> Self {
        Self {
            server,
            client: server.client(),
            cookies: Vec::new(),
        }
    }

    fn send(&mut self, request: Request) -> Response {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let request = if cookies.is_empty() {
            request
        } else {
            request.header("Cookie", cookies.join("; "))
        };
        if self.server.kind == Kind::Uwsgi {
            // It closes after each response.
            self.client = self.server.client();
        }
        let response = self.client.send(&request);
        for line in response.header_values("Set-Cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie is name=value");
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        response
    }

    fn get(&mut self, target: &str) -> Response {
        self.send(Request::get(target))
    }
}

both! {
    fn bottle(kind) {
        let server = Setup::framework(kind, "bottle_app").start();
        common(&server, "Bottle", "bottle_app.py");
        let response = server.send(&multipart("/upload", &[], b"content")).expect(200);
        assert_eq!(response.text(), r#"{"name": "a file.bin", "size": 7}"#);
    }
}

both! {
    fn falcon(kind) {
        let server = Setup::framework(kind, "falcon_app").start();
        common(&server, "Falcon", "falcon_app.py");
        let request = Request::post("/json", r#"{"a":[1,2]}"#).header("Content-Type", "application/json");
        assert_eq!(server.send(&request).expect(200).text(), r#"{"a": [1, 2]}"#);
    }
}

/// Pyramid leaves exceptions to the server, which has to make the 500 of them.
#[test]
fn pyramid() {
    let server = Setup::framework(Kind::Uwgate, "pyramid_app").start();
    common(&server, "Pyramid", "pyramid_app.py");
}

both! {
    fn flask(kind) {
        let server = Setup::framework(kind, "flask_app:app").start();
        common(&server, "Flask", "flask_app.py");

        let form = Request::post("/form", "a=1&b=%C3%A9&a=2")
            .header("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(server.send(&form).expect(200).text().trim(), r#"{"a":["1","2"],"b":["\u00e9"]}"#);

        let content = "x".repeat(1_000_000);
        let upload = server.send(&multipart("/upload", &[], content.as_bytes())).expect(200);
        assert!(upload.text().contains("\"size\":1000000"), "{upload:?}");

        let mut browser = Browser::new(&server);
        for count in 1..4 {
            assert_eq!(browser.get("/session").expect(200).text(), count.to_string());
        }

        let url = server.get("/url?a=b%20c").expect(200);
        let expected = r#"{"args":{"a":"b c"},"remote":"127.0.0.1","root":"http://test.example/","url":"http://test.example/url?a=b+c"}"#;
        assert_eq!(url.text().trim().replace("%20", "+"), expected);
        assert_eq!(server.get("/away").expect(302).header("Location"), Some("/"));
    }
}

both! {
    /// A part of a file, made by werkzeug out of `wsgi.file_wrapper`.
    fn flask_serves_ranges(kind) {
        let server = Setup::framework(kind, "flask_app:app").start();
        let source = std::fs::read(paths::app("flask_app.py")).expect("the app is there");
        let response = server.send(&Request::get("/download").header("Range", "bytes=10-29"));
        assert_eq!(response.expect(206).body, source[10..30]);
    }
}

/// uWSGI leaves chunked bodies to the application, and Flask takes them for empty.
#[test]
fn flask_reads_a_chunked_body() {
    let server = Setup::framework(Kind::Uwgate, "flask_app:app").start();
    let mut client = server.client();
    client.write(
        "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nfirst\r\n8\r\n, second\r\n0\r\n\r\n",
    );
    assert_eq!(client.response("POST").expect(200).text(), "first, second");
}

/// The Django site, with a database of its own.
fn django(kind: Kind) -> Server {
    let setup = Setup::framework(kind, "django_site.wsgi").option("processes", 2);
    let database = setup.dir().join("db.sqlite").display().to_string();
    let status = Command::new(paths::venv().join("bin/python"))
        .args(["-m", "django_site.prepare"])
        .current_dir(paths::app(""))
        .env("DATABASE", &database)
        .status()
        .expect("the venv's Python runs");
    assert!(status.success());
    setup.env("DATABASE", &database).start()
}

both! {
    fn django_answers_and_streams(kind) {
        let server = django(kind);
        common(&server, "Django", "django_site/views.py");
        assert_eq!(server.get("/caf%C3%A9/%E2%98%83").expect(200).text(), "/café/\u{2603} \u{2603}");
    }
}

/// Logs into the admin, and does what only an administrator may.
fn admin_login(browser: &mut Browser) {
    let redirect = browser.get("/admin/").expect(302);
    let login = redirect
        .header("Location")
        .expect("has a target")
        .to_owned();
    let page = browser.get(&login).expect(200);
    let token = field(page.text(), "csrfmiddlewaretoken");
    let form = format!("csrfmiddlewaretoken={token}&username=root&password=secret&next=/admin/");
    let request =
        Request::post(&login, form).header("Content-Type", "application/x-www-form-urlencoded");
    let response = browser.send(request).expect(302);
    assert_eq!(response.header("Location"), Some("/admin/"));
    let page = browser.get("/admin/").expect(200);
    assert!(page.text().contains("Site administration"), "{page:?}");
    let users = browser.get("/admin/auth/user/").expect(200);
    assert!(users.text().contains("root@test.example"), "{users:?}");
}

/// The value of a hidden field of a form.
fn field<'page>(page: &'page str, name: &str) -> &'page str {
    page.split(&format!("name=\"{name}\" value=\""))
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| panic!("no field {name} in {page}"))
}

both! {
    fn django_admin_login(kind) {
        let server = django(kind);
        admin_login(&mut Browser::new(&server));
    }
}

both! {
    fn django_refuses_a_form_without_its_token(kind) {
        let server = django(kind);
        server.send(&multipart("/upload", &[("field", "value")], b"content")).expect(403);
    }
}

both! {
    /// A small file, kept in memory, and one that Django puts aside on disk.
    fn django_file_upload(kind) {
        let server = django(kind);
        let mut browser = Browser::new(&server);
        for size in [10, 3_000_000] {
            let token = browser.get("/upload").expect(200).text().to_owned();
            let fields = [("csrfmiddlewaretoken", token.as_str()), ("field", "a value")];
            let response = browser.send(multipart("/upload", &fields, &vec![b'x'; size])).expect(200);
            assert!(response.text().contains(&format!("\"size\": {size}")), "{response:?}");
            assert!(response.text().contains("\"name\": \"a file.bin\""), "{response:?}");
            assert!(response.text().contains("\"field\": \"a value\""), "{response:?}");
        }
    }
}

both! {
    /// Two workers, one database: a session survives whichever answers.
    fn django_session(kind) {
        let server = django(kind);
        let mut browser = Browser::new(&server);
        for count in 1..10 {
            assert_eq!(browser.get("/session").expect(200).text(), count.to_string());
        }
    }
}

both! {
    fn django_behind_nginx(kind) {
        let server = django(kind);
        let nginx = Nginx::before(&server.socket);
        assert_eq!(nginx.get("/").expect(200).text(), "Hello from Django");
        assert_eq!(nginx.get("/caf%C3%A9/a%20b").expect(200).text(), "/café/a b a b");
        let source = std::fs::read(paths::app("django_site/views.py")).expect("is there");
        assert!(nginx.get("/download").expect(200).body == source);
    }
}
