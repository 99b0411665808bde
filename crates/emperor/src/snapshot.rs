//! What the emperor knows, for whoever asks.

use uwgate_sys::clock::{Millis, coarse_now, coarse_realtime};

use crate::reconcile::{Realm, State, Vassal};
use crate::source::Source;
use crate::spec::Name;

/// The emperor and all its vassals at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Of this program.
    pub version: String,
    /// The emperor's.
    pub pid: i32,
    /// When it was started, in seconds since 1970.
    pub started: u64,
    /// Its sources, as they were written.
    pub sources: Vec<String>,
    /// By name.
    pub vassals: Vec<VassalView>,
}

/// A vassal at one moment. Times are seconds since 1970, 0 for never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VassalView {
    /// Its name.
    pub name: String,
    /// The source that names it, as it was written.
    pub source: String,
    /// `running`, `starting`, `reloading`, `stopping`, `throttled`, `on-demand`, or `stopped`.
    pub state: String,
    /// Of its process; 0 when there is none.
    pub pid: i32,
    /// When that was started, or the last.
    pub since: u64,
    /// When the first was.
    pub first_run: u64,
    /// The time of its configuration.
    pub last_mod: u64,
    /// When it said that its master is there.
    pub last_ready: u64,
    /// When it said that it accepts requests.
    pub last_accepting: u64,
    /// When it said that it has served one.
    pub last_loyal: u64,
    /// Its last sign of life.
    pub last_heartbeat: u64,
    /// How often it was started again after a failure.
    pub respawns: u32,
    /// Failures in a row.
    pub failures: u32,
    /// How long it has to wait for them, in milliseconds.
    pub throttle: u64,
    /// When that was.
    pub reason_at: u64,
    /// The socket on which somebody has to connect before it is started.
    pub on_demand: String,
    /// Who it runs as, if not as the emperor: user and group id.
    pub owner: Option<(u32, u32)>,
    /// Names and values of its `[emperor]` section.
    pub attributes: Vec<(String, String)>,
}

/// Without the lines of the log.
pub(crate) fn vassals(realm: &Realm, sources: &[Source]) -> Vec<VassalView> {
    realm
        .vassals()
        .map(|(name, vassal)| view(name, vassal, sources))
        .collect()
}

fn view(name: &Name, vassal: &Vassal, sources: &[Source]) -> VassalView {
    let (heard, spec) = (vassal.heard(), vassal.spec());
    let (since, first_run) = vassal.started().unzip();
    let (failures, throttle) = vassal.throttle();
    let state = vassal.state();
    let throttle = if failures > 0 {
        throttle.as_millis()
    } else {
        0
    };
    VassalView {
        name: name.to_string(),
        source: sources
            .get(vassal.source())
            .map_or_else(String::new, |it| it.shown.clone()),
        state: word(state).into(),
        pid: vassal.pid().map_or(0, |pid| pid.as_raw()),
        since: moment(since),
        first_run: moment(first_run),
        last_mod: spec.stamp.seconds,
        last_ready: moment(heard.ready),
        last_accepting: moment(heard.accepting),
        last_loyal: moment(heard.loyal),
        last_heartbeat: moment(heard.heartbeat),
        respawns: vassal.respawns(),
        failures,
        throttle: u64::try_from(throttle).unwrap_or(u64::MAX),
        reason_at: moment(vassal.death().map(|it| it.1)),
        on_demand: spec.on_demand.clone().unwrap_or_default(),
        owner: spec.owner.map(|owner| (owner.uid, owner.gid)),
        attributes: spec.attributes.clone(),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Stopped => "stopped",
        State::OnDemand => "on-demand",
        State::Throttled => "throttled",
        State::Starting => "starting",
        State::Running => "running",
        State::Reloading => "reloading",
        State::Stopping => "stopping",
    }
}

/// Seconds since 1970 of a moment on the monotonic clock, past or to come.
pub(crate) fn moment(at: Option<Millis>) -> u64 {
    let Some(at) = at else { return 0 };
    let (now, since_1970) = (coarse_now(), coarse_realtime());
    (since_1970 + at.since(now))
        .saturating_sub(now.since(at))
        .as_secs()
}
