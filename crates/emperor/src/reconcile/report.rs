//! What the operator is told, in uWSGI's words where it has some.

use std::time::Duration;

use uwgate_supervisor::{Exit, Pid};

use crate::spec::Name;

/// News of a vassal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is in more than one source; the first has it.
    Double,
    /// Its process was started.
    Started(Pid),
    /// Its master is there.
    Spawned,
    /// It lives on from an emperor before this one, and is expected to call.
    FoundAgain(Pid),
    /// It has called.
    Returned,
    /// It stays for the next emperor.
    LeftBehind,
    /// It accepts requests.
    Ready,
    /// It has served one.
    Loyal,
    /// It was told to reload.
    Reload,
    /// It was told to end.
    Stop,
    /// It ended though it was not to.
    Cursed(Pid, Exit),
    /// It could not be started.
    SpawnFailed(String),
    /// There is no process any more.
    Removed,
    /// It failed too often: it is started again after a while.
    Throttled(Duration),
    /// As above, and the wait grows no more.
    MaximumThrottle(Duration),
    /// It was silent for so long, and is killed.
    NoHeartbeat(Duration),
    /// It has not listened for so long, and is killed.
    Deaf(Duration),
    /// It did not end in time, and is killed.
    Mercy(Duration),
    /// It has left and does not want to come back until its configuration is touched.
    Exile,
    /// It waits for somebody to connect.
    OnDemand {
        /// Where.
        socket: String,
        /// It has run before.
        again: bool,
    },
    /// Somebody has connected.
    Visitor,
    /// The file of its socket is gone.
    SocketLost,
    /// It wants reinforcements.
    Sos,
}

impl Report {
    /// Whether somebody has to do something about it.
    pub fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::Double
                | Self::Cursed(..)
                | Self::SpawnFailed(_)
                | Self::Throttled(_)
                | Self::MaximumThrottle(_)
                | Self::NoHeartbeat(_)
                | Self::Deaf(_)
                | Self::Mercy(_)
                | Self::SocketLost
        )
    }

    /// The line of the log, for a vassal of this name.
    pub fn line(&self, name: &Name) -> String {
        match self {
            Self::Double => {
                format!("[emperor] {name} is in more than one place: the first has it")
            }
            Self::Started(pid) => {
                format!("[emperor] started vassal {name} (pid: {pid})")
            }
            Self::Spawned => format!("[emperor] vassal {name} has been spawned"),
            Self::FoundAgain(pid) => {
                format!(
                    "[emperor] vassal {name} (pid: {pid}) has gone on without an emperor: waiting for its call"
                )
            }
            Self::Returned => format!("[emperor] vassal {name} is adopted"),
            Self::LeftBehind => format!("[emperor] vassal {name} goes on without an emperor"),
            Self::Ready => format!("[emperor] vassal {name} is ready to accept requests"),
            Self::Loyal => format!("[emperor] vassal {name} is now loyal"),
            Self::Reload => format!("[emperor] reload the uwsgi instance {name}"),
            Self::Stop => format!("[emperor] stop the uwsgi instance {name}"),
            Self::Cursed(pid, exit) => {
                format!("[emperor] curse the uwsgi instance {name} (pid: {pid}): it {exit}")
            }
            Self::SpawnFailed(why) => format!("[emperor] cannot start vassal {name}: {why}"),
            Self::Removed => format!("[emperor] removed uwsgi instance {name}"),
            Self::Throttled(wait) => format!(
                "[emperor] unloyal bad behaving vassal found: {name} throttling it... (again in {:.1} s)",
                wait.as_secs_f64()
            ),
            Self::MaximumThrottle(wait) => format!(
                "[emperor] maximum throttle level for vassal {name} reached !!! (again in {:.1} s)",
                wait.as_secs_f64()
            ),
            Self::NoHeartbeat(silence) => format!(
                "[emperor] vassal {name} sent no heartbeat in last {} seconds, brutally respawning it...",
                silence.as_secs()
            ),
            Self::Deaf(since) => format!(
                "[emperor] vassal {name} lives but has not listened for {} seconds, killing it",
                since.as_secs()
            ),
            Self::Mercy(after) => format!(
                "[emperor] vassal {name} is taking too much time to die ({} seconds)...NO MERCY !!!",
                after.as_secs()
            ),
            Self::Exile => {
                format!("[emperor] vassal {name} has left until its configuration is touched")
            }
            Self::OnDemand { socket, again } => {
                let how = match again {
                    false => "\"on demand\" instance detected",
                    true => "back to \"on demand\" mode",
                };
                format!(
                    "[uwsgi-emperor] {name} -> {how}, waiting for connections on socket \"{socket}\" ..."
                )
            }
            Self::Visitor => {
                format!("[emperor] somebody has connected to vassal {name}: starting it")
            }
            Self::SocketLost => format!(
                "[emperor] the socket of vassal {name} was removed: it ends, and waits on a new one"
            ),
            Self::Sos => format!(
                "[emperor] vassal {name} asks for reinforcements, which this emperor does not have"
            ),
        }
    }
}
