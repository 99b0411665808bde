//! What vassals may have and use: attributes, limits, control groups, namespaces, capabilities. Where the kernel does
//! not let this test's user have something, the emperor says so, and that is what is tested.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Says on standard error why a test shows nothing here.
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("only root may do this");
    }
    root
}

fn status_of(pid: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1))
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn attributes_are_read_from_every_language_and_shown() {
    let realm = Realm::ours();
    let stats = realm.dir.join("stats.sock");
    let emperor = realm
        .option("emperor-collect-attr", "plan")
        .option("emperor-stats", stats.display())
        .start();
    let text = emperor.config("a.ini", "1");
    emperor.put(
        "a.ini",
        &format!("[emperor]\nplan = big\nother = x\n{text}"),
    );
    let yaml = emperor.config("b.yaml", "1");
    let yaml = yaml.replace("[uwsgi]", "uwsgi:").replace(" = ", ": ");
    let yaml = yaml.replace('\n', "\n  ");
    emperor.put(
        "b.yaml",
        &format!("emperor:\n  plan: small\n{}\n", yaml.trim_end()),
    );
    emperor.wait_for_version("a.ini", "1");
    emperor.wait_for_version("b.yaml", "1");
    let attributes = |name: &str| emperor.status(name)["attributes"].to_string();
    assert_eq!(attributes("a.ini"), r#"[["plan","big"]]"#);
    assert_eq!(attributes("b.yaml"), r#"[["plan","small"]]"#);
    let page = crate::support::Client::connect(&Address::Unix(stats)).rest();
    let page: serde_json::Value = serde_json::from_slice(&page).expect("JSON");
    assert_eq!(page["vassals"][0]["attrs"]["plan"], "big");
    // Another value is another vassal: it is started anew.
    let before = emperor.pid("a.ini");
    emperor.put("a.ini", &format!("[emperor]\nplan = huge\n{text}"));
    until_true("a new process", || {
        emperor.status("a.ini")["pid"]
            .as_u64()
            .is_some_and(|pid| pid != u64::from(before))
    });
    assert_eq!(attributes("a.ini"), r#"[["plan","huge"]]"#);
}

#[test]
fn attributes_choose_program_and_directory() {
    let realm = Realm::ours();
    fs::create_dir(realm.dir.join("elsewhere")).unwrap();
    let emperor = realm
        .option("emperor-wrapper-attr", "program")
        .option("emperor-chdir-attr", "where")
        .start();
    let elsewhere = emperor.dir.join("elsewhere");
    let text = emperor.config("a.ini", "1");
    emperor.put(
        "a.ini",
        &format!("[emperor]\nwhere = {}\n{text}", elsewhere.display()),
    );
    emperor.wait_for_version("a.ini", "1");
    let cwd = fs::read_link(format!("/proc/{}/cwd", emperor.pid("a.ini"))).unwrap();
    assert_eq!(cwd, fs::canonicalize(elsewhere).unwrap());
    emperor.put("b.ini", &format!("[emperor]\nprogram = /no/such\n{text}"));
    emperor.wait_for_log("cannot run /no/such");
}

#[test]
fn limits_hold_from_the_first_instruction() {
    let emperor = Realm::ours()
        .option("vassal-limit", "nofile:200")
        .option("vassal-limit", "core:0")
        .option("emperor-limit-attr", "limit")
        .start();
    emperor.add("a.ini", "1");
    let text = emperor.config("b.ini", "1");
    emperor.put("b.ini", &format!("[emperor]\nlimit = nofile:150\n{text}"));
    emperor.wait_for_version("a.ini", "1");
    emperor.wait_for_version("b.ini", "1");
    for (name, expected) in [("a.ini", "200"), ("b.ini", "150")] {
        let limits = fs::read_to_string(format!("/proc/{}/limits", emperor.pid(name))).unwrap();
        let files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let words: Vec<&str> = files.unwrap().split_whitespace().collect();
        assert_eq!(words[3..5], [expected, expected], "{name}");
        let shown = emperor.status(name)["limits"].to_string();
        assert!(shown.contains(&format!("nofile:{expected}")), "{shown}");
        assert!(shown.contains("core:0"), "{shown}");
    }
    let sheet = String::from_utf8(emperor.ctl(&["status", "b.ini"]).stdout).unwrap();
    assert!(sheet.contains("limits  core:0, nofile:150\n"), "{sheet}");
}

#[test]
fn a_vassals_wrong_limit_is_its_reason() {
    let emperor = Realm::ours().option("emperor-limit-attr", "limit").start();
    let text = emperor.config("a.ini", "1");
    emperor.put("a.ini", &format!("[emperor]\nlimit = memory:1\n{text}"));
    emperor.wait_for_state("a.ini", "cursed");
    let reason = emperor.status("a.ini")["reason"].to_string();
    assert!(
        reason.contains("[emperor] limit = memory:1: there is no limit `memory`"),
        "{reason}"
    );
    emperor.add("a.ini", "2");
    emperor.wait_for_version("a.ini", "2");
}

/// A hierarchy in which this test may make groups, with a file that limits processes if there is one.
struct Hierarchy {
    root: PathBuf,
    pids: bool,
}

impl Hierarchy {
    fn find(name: &str) -> Option<Self> {
        let roots = [
            ("/sys/fs/cgroup", "pids.max"),
            ("/sys/fs/cgroup/pids", "pids.max"),
            ("/sys/fs/cgroup/unified", ""),
        ];
        roots.into_iter().find_map(|(root, file)| {
            if !Path::new(root).join("cgroup.procs").exists() {
                return None;
            }
            let name = format!("uwgate-test-{name}-{}", std::process::id());
            let root = Path::new(root).join(name);
            fs::create_dir(&root).ok()?;
            // In a tree that does not hand controllers down nothing can be limited.
            let probe = root.join("probe");
            fs::create_dir(&probe).ok()?;
            let _ = fs::write(root.join("cgroup.subtree_control"), "+pids");
            let pids = !file.is_empty() && fs::write(probe.join(file), "50").is_ok();
            let _ = fs::remove_dir(probe);
            Some(Self { root, pids })
        })
    }

    fn members(&self, vassal: &str) -> Vec<u32> {
        let text = fs::read_to_string(self.root.join(vassal).join("cgroup.procs"));
        let text = text.unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&self.root);
    }
}

#[test]
fn a_vassal_lives_in_its_control_group() {
    let Some(hierarchy) = Hierarchy::find("lives") else {
        return skip("no control groups can be made here");
    };
    let mut realm = Realm::ours().option("vassal-cgroup", hierarchy.root.display());
    if hierarchy.pids {
        realm = realm.option("vassal-cgroup-opt", "pids.max:77");
    }
    let emperor = realm.start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    let answer = emperor.ask("a.ini").unwrap();
    let worker: u32 = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let members = hierarchy.members("a.ini");
    // All of it: master, zygote and workers.
    assert!(members.contains(&emperor.pid("a.ini")), "{members:?}");
    assert!(members.contains(&worker), "{members:?}");
    assert!(!members.contains(&emperor.process.pid()), "{members:?}");
    let group = hierarchy.root.join("a.ini");
    assert_eq!(emperor.status("a.ini")["cgroup"], group.to_str().unwrap());
    if hierarchy.pids {
        assert_eq!(fs::read_to_string(group.join("pids.max")).unwrap(), "77\n");
    }
    fs::remove_file(emperor.file("a.ini")).unwrap();
    until_true("the group to be removed", || !group.exists());
}

#[test]
fn an_emperor_leaves_no_control_groups() {
    let Some(hierarchy) = Hierarchy::find("leaves") else {
        return skip("no control groups can be made here");
    };
    let mut emperor = Realm::ours()
        .option("vassal-cgroup", hierarchy.root.display())
        .start();
    emperor.add("a.ini", "1");
    emperor.wait_for_version("a.ini", "1");
    emperor.process.signal(rustix::process::Signal::QUIT);
    assert_eq!(emperor.process.wait().code(), Some(0));
    assert!(!hierarchy.root.join("a.ini").exists());
}

#[test]
fn a_vassal_without_its_control_group_does_not_start() {
    let dir = TempDir::new();
    let emperor = Realm::ours()
        .option("vassal-cgroup", dir.join("groups").display())
        .option("vassal-cgroup-opt", "memory.max:1G")
        .start();
    emperor.add("a.ini", "1");
    emperor.wait_for_state("a.ini", "cursed");
    let reason = emperor.status("a.ini")["reason"].to_string();
    assert!(
        reason.contains("there is no memory.max in the control group"),
        "{reason}"
    );
    assert!(emperor.socket("a.ini").connect().is_err());
}

#[test]
fn namespaces_are_a_vassals_own() {
    let emperor = Realm::ours()
        .option("emperor-use-clone", "pid,ipc,uts")
        .start();
    emperor.add("a.ini", "1");
    until_true("the vassal, or why there is none", || {
        emperor.ask("a.ini").is_some() || emperor.log().contains("emperor-use-clone = ")
    });
    if emperor.log().contains("emperor-use-clone = ") {
        let status = emperor.status("a.ini");
        assert_eq!(status["state"], "cursed");
        return skip(&status["reason"].to_string());
    }
    let pid = emperor.pid("a.ini");
    for kind in ["pid", "ipc", "uts", "mnt"] {
        let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{kind}")).unwrap();
        assert_ne!(of(&pid.to_string()), of("self"), "{kind}");
    }
    let shown = emperor.status("a.ini")["namespaces"].to_string();
    assert_eq!(shown, r#"["fs","ipc","pid","uts"]"#);
    // Its processes are numbered on their own, and its /proc shows no others.
    let answer = emperor.ask("a.ini").unwrap();
    let worker: u32 = answer.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(worker < 30, "{answer}");
    emperor.add("a.ini", "2");
    emperor.wait_for_version("a.ini", "2");
    fs::remove_file(emperor.file("a.ini")).unwrap();
    emperor.wait_for_log("[emperor] removed uwsgi instance a.ini");
    let mut emperor = emperor;
    emperor.process.signal(rustix::process::Signal::TERM);
    assert_eq!(emperor.process.wait().code(), Some(0));
}

#[test]
fn vassals_have_the_capabilities_they_are_given_and_no_others() {
    use std::os::unix::fs::{PermissionsExt, chown};

    if !is_root() {
        return;
    }
    let realm = Realm::ours();
    fs::set_permissions(&**realm.dir, fs::Permissions::from_mode(0o777)).unwrap();
    let emperor = realm
        .option("vassal-cap", "net_bind_service")
        .flag("emperor-tyrant")
        .start();
    let text = emperor.config("a.ini", "1");
    let beside = emperor.dir.write("a.new", text);
    chown(&beside, Some(33), Some(33)).unwrap();
    fs::rename(beside, emperor.file("a.ini")).unwrap();
    emperor.wait_for_version("a.ini", "1");
    let pid = emperor.pid("a.ini");
    for set in ["CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(status_of(pid, set), "0000000000000400", "{set}");
    }
    assert_eq!(status_of(pid, "Uid:"), "33");
    assert_eq!(
        emperor.status("a.ini")["capabilities"].to_string(),
        r#"["net_bind_service"]"#
    );
}

#[test]
fn what_cannot_be_is_said_at_the_start_with_its_line() {
    for (line, says) in [
        (
            "vassal-cgroup-opt = pids.max:5",
            "vassals have no control groups",
        ),
        ("vassal-cap = fly", "there is no capability `fly`"),
        ("emperor-use-clone = moon", "there is no namespace `moon`"),
        ("vassal-limit = as", "expected NAME:VALUE"),
        ("emperor-broodlord = 3", "cannot be reinforced"),
        ("zerg = /run/z.sock", "cannot be reinforced"),
        (
            "emperor-proxy-socket = /run/p.sock",
            "the emperor cannot do this",
        ),
        (
            "emperor-command-socket = 127.0.0.1:9",
            "over the network anybody",
        ),
    ] {
        let realm = Realm::ours();
        let config = realm.dir.write("emperor.ini", format!("[uwsgi]\n{line}\n"));
        let mut emperor = realm.option("ini", config.display()).start();
        assert_eq!(emperor.process.wait().code(), Some(1), "{line}");
        let log = emperor.log();
        assert!(
            log.contains(says) && log.contains("emperor.ini:2"),
            "{line}: {log}"
        );
    }
}

/// It reaches its limit, not the machine's, and its neighbour does not notice.
#[test]
fn a_vassal_that_eats_memory_reaches_its_limit() {
    let emperor = Realm::ours().option("vassal-limit", "as:400M").start();
    let eats = "blocks = []\nwhile True:\n    blocks.append(bytearray(1 << 20))\n";
    let app = emperor.dir.write("eats.py", eats);
    emperor.add("good.ini", "1");
    let text = emperor.config("eats.ini", "1");
    let hello = emperor.dir.join("app.py").display().to_string();
    emperor.put(
        "eats.ini",
        &text.replace(&hello, &app.display().to_string()),
    );
    emperor.wait_for_version("good.ini", "1");
    emperor.wait_for_state("eats.ini", "cursed");
    let table = String::from_utf8(emperor.ctl(&["list"]).stdout).unwrap();
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("eats.ini").contains("MemoryError"), "{table}");
    assert!(line("good.ini").contains("running"), "{table}");
    emperor.wait_for_version("good.ini", "1");
}
