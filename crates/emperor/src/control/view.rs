//! What is shown of a vassal.

use std::path::PathBuf;

use uwgate_ctl::protocol::{self, Deed};
use uwgate_sys::process::{self, Pid};

use crate::reconcile::{Standing, State, Vassal};
use crate::snapshot::moment;
use crate::spec::{ConfigFrom, Name, VassalSpec};

/// A vassal as an operator sees it, without its log.
pub(crate) fn view(name: &Name, vassal: &Vassal, source: &str) -> protocol::Vassal {
    let (spec, heard, state) = (vassal.spec(), vassal.heard(), state(vassal));
    let since = vassal.started().map(|(last, _)| last);
    let seconds = |at| Some(moment(at)).filter(|seconds| *seconds > 0);
    protocol::Vassal {
        name: name.to_string(),
        state,
        pid: vassal.pid().and_then(number),
        since: seconds(since),
        loyal: heard.loyal.is_some(),
        reason: reason(vassal, state),
        next_try: seconds(vassal.again_at()),
        respawns: vassal.respawns(),
        heartbeat: seconds(heard.heartbeat),
        source: source.to_owned(),
        config: config(spec),
        uid: spec.owner.map(|owner| owner.uid),
        gid: spec.owner.map(|owner| owner.gid),
        on_demand: spec.on_demand.clone(),
        rss: vassal.pid().and_then(rss),
        log: Vec::new(),
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
fn reason(vassal: &Vassal, state: protocol::State) -> Option<String> {
    use protocol::State::{Blacklisted, Cursed, Starting, Stopped, Stopping};

    let death = || vassal.death().map(|(death, _)| death.to_string());
    match (state, vassal.standing()) {
        (Stopped | Stopping, Standing::Held) => Some("stopped by an operator".to_owned()),
        (Stopped | Stopping, Standing::Exiled) => {
            let left = "it has left by itself; a change of its configuration starts it again";
            Some(left.to_owned())
        }
        (Cursed | Blacklisted, _) => death(),
        (Starting, _) if vassal.throttle().0 > 0 => death().map(|it| format!("it {it} before")),
        _ => None,
    }
}

/// Of what a vassal has printed the line that says what went wrong, if one looks like that: the end of a traceback
/// before anything that came of it.
pub(crate) fn complaint(lines: &[String]) -> Option<&str> {
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
    use super::complaint;

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
