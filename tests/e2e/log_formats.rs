//! What request lines say: `log-format`, the exceptions of `disable-logging`, `log-json`.

use crate::both;
use crate::support::{Kind, Packet, Request, Setup};

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

both! {
    fn values_of_the_request(kind) {
        let setup = Setup::app(kind, "responses.py").option(
            "log-format",
            "line %(method) %(uri) %(addr) %(user) %(host) %(proto) %(uagent) %(referer) %(status) %(rsize) %(hsize) \
             %(size) %(cl) %(wid) %(core) %(vars) %(pktsize) %(modifier1) %(modifier2) %(headers) %(werr) %(rerr) \
             %(ioerr) %(var.HTTP_X_THING) %(var.NONE) %(unset)",
        );
        let server = setup.start();
        let packet = Packet::get("/with-length?a=b")
            .with("REMOTE_USER", "alice")
            .with("HTTP_HOST", "example.org")
            .with("HTTP_USER_AGENT", "tester/1")
            .with("HTTP_REFERER", "http://elsewhere/")
            .with("HTTP_X_THING", "some thing");
        server.uwsgi(&packet).expect(200);
        let (count, size) = (packet.vars.len() * 2, packet.head().len() - 4);
        server.wait_for_log(&format!(
            "line GET /with-length?a=b 192.0.2.7 alice example.org HTTP/1.1 tester/1 http://elsewhere/ 200 11 65 \
             76 0 1 0 {count} {size} 0 0 2 0 0 0 some thing - -\n"
        ));
    }
}

both! {
    fn values_that_are_not_there(kind) {
        let server = Setup::app(kind, "hello.py")
            .option("log-format", "line %(user)|%(uagent)|%(referer)|%(var.NONE)|%(unset)|%(var.EMPTY)|end")
            .start();
        let packet = Packet::get("/").with("REMOTE_USER", "").with("EMPTY", "");
        server.uwsgi(&packet.without("HTTP_USER_AGENT")).expect(200);
        let line = server.wait_for_line("the line", |line| line.starts_with("line "));
        assert_eq!(line, "line -|-|-|-|-|-|end");
    }
}

both! {
    fn times_of_the_request(kind) {
        let server = Setup::app(kind, "hello.py")
            .option("log-format", "line|%(time)|%(tmsecs)|%(tmicros)|%(ltime)|%(ctime)|%(epoch)|%(micros)|%(msecs)|%(secs)")
            .start();
        server.uwsgi(&Packet::get("/")).expect(200);
        let line = server.wait_for_line("the line", |line| line.starts_with("line|"));
        let parts: Vec<&str> = line.split('|').collect();
        let [_, time, tmsecs, tmicros, ltime, ctime, epoch, micros, msecs, secs] = parts[..] else {
            panic!("{line}");
        };
        assert_eq!(tmsecs[..10], *time);
        assert_eq!(tmicros[..13], *tmsecs);
        assert_eq!((ltime.len(), &ltime[20..]), (26, " +0000"), "{line}");
        assert_eq!(ctime.len(), 24, "{line}");
        // uWSGI asks two clocks.
        assert!(epoch.parse::<u64>().unwrap() + 1 >= time.parse::<u64>().unwrap());
        let number = |text: &str| text.parse::<f64>().unwrap();
        assert_eq!(number(secs), number(micros) / 1e6, "{line}");
        assert_eq!(number(msecs), (number(micros) / 1e3).floor(), "{line}");
    }
}

both! {
    fn the_time_in_the_form_of_log_date(kind) {
        let server = Setup::app(kind, "hello.py")
            .option("log-date", "%%Y~%%m")
            .option("log-format-strftime", "true")
            .option("log-format", "line %(ftime)")
            .start();
        server.uwsgi(&Packet::get("/")).expect(200);
        let line = server.wait_for_line("the line", |line| line.starts_with("line "));
        assert!(line.len() == "line 2026~11".len() && line.contains('~'), "{line}");
        let own = server.wait_for_line("the server's line", |line| line.contains("spawned uWSGI master"));
        assert_eq!(own[4..5], *"~");
        assert_eq!(own[7..10], *" - ");
    }
}

both! {
    fn a_variable_of_the_application(kind) {
        let server = Setup::app(kind, "prints.py")
            .option("log-format", "line %(uri) [%(tenant)] [%(nothing)]")
            .start();
        server.uwsgi(&Packet::get("/logvar")).expect(200);
        server.wait_for_log("line /logvar [seven \"7\"] [-]");
        server.uwsgi(&Packet::get("/next")).expect(200);
        server.wait_for_log("line /next [-] [-]");
    }
}

both! {
    fn variants_of_the_default_line(kind) {
        let server = Setup::app(kind, "hello.py")
            .option("log-micros", "true")
            .option("memory-report", "true")
            .option("log-x-forwarded-for", "true")
            .start();
        let packet = Packet::get("/").with("HTTP_X_FORWARDED_FOR", "9.9.9.9, 8.8.8.8");
        server.uwsgi(&packet).expect(200);
        let line = server.wait_for_line("the line", |line| line.contains("=> generated"));
        assert!(line.starts_with("{address space usage: "), "{line}");
        assert!(line.contains("MB} {rss usage: ") && line.contains("MB} [pid: "), "{line}");
        assert!(line.contains("] 9.9.9.9, 8.8.8.8 () {"), "{line}");
        assert!(line.contains(" micros (HTTP/1.1 200)"), "{line}");
    }
}

both! {
    fn exceptions_of_disable_logging(kind) {
        let server = Setup::app(kind, "faults.py")
            .option("disable-logging", "true")
            .option("log-5xx", "true")
            .option("log-zero", "true")
            .option("log-big", "30")
            .start();
        for path in ["/print-something", "/raise-at-call", "/last"] {
            server.raw_uwsgi(Packet::get(path).bytes());
        }
        server.wait_for_log("GET /raise-at-call =>");
        let log = server.log();
        assert!(!log.contains("GET /print-something =>"), "{log}");
    }
}

/// uWSGI writes what clients send as it is, so a quote ends the string it stands in.
#[test]
fn hand_made_json_stays_json() {
    let server = Setup::app(Kind::Uwgate, "hello.py")
        .option(
            "log-format",
            r#"{"uri": "%(uri)", "by": "%(user) with %(uagent)", "status": %(status), "x": %(var.HTTP_X), "none": %(none)}"#,
        )
        .start();
    let packet = Packet::get("/")
        .with("REQUEST_URI", "/\"},{\"\\\n\u{1b}[2J")
        .with("REMOTE_USER", "eve\"\r\n")
        .with("HTTP_USER_AGENT", b"\xff\xfe\"")
        .with("HTTP_X", "12");
    server.uwsgi(&packet).expect(200);
    let line = server.wait_for_line("the line", |line| line.starts_with("{\"uri\""));
    let value = json(&line);
    assert_eq!(value["uri"], "/\"},{\"\\\n\u{1b}[2J");
    assert_eq!(value["by"], "eve\"\r\n with \u{ff}\u{fe}\"");
    assert_eq!((&value["status"], &value["x"]), (&200.into(), &12.into()));
    assert_eq!(value["none"], serde_json::Value::Null);
}

#[test]
fn a_quote_does_not_end_a_quoted_value() {
    let server = Setup::app(Kind::Uwgate, "hello.py")
        .option(
            "log-format",
            r#"%(addr) "%(method) %(uri)" "%(uagent)" end"#,
        )
        .start();
    let packet = Packet::get("/").with("HTTP_USER_AGENT", r#"a" "b\"#);
    server.uwsgi(&packet).expect(200);
    server.wait_for_log(r#"192.0.2.7 "GET /" "a\" \"b\\" end"#);
}

#[test]
fn with_log_json_every_line_is_an_object() {
    let server = Setup::app(Kind::Uwgate, "prints.py")
        .option("log-json", "true")
        .option("log-master", "true")
        .start();
    for path in ["/hello", "/record", "/child", "/raw"] {
        let request = Request::get(path).header("User-Agent", "a \"b\"");
        server.send(&request).expect(200);
    }
    server.wait_for_log("\"uri\":\"/raw\"");
    server.wait_for_log("\"spawned uWSGI worker 1");
    let log = server.log();
    let lines: Vec<_> = log.lines().map(json).collect();
    let find = |key: &str, value: &str| {
        lines
            .iter()
            .find(|line| line[key] == value)
            .unwrap_or_else(|| panic!("no {key} is {value} in {log}"))
    };
    let request = find("uri", "/hello");
    assert_eq!(request["type"], "request");
    assert_eq!(request["status"], 200);
    assert_eq!(request["user_agent"], "a \"b\"");
    assert_eq!(request["user"], serde_json::Value::Null);
    assert_eq!(find("message", "to stdout")["stream"], "stdout");
    assert_eq!(find("message", "to stderr")["stream"], "stderr");
    // One record of several lines is one object.
    assert_eq!(
        find("message", "Traceback:\n  here\n  there")["type"],
        "app"
    );
    find("message", "from a child");
    find("message", "written raw");
    let spawned = lines.iter().find(|line| {
        let message = line["message"].as_str();
        message.is_some_and(|message| message.starts_with("spawned uWSGI worker 1"))
    });
    let spawned = spawned.expect("the server's lines are objects");
    assert_eq!(
        (&spawned["type"], &spawned["level"]),
        (&"server".into(), &"info".into())
    );
    for line in &lines {
        let time = line["time"].as_str().expect("each line has a time");
        assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
    }
}

#[test]
fn a_misspelt_name_is_told_at_the_start() {
    let server = Setup::app(Kind::Uwgate, "hello.py")
        .option("log-format", "%(methd)")
        .start();
    server.wait_for_log("did you mean %(method)?");
}
