//! Files that would keep a careless reader busy for ever, or fill the memory.

use crate::common::{Directory, Run};
use uwgate_config::{Finding, Options, list_in};

fn failure(files: &[(&str, &str)], arguments: &[&str]) -> Vec<Finding> {
    let run = Run {
        files: files
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()))
            .collect(),
        ..Run::default()
    };
    let directory = Directory::new(&run);
    let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
    // The list itself may be too long to be printed.
    match list_in(&directory.0, &arguments, std::iter::empty()) {
        Ok(list) => panic!("a list of {} entries", list.len()),
        Err(findings) => findings,
    }
}

#[track_caller]
fn assert_says(findings: &[Finding], expected: &str) {
    let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|text| text.contains(expected)), "{said:#?}");
}

#[test]
fn a_file_that_includes_itself() {
    let findings = failure(&[("a.ini", "[uwsgi]\nini = a.ini\n")], &["a.ini"]);
    assert_says(
        &findings,
        "a.ini:2: ini = a.ini: this file is being read already",
    );
}

#[test]
fn two_files_that_include_each_other() {
    let files = [
        ("a.ini", "[uwsgi]\nini = b.ini\n"),
        ("b.ini", "[uwsgi]\ninclude = a.ini\n"),
    ];
    assert_says(
        &failure(&files, &["--ini", "a.ini"]),
        "b.ini:2: include = a.ini: this file is being read already",
    );
}

#[test]
fn a_section_that_includes_itself() {
    let findings = failure(
        &[("a.ini", "[uwsgi]\nini = :x\n[x]\nini = :x\n")],
        &["a.ini"],
    );
    assert_says(&findings, "this file is being read already");
}

#[test]
fn files_that_inherit_each_other() {
    let files = [
        ("a.ini", "[uwsgi]\ninherit = b.ini\n"),
        ("b.ini", "[uwsgi]\ninherit = b.ini\n"),
    ];
    assert_says(
        &failure(&files, &["a.ini"]),
        "more than 1000 files are included",
    );
}

#[test]
fn a_loop_that_includes_without_end() {
    let files = [
        (
            "a.ini",
            "[uwsgi]\nfor-times = 10000\nini = b.ini\nendfor =\n",
        ),
        ("b.ini", "[uwsgi]\nb = 1\n"),
    ];
    let findings = failure(&files, &["a.ini"]);
    assert_says(&findings, "more than 1000 files are included");
    assert!(findings.len() < 10, "{findings:#?}");
}

#[test]
fn a_set_in_a_set_without_end() {
    let text = format!("[uwsgi]\n{}x=1\n", "set=".repeat(1_000));
    assert_says(&failure(&[("a.ini", &text)], &["a.ini"]), "nested too deep");
}

#[test]
fn a_loop_without_end() {
    let findings = failure(
        &[(
            "a.ini",
            "[uwsgi]\nfor-times = 1000000000\nx = 1\nendfor =\n",
        )],
        &["a.ini"],
    );
    assert_says(&findings, "a block can be repeated 10000 times");
}

#[test]
fn loops_that_make_too_many_entries() {
    let text = format!(
        "[uwsgi]\nfor-times = 10000\n{}endfor =\n",
        "x = 1\n".repeat(20)
    );
    assert_says(
        &failure(&[("a.ini", &text)], &["a.ini"]),
        "at most 100000 entries",
    );
}

#[test]
fn loops_over_values_that_are_long_already() {
    let long = "x%(_)".repeat(100_000);
    for word in ["ab", &"y".repeat(10_000)] {
        let text = format!(
            "[uwsgi]\nfor = {}\nx = {long}\nendfor =\n",
            format!("{word} ").repeat(60)
        );
        assert_says(&failure(&[("a.ini", &text)], &["a.ini"]), "too much");
    }
}

#[test]
fn declared_options_that_multiply() {
    let template = "x$1=y$1;".repeat(10_000);
    let uses = "many = a\n".repeat(1_000);
    let text = format!("[uwsgi]\ndeclare-option = many={template}\n{uses}");
    let run = Run {
        files: vec![("a.ini".into(), text)],
        arguments: vec!["a.ini".into()],
        ..Run::default()
    };
    let entries = crate::common::entries(&run).unwrap();
    assert!(Options::from_entries(&entries).is_ok());
}

#[test]
fn a_placeholder_that_leads_back_to_itself() {
    let findings = failure(&[("a.ini", "[uwsgi]\nfoo = a%(foo)\n")], &["a.ini"]);
    assert_says(&findings, "a.ini:2: foo = ");
    assert_says(&findings, "%(...) in this value leads back to itself");
}

#[test]
fn values_that_double_and_double() {
    let mut text = String::from("[uwsgi]\nv0 = xxxxxxxxxx\n");
    for level in 1..60 {
        text += &format!("v{level} = x%(v{0})%(v{0})\n", level - 1);
    }
    let findings = failure(&[("a.ini", &text)], &["a.ini"]);
    assert!(findings.len() <= 60, "{}", findings.len());
}

#[test]
fn a_file_of_100_megabytes() {
    let directory = Directory::new(&Run::default());
    let file = std::fs::File::create(directory.0.join("a.ini")).unwrap();
    file.set_len(100 << 20).unwrap();
    let findings = list_in(&directory.0, &["a.ini".into()], std::iter::empty()).unwrap_err();
    assert_says(
        &findings,
        "a.ini: it is larger than 4 MiB: not a configuration",
    );
}

#[test]
fn a_device_without_end() {
    let findings = failure(&[], &["--ini", "/dev/zero"]);
    assert_says(&findings, "/dev/zero: it is larger than 4 MiB");
}

#[test]
fn a_pipe_that_nobody_writes_to() {
    let directory = Directory::new(&Run::default());
    let path = directory.0.join("a.ini");
    let status = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    let findings = list_in(&directory.0, &["a.ini".into()], std::iter::empty()).unwrap_err();
    assert_says(&findings, "it is not a regular file");
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_line() {
    let directory = Directory::new(&Run::default());
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.0.join(name), bytes).unwrap();
    write("nul.ini", b"[uwsgi]\na = 1\nb = 2\x003\n");
    write("latin.ini", b"[uwsgi]\n\na = caf\xe9\n");
    write("nul.yaml", &[0; 5000]);
    for (name, expected) in [
        ("nul.ini", "nul.ini:3: there is a NUL byte in this line"),
        ("latin.ini", "latin.ini:3: this line is not UTF-8"),
        ("nul.yaml", "nul.yaml:1: there is a NUL byte in this line"),
    ] {
        let findings = list_in(&directory.0, &[name.into()], std::iter::empty()).unwrap_err();
        assert_says(&findings, expected);
    }
}

#[test]
fn arguments_and_variables_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"--env=\xff").to_owned();
    let directory = Directory::new(&Run::default());
    let variable = ("UWSGI_FOO".into(), odd.clone());
    let findings = list_in(&directory.0, &[odd], [variable].into_iter()).unwrap_err();
    assert_says(&findings, "command line: this argument is not UTF-8");
    assert_says(&findings, "environment UWSGI_FOO: its value is not UTF-8");
}

#[test]
fn yaml_that_refers_to_itself_without_end() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let reference = format!("*a{}, ", level - 1).repeat(9);
        text += &format!(
            "a{level}: &a{level} [{}]\n",
            reference.trim_end_matches(", ")
        );
    }
    text += "uwsgi:\n  a: 1\n  env: *a11\n";
    // Refused as YAML; read line by line the alias is only a text.
    let run = Run {
        files: vec![("a.yaml".into(), text)],
        arguments: vec!["--yaml".into(), "a.yaml".into()],
        ..Run::default()
    };
    assert_eq!(crate::common::ours(&run).unwrap().len(), 3);
}

#[test]
fn json_and_yaml_that_nest_without_end() {
    let blocks = format!("uwsgi:\n  {}x\n  y\n", "- ".repeat(1_000_000));
    assert!(!failure(&[("a.yaml", &blocks)], &["a.yaml"]).is_empty());
    let deep = "[".repeat(1_000_000);
    assert!(!failure(&[("a.json", &format!("{{\"uwsgi\": {deep}"))], &["a.json"]).is_empty());
    assert!(
        !failure(
            &[("a.yaml", &format!("uwsgi:\n  a: {deep}\n  - x\n"))],
            &["a.yaml"]
        )
        .is_empty()
    );
}

#[test]
fn schemes_that_are_not_here_are_refused_by_name() {
    for (name, says) in [
        ("http://localhost/x.ini", "http:// is not supported"),
        ("emperor://x.ini", "only a vassal can have it"),
    ] {
        let findings = failure(&[], &["--ini", name]);
        assert_says(&findings, says);
    }
}

#[test]
fn what_an_emperor_sends_is_read_as_a_file_of_that_name() {
    let load = |name: &str, sent: Result<&str, &str>| {
        let sent = sent.map(|text| text.as_bytes().to_vec());
        let args = ["--ini".into(), format!("emperor://{name}").into()];
        uwgate_config::load_sent(&args, std::iter::empty(), sent.map_err(str::to_owned))
    };
    let loaded = load("shop.ini", Ok("[uwsgi]\nprocname = %n\nprocesses = 3\n")).expect("good");
    assert_eq!(loaded.options.workers.processes, 3);
    let name = loaded.entries.iter().find(|entry| entry.key == "procname");
    assert_eq!(name.and_then(|it| it.value.as_deref()), Some("shop"));
    let findings = load("shop.ini", Ok("[uwsgi]\n\nprocesses = many\n")).expect_err("bad");
    assert_says(&findings, "emperor://shop.ini:3");
    let findings = load("shop.ini", Err("it is silent")).expect_err("nothing");
    assert_says(&findings, "it is silent");
}
