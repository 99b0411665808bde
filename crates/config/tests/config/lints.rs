//! `check`, `config` and `help` as a user meets them.

use std::process::ExitCode;

use crate::common::{Directory, Run};
use uwgate_config::cli;

type Command = fn(&[std::ffi::OsString], &mut dyn std::io::Write) -> std::io::Result<ExitCode>;

fn run(command: Command, arguments: &[&str]) -> (String, bool) {
    let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
    let mut out = Vec::new();
    let status = command(&arguments, &mut out).unwrap();
    let succeeded = format!("{status:?}") == format!("{:?}", ExitCode::SUCCESS);
    (String::from_utf8(out).unwrap(), succeeded)
}

/// Checks an ini file, and gives `line rule` for each finding.
fn rules_of(flags: &[&str], text: &str) -> (Vec<String>, bool) {
    let files = vec![("a.ini".into(), text.into())];
    let directory = Directory::new(&Run {
        files,
        ..Run::default()
    });
    let file = directory.0.join("a.ini");
    let arguments: Vec<_> = [&["--json"], flags, &["--ini", file.to_str().unwrap()]].concat();
    let (json, succeeded) = run(cli::check, &arguments);
    let findings: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rule = |finding: &serde_json::Value| {
        format!("{} {}", finding["line"], finding["rule"].as_str().unwrap())
    };
    (
        findings.as_array().unwrap().iter().map(rule).collect(),
        succeeded,
    )
}

#[track_caller]
fn assert_rules(text: &str, expected: &[&str]) {
    let (rules, _) = rules_of(&["--elsewhere"], &format!("[uwsgi]\n{text}"));
    assert_eq!(rules, expected, "{text}");
}

const GOOD: &str = "\
master = true
processes = 4
threads = 2
chdir = /
module = pkg.wsgi:application
socket = 127.0.0.1:3031
uid = nobody
gid = nogroup
vacuum = true
die-on-term = true
disable-logging = true
env = DJANGO_SETTINGS_MODULE=x.settings
buffer-size = 32768
";

#[test]
fn a_correct_file_raises_nothing() {
    let (rules, succeeded) = rules_of(
        &["--deny-warnings", "--elsewhere"],
        &format!("[uwsgi]\n{GOOD}"),
    );
    assert_eq!(rules, [""; 0]);
    assert!(succeeded);
}

/// Line 15 is the first behind the good ones.
#[test]
fn each_lint_speaks_of_its_line() {
    for (line, rule) in [
        ("harakari = 3", "unknown-option"),
        ("harakiri = soon", "bad-value"),
        ("mime-file = /x", "option-without-effect"),
        ("harakiri-graceful-signal = 9", "bad-value"),
        ("emperor-broodlord = 2", "unsupported-option"),
        ("thunder-lock = true", "needless-option"),
        ("callable = app", "overridden"),
        ("logto = /tmp/x # log", "comment-in-value"),
        ("need-app = true ; x", "comment-in-value"),
        ("need-app = false ; x", "odd-value"),
        ("logto = \"/tmp/x\"", "quoted-value"),
        ("logto = true", "word-as-name"),
        ("logto = ~/x", "shell-syntax"),
        ("logto = ${HOME}/x", "shell-syntax"),
        ("logto = $(NO_SUCH_VARIABLE)", "unset-variable"),
        ("logto = %(nothing)", "undefined-placeholder"),
        ("listen = 5 ; %(x)", "reference-too-early"),
        ("logto = /tmp/%Y", "lost-percent-sign"),
        ("; 100%\nx-y-z = 1", "lost-percent-sign"),
        ("chmod-socket = 660", "needs-another"),
        ("manage-script-name = true", "needs-another"),
        ("catch-exceptions = true", "exposes-source"),
        (
            "http-trust-forwarded = 0.0.0.0/0\nhttp-socket = 127.0.0.1:0",
            "trusts-everyone",
        ),
        ("socket = :3031", "open-socket"),
        ("for = a b", "open-block"),
        ("max-vars = 64s", "odd-value"),
    ] {
        let (rules, _) = rules_of(&["--elsewhere"], &format!("[uwsgi]\n{GOOD}{line}\n"));
        assert!(rules.contains(&format!("15 {rule}")), "{line}: {rules:?}");
    }
}

#[test]
fn values_that_cancel_each_other() {
    assert_rules(
        "module = a:b\nsocket = x\nprocesses = 2\nworkers = 3\nworkers = 3\n",
        &["4 overridden", "5 overridden"],
    );
    // A value that placeholders ask for has done its work.
    assert_rules(
        "module = a:b\nsocket = x\nhome = /r\nchdir = %(home)\nvenv = /r/v\n",
        &[],
    );
    // A section that overrides what it includes is meant to do so.
    assert_rules(
        "ini = :base\nprocesses = 2\n[base]\nmodule = a:b\nsocket = x\nprocesses = 1\n",
        &[],
    );
}

#[test]
fn privileges_that_are_kept() {
    assert_rules(
        "module = a:b\nsocket = x\nuid = root\ngid = root\n",
        &["4 privileges"],
    );
    assert_rules("module = a:b\nsocket = x\nuid = 33\n", &["4 privileges"]);
    assert_rules("module = a:b\nsocket = x\ngid = 33\n", &["4 privileges"]);
}

#[test]
fn a_positional_file_beats_the_options_before_it() {
    let files = vec![(
        "a.ini".into(),
        "[uwsgi]\nprocesses = 2\nlogto = /%N\n".into(),
    )];
    let directory = Directory::new(&Run {
        files,
        ..Run::default()
    });
    let file = directory.0.join("a.ini");
    let (text, _) = run(
        cli::check,
        &["--elsewhere", "--processes", "4", file.to_str().unwrap()],
    );
    assert!(text.contains("no effect: `processes = 2`"), "{text}");
    assert!(text.contains("`%N` is empty"), "{text}");
}

#[test]
fn what_this_machine_does_not_have() {
    let text = "[uwsgi]\nchdir = /no/such\nuid = no-such-user\ngid = no-such-group\nsocket = /no/such/x\nmodule = a:b\nlisten = 100000000\n";
    let expected = [
        "2 missing-path",
        "3 unknown-account",
        "4 unknown-account",
        "7 backlog",
    ];
    assert_eq!(rules_of(&[], text).0, expected);
    let text = "[uwsgi]\nchdir = /\nwsgi-file = no/such.py\nhome = /no/venv\nsocket = /no/such/x\n";
    assert_eq!(
        rules_of(&[], text).0,
        ["3 missing-path", "4 missing-path", "5 missing-path"]
    );
}

#[test]
fn an_open_door_is_a_warning_only_where_everyone_can_pass() {
    let text = "[uwsgi]\nmodule = a:b\nsocket = /tmp/x.sock\nchmod-socket = 666\n";
    assert_eq!(rules_of(&["--elsewhere"], text).0, ["4 open-socket"]);
    assert_eq!(
        rules_of(&["--elsewhere"], &text.replace("666", "660")).0,
        [""; 0]
    );
}

#[test]
fn a_finding_shows_its_line_and_points_at_the_value() {
    let files = vec![("a.ini".into(), "[uwsgi]\n  harakiri  =  soon\n".into())];
    let directory = Directory::new(&Run {
        files,
        ..Run::default()
    });
    let file = directory.0.join("a.ini");
    let (text, succeeded) = run(cli::check, &["--color=never", file.to_str().unwrap()]);
    assert!(!succeeded);
    let lines: Vec<_> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains("error[bad-value]"))
        .expect(&text);
    assert!(
        lines[at].ends_with("expected a number of seconds"),
        "{text}"
    );
    assert!(lines[at + 1].ends_with("a.ini:2:16"), "{text}");
    let (source, caret) = (lines[at + 3], lines[at + 4]);
    assert_eq!(source.find("soon"), caret.find("^^^^"), "{text}");
}

#[test]
fn check_needs_something_to_check() {
    let (text, succeeded) = run(cli::check, &["--json"]);
    assert!(text.starts_with("usage: uwgate check"));
    assert!(!succeeded);
}

#[test]
fn commands_are_not_run_by_check() {
    let directory = Directory::new(&Run::default());
    let (file, trace) = (directory.0.join("a.ini"), directory.0.join("trace"));
    let text = format!("[uwsgi]\nlogto = @(exec://touch {})\n", trace.display());
    std::fs::write(&file, text).unwrap();
    run(cli::check, &[file.to_str().unwrap()]);
    assert!(!trace.exists());
}

#[test]
fn the_effective_configuration_gives_the_same_again() {
    let text = "[uwsgi]\nn = 5\nini = :b\nset = threads=2\nfor = A B\nenv = %(_)=%(n)%%\nendfor =\n\
                processes = 1\nlogto = a: #b\n[b]\nprocesses = 9\nharakiri = 3\n";
    let files = vec![("a.ini".into(), text.into())];
    let directory = Directory::new(&Run {
        files,
        ..Run::default()
    });
    let file = directory.0.join("a.ini");
    let (ini, _) = run(cli::config, &[file.to_str().unwrap()]);
    let (yaml, _) = run(cli::config, &["--as-yaml", file.to_str().unwrap()]);
    assert!(ini.contains("a.ini:8\nprocesses = 1\n"), "{ini}");
    assert!(yaml.contains("processes: \"1\"  # "), "{yaml}");
    let expected = [
        "env = A=5%",
        "env = B=5%",
        "harakiri = 3",
        "logto = a: #b",
        "n = 5",
        "processes = 1",
        "threads = 2",
    ];
    for (name, text) in [("e.ini", ini), ("e.yaml", yaml)] {
        let run = Run {
            files: vec![(name.into(), text)],
            arguments: vec![name.into()],
            ..Run::default()
        };
        let mut list = crate::common::ours(&run).unwrap();
        list.sort();
        assert_eq!(list, expected, "{name}");
    }
}

#[test]
fn help_is_made_from_the_table() {
    let (text, succeeded) = run(cli::help, &[]);
    assert!(
        succeeded && text.contains("--processes PROCESSES"),
        "{text}"
    );
    let (text, _) = run(cli::help, &["workers"]);
    assert!(
        text.starts_with("workers = PROCESSES\n  aliases    processes\n  short      -p\n"),
        "{text}"
    );
    let (text, _) = run(cli::help, &["--reload-on-fd"]);
    assert!(text.contains("Here: no effect; "), "{text}");
    let (text, succeeded) = run(cli::help, &["procesess"]);
    assert_eq!(
        text,
        "There is no option `procesess`. Did you mean `processes`?\n"
    );
    assert!(!succeeded);
}

#[test]
fn help_has_a_word_for_every_option() {
    for name in uwgate_config::table::all().flat_map(uwgate_config::table::Row::names) {
        let (text, succeeded) = run(cli::help, &[name]);
        assert!(succeeded && text.lines().count() > 2, "{name}: {text}");
    }
}
