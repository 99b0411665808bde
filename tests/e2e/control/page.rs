//! docs/control.md shows the claims.

use std::fmt::Write as _;
use std::fs;

use super::claims::{Claim, FIFO, SIGNALS, Stimulus};
use super::commands;
use crate::support::paths;

fn name(claim: &Claim) -> (String, &'static str) {
    let signal = |signal: rustix::process::Signal| {
        let name = format!("{signal:?}");
        let name = name.trim_matches('"').trim_start_matches("Signal::");
        format!("SIG{}", if name == "ALARM" { "ALRM" } else { name })
    };
    match claim.send {
        Stimulus::ToMaster(it) => (signal(it), "master"),
        Stimulus::ToWorker(it) => (signal(it), "worker"),
        Stimulus::Alone(it) => (signal(it), "instance without master"),
        Stimulus::Fifo('\n') => ("newline".into(), "FIFO"),
        Stimulus::Fifo(letter) => (format!("`{letter}`"), "FIFO"),
    }
}

fn signals() -> String {
    let mut table = "| signal | to | uWSGI | uwgate | |\n|---|---|---|---|---|\n".to_owned();
    for claim in SIGNALS {
        let (what, mut whom) = name(claim);
        let with;
        if let Some((option, _)) = claim.option {
            with = format!("{whom}, `{option}`");
            whom = &with;
        }
        let (theirs, ours) = (claim.uwsgi.sentence(), claim.uwgate.sentence());
        let remark = claim.remark;
        writeln!(table, "| {what} | {whom} | {theirs} | {ours} | {remark} |").expect("is a string");
    }
    table
}

fn fifo() -> String {
    let mut table = "| byte | uWSGI | uwgate | |\n|---|---|---|---|\n".to_owned();
    for claim in FIFO {
        let (what, _) = name(claim);
        let (theirs, ours) = (claim.uwsgi.sentence(), claim.uwgate.sentence());
        let remark = claim.remark;
        writeln!(table, "| {what} | {theirs} | {ours} | {remark} |").expect("is a string");
    }
    table
}

/// `text` with what stands between the markers of `part` replaced.
fn replaced(text: &str, part: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {part} -->\n"),
        format!("<!-- end of {part} -->"),
    );
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}{table}{end}{after}")
}

#[test]
fn the_page_shows_the_claims_that_are_tested() {
    let path = paths::repository().join("docs/control.md");
    let page = fs::read_to_string(&path).expect("docs/control.md is there");
    let tables = [
        ("signals", signals()),
        ("FIFO commands", fifo()),
        ("commands", commands::table()),
    ];
    let made = tables.iter().fold(page.clone(), |page, (part, table)| {
        replaced(&page, part, table)
    });
    if std::env::var_os("UWGATE_RECORD").is_some() {
        fs::write(&path, &made).expect("can be written");
        return;
    }
    assert!(
        page == made,
        "docs/control.md is not up to date: run this test once with UWGATE_RECORD=1"
    );
}
