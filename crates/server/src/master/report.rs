//! What happens to workers, in uWSGI's lines, as scripts look for them.

use uwgate_supervisor::{Report, Verdict};

/// Logs what happened to a worker of `cores` threads; `again`: its place was filled before.
pub(super) fn log(worker: u32, cores: u32, again: bool, report: Report) {
    match report {
        Report::Spawned { pid } if again => {
            tracing::info!("Respawned uWSGI worker {worker} (new pid: {pid})");
        }
        Report::Spawned { pid } => tracing::info!(
            "spawned uWSGI worker {worker} (pid: {pid}, cores: {})",
            cores
        ),
        Report::SpawnFailed => tracing::error!("worker {worker} could not be forked"),
        Report::Ready { .. } | Report::Respawning => {}
        Report::StartTimeout { pid, after } => tracing::error!(
            "worker {worker} (pid: {pid}) was not ready after {} seconds: killing it",
            after.as_secs()
        ),
        Report::Died {
            pid,
            exit,
            verdict: Verdict::Recycled,
            ..
        } => tracing::info!("worker {worker} (pid: {pid}) {exit} to be replaced"),
        Report::Died { pid, exit, .. } => tracing::error!(
            "DAMN ! worker {worker} (pid: {pid}) died, {exit} :( trying respawn ..."
        ),
        Report::Throttled { wait, .. } => tracing::warn!(
            "worker {worker} respawning too fast !!! next try in {:.1} seconds",
            wait.as_secs_f64()
        ),
        Report::Mercy { pid, after } => tracing::warn!(
            "worker {worker} (pid: {pid}) is taking too much time to die ({} seconds)...NO MERCY !!!",
            after.as_secs()
        ),
        Report::Buried { after, .. } => {
            tracing::info!("worker {worker} buried after {} seconds", after.as_secs());
        }
    }
}
