//! What is shown of a vassal.

use std::path::PathBuf;
use std::time::Duration;

use uwgate_ctl::protocol::{self, Deed};
use uwgate_supervisor::Millis;
use uwgate_sys::process::{self, Pid};

use crate::reconcile::{Standing, State, Vassal};
use crate::snapshot::moment;
use crate::spec::{ConfigFrom, Name, VassalSpec};
use crate::vassal::Confinement;

/// A start that takes longer than this is worth a word.
const LONG_START: Duration = Duration::from_secs(10);

/// A vassal as an operator sees it, without its log.
pub(crate) fn view(name: &Name, vassal: &Vassal, source: &str, now: Millis) -> protocol::Vassal {
    let (spec, heard, state) = (vassal.spec(), vassal.heard(), state(vassal));
    let since = vassal.started().map(|(last, _)| last);
    let seconds = |at| Some(moment(at)).filter(|seconds| *seconds > 0);
    protocol::Vassal {
        name: name.to_string(),
        state,
        pid: vassal.pid().and_then(number),
        since: seconds(since),
        loyal: heard.loyal.is_some(),
        reason: reason(vassal, state, now),
        next_try: seconds(vassal.again_at()),
        respawns: vassal.respawns(),
        heartbeat: seconds(heard.heartbeat),
        source: source.to_owned(),
        config: config(spec),
        uid: spec.owner.map(|owner| owner.uid),
        gid: spec.owner.map(|owner| owner.gid),
        on_demand: spec.on_demand.clone(),
        rss: vassal.pid().and_then(rss),
        limits: Vec::new(),
        cgroup: None,
        namespaces: Vec::new(),
        capabilities: None,
        attributes: spec.attributes.clone(),
        log: Vec::new(),
    }
}

/// Adds its bounds, and what has come of them. `before`: what was killed for want of memory before its last start.
pub(crate) fn show_confinement(
    confinement: &Confinement,
    before: u64,
    shown: &mut protocol::Vassal,
) {
    shown.limits = confinement.shown_limits();
    shown.namespaces.clone_from(&confinement.namespaces);
    shown.capabilities.clone_from(&confinement.capabilities);
    let Some(group) = &confinement.group else {
        return;
    };
    shown.cgroup = Some(group.directory.clone());
    let kills = group.killed_for_memory().unwrap_or(0);
    if let kills @ 1.. = kills.saturating_sub(before) {
        let what = match kills {
            1 => "a process was".to_owned(),
            kills => format!("{kills} processes were"),
        };
        let why = format!("{what} killed for more memory than its control group allows");
        shown.reason = Some(match shown.reason.take() {
            Some(reason) => format!("{why}; {reason}"),
            None => why,
        });
    }
}

fn number(pid: Pid) -> Option<u32> {
    u32::try_from(pid.as_raw()).ok()
}

fn rss(pid: Pid) -> Option<u64> {
    process::memory(pid).ok().map(|memory| memory.rss)
}

fn config(spec: &VassalSpec) -> Option<PathBuf> {
    match &spec.config {
        ConfigFrom::File { path } | ConfigFrom::Output { path } => Some(spec.directory.join(path)),
        ConfigFrom::Bytes { .. } => None,
    }
}

fn state(vassal: &Vassal) -> protocol::State {
    match vassal.state() {
        State::Stopped => protocol::State::Stopped,
        State::OnDemand => protocol::State::OnDemand,
        State::Throttled if vassal.waits_longest() => protocol::State::Blacklisted,
        State::Throttled => protocol::State::Cursed,
        State::Starting => protocol::State::Starting,
        State::Running => protocol::State::Running,
        State::Reloading => protocol::State::Reloading,
        State::Stopping => protocol::State::Stopping,
    }
}

/// Why it is not as it should be. One that serves again is as it should be, whatever was before.
fn reason(vassal: &Vassal, state: protocol::State, now: Millis) -> Option<String> {
    use protocol::State::{Blacklisted, Cursed, Reloading, Running, Starting, Stopped, Stopping};

    let death = || vassal.death().map(|(death, _)| death.to_string());
    match (state, vassal.standing()) {
        _ if vassal.is_away() => {
            let away = "has outlived an emperor, and has not called this one yet";
            Some(away.to_owned())
        }
        (Stopped | Stopping, Standing::Held) => Some("stopped by an operator".to_owned()),
        (Stopped | Stopping, Standing::Exiled) => {
            let left = "it has left by itself; a change of its configuration starts it again";
            Some(left.to_owned())
        }
        (Cursed | Blacklisted, _) => death(),
        (Starting, _) if let Some(passed) = long_start(vassal, now) => {
            let seconds = passed.as_secs();
            Some(format!("has not said that it serves for {seconds} s"))
        }
        (Running | Reloading, _) if let Some(every) = vassal.reloads_at_most_every(now) => {
            let every = every.as_secs();
            Some(format!(
                "its configuration changes all the time: it reloads every {every} s only"
            ))
        }
        (Starting, _) if vassal.throttle().0 > 0 => death().map(|it| format!("it {it} before")),
        _ => None,
    }
}

/// How long it has been starting, when that is long: it may hang at import.
fn long_start(vassal: &Vassal, now: Millis) -> Option<Duration> {
    let (last, _) = vassal.started()?;
    let passed = now.since(last);
    (vassal.state() == State::Starting && vassal.pid().is_some() && passed >= LONG_START)
        .then_some(passed)
}

/// Of what a vassal has printed the line that belongs to the reason for its state.
pub(crate) fn telling_line<'a>(
    vassal: &Vassal,
    now: Millis,
    printed: &'a [String],
) -> Option<&'a str> {
    if long_start(vassal, now).is_some() {
        let mut lines = printed.iter().rev().map(|line| line.trim());
        return lines.find(|line| !line.is_empty());
    }
    vassal.death().and_then(|_| complaint(printed))
}

/// Of what a vassal has printed the line that says what went wrong, if one looks like that: the end of a traceback
/// before anything that came of it.
fn complaint(lines: &[String]) -> Option<&str> {
    const COMPLAINTS: [&str; 5] = ["Error", "Exception", "error", "cannot", "no such"];
    let complains = |line: &&String| COMPLAINTS.iter().any(|word| line.contains(word));
    let last = |fits: &dyn Fn(&&String) -> bool| lines.iter().rev().find(fits);
    let line = last(&|line| is_exception(line))
        .or_else(|| last(&|line| is_finding(line)))
        .or_else(|| last(&complains));
    line.map(|line| line.trim())
}

/// Whether it reads `package.SomeError: because`.
fn is_exception(line: &str) -> bool {
    let class = line.split_once(": ").map_or(line, |(class, _)| class);
    let is_name = class
        .chars()
        .all(|it| it.is_alphanumeric() || "._".contains(it));
    is_name
        && ["Error", "Exception"]
            .iter()
            .any(|end| class.ends_with(end))
}

/// Whether it reads `shop.ini:3: what is wrong there`.
fn is_finding(line: &str) -> bool {
    let mut parts = line.splitn(3, ':');
    let (file, number, rest) = (parts.next(), parts.next(), parts.next());
    file.is_some_and(|file| file.contains('.') && !file.contains(' '))
        && number.is_some_and(|number| number.parse::<u32>().is_ok())
        && rest.is_some_and(|rest| rest.starts_with(' '))
}

/// What happens to a vassal that an operator has spoken of.
pub(crate) fn deed(name: &Name, vassal: Option<&Vassal>) -> Deed {
    let done = match vassal.map(state) {
        None => "gone",
        Some(protocol::State::Starting) => "starts",
        Some(protocol::State::Running) => "runs",
        Some(protocol::State::Reloading) => "reloads",
        Some(protocol::State::Stopping) => "stops",
        Some(protocol::State::OnDemand) => "waits for a connection",
        Some(protocol::State::Cursed | protocol::State::Blacklisted) => "is held back",
        Some(protocol::State::Stopped) => "is stopped",
    };
    Deed {
        vassal: name.to_string(),
        done: done.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use uwgate_ctl::protocol;
    use uwgate_supervisor::{Exit, Millis, Pid};

    use super::{complaint, telling_line, view};
    use crate::reconcile::{Event, FromVassal, Realm, Settings};
    use crate::spec::{ConfigFrom, Name, Stamp, VassalSpec};

    /// One vassal, whose process was spawned at the time 1 s.
    struct Started {
        realm: Realm,
        name: Name,
    }

    const PID: i32 = 7;

    impl Started {
        fn new() -> Self {
            let name = Name::from("shop.ini");
            let spec = VassalSpec {
                name: name.clone(),
                config: ConfigFrom::File {
                    path: "shop.ini".into(),
                },
                stamp: Stamp::default(),
                owner: None,
                directory: "/v".into(),
                on_demand: None,
                attributes: Vec::new(),
            };
            let realm = Realm::new(Settings::default(), 1);
            let mut it = Self { realm, name };
            let set = vec![spec];
            it.tell(Event::Wanted { source: 0, set }, 1000);
            it.spawned(1000);
            it
        }

        fn tell(&mut self, event: Event, now: u64) {
            self.realm.handle(event, Millis(now));
        }

        fn spawned(&mut self, now: u64) {
            let pid = Pid::from_raw(PID).unwrap();
            self.tell(Event::Spawned(self.name.clone(), pid), now);
        }

        fn shown(&self, now: u64) -> protocol::Vassal {
            let vassal = self.realm.vassal(&self.name).unwrap();
            view(&self.name, vassal, "/v", Millis(now))
        }

        fn telling_line<'a>(&self, now: u64, printed: &'a [String]) -> Option<&'a str> {
            telling_line(self.realm.vassal(&self.name).unwrap(), Millis(now), printed)
        }
    }

    #[test]
    fn a_start_that_takes_long_is_told_of_with_the_last_line() {
        let mut shop = Started::new();
        let printed = [
            "Error: none".to_owned(),
            "importing shop".to_owned(),
            String::new(),
        ];
        assert_eq!(shop.shown(10_900).reason, None);
        assert_eq!(shop.telling_line(10_900, &printed), None);
        let shown = shop.shown(13_500);
        assert_eq!(shown.state, protocol::State::Starting);
        let reason = shown.reason.expect("a reason");
        assert_eq!(reason, "has not said that it serves for 12 s");
        assert_eq!(shop.telling_line(13_500, &printed), Some("importing shop"));
        // Its master alone serves nobody.
        for (word, is_told) in [(FromVassal::Spawned, true), (FromVassal::Accepting, false)] {
            let (name, life) = (shop.name.clone(), 1);
            shop.tell(Event::Said { name, life, word }, 14_000);
            assert_eq!(shop.shown(60_000).reason.is_some(), is_told, "{word:?}");
        }
        assert_eq!(shop.telling_line(60_000, &printed), None);
    }

    #[test]
    fn a_start_after_a_failure_is_measured_from_its_own_beginning() {
        let mut shop = Started::new();
        shop.tell(Event::Exited(shop.name.clone(), Exit::Code(1)), 20_000);
        assert_eq!(shop.shown(20_000).state, protocol::State::Cursed);
        shop.realm.handle_timer(Millis(30_000));
        shop.spawned(30_000);
        let before = shop.shown(31_000).reason.expect("a reason");
        assert_eq!(before, "it exited with code 1 before");
        let printed = ["ValueError: no".to_owned(), "again".to_owned()];
        assert_eq!(shop.telling_line(31_000, &printed), Some("ValueError: no"));
        let now = shop.shown(41_000).reason.expect("a reason");
        assert_eq!(now, "has not said that it serves for 11 s");
        assert_eq!(shop.telling_line(41_000, &printed), Some("again"));
    }

    #[test]
    fn the_last_line_that_complains_is_the_reason() {
        let lines = [
            "Traceback (most recent call last):",
            "  File \"x.py\", line 1, in <module>",
            "ModuleNotFoundError: No module named 'shop'",
            "shop.ini:5: unable to load app 0 (callable not found or import error)",
            "goodbye to uWSGI.",
        ]
        .map(str::to_owned);
        assert_eq!(
            complaint(&lines),
            Some("ModuleNotFoundError: No module named 'shop'")
        );
        assert_eq!(complaint(&lines[..2]), None);
        let misspelt = ["shop.ini:3: processes = many: expected a number", "goodbye"];
        let misspelt = misspelt.map(str::to_owned);
        assert_eq!(complaint(&misspelt), Some(misspelt[0].as_str()));
        let stamped = ["Fri 20:34:55 2026 - [emperor] all is well".to_owned()];
        assert_eq!(complaint(&stamped), None);
    }
}
