//! Numbers that must be larger or smaller than another option's, as uWSGI demands it at start.

use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::options::{CheaperAlgo, Options};
use crate::table::Row;

/// So many threads start within moments, and still end when they are told to.
const MOST_THREADS: u32 = 4096;

/// What cannot be (errors), and what counts as another value (warnings).
pub(crate) fn contradictions(options: &Options, known: &[(&Entry, &Row)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |severity, name: &str, message: String, help: &str| {
        let last = known.iter().rev().find(|(_, row)| row.name == name);
        if let Some((entry, _)) = last {
            let finding = Finding::about(severity, "out-of-bounds", entry, message);
            findings.push(finding.with_help(help));
        }
    };
    let (workers, cheaper) = (&options.workers, &options.cheaper);
    if cheaper.cheaper > 0 && cheaper.cheaper >= workers.processes {
        let message = "invalid cheaper value: must be lower than processes".to_owned();
        let help = format!("write less than {}, or leave it out", workers.processes);
        say(Severity::Error, "cheaper", message, &help);
    } else if let Some(initial) = cheaper.cheaper_initial.filter(|_| cheaper.cheaper > 0) {
        let counts = initial.clamp(cheaper.cheaper, workers.processes);
        if counts != initial {
            say(
                Severity::Warning,
                "cheaper-initial",
                format!("counts as {counts}: it lies between cheaper and processes"),
                &format!("write {counts}"),
            );
        }
    }
    if workers.threads > MOST_THREADS {
        say(
            Severity::Error,
            "threads",
            format!(
                "more than {MOST_THREADS} threads in one process wait for each other longer than they work"
            ),
            "write fewer, and more processes",
        );
    }
    let is_busyness = cheaper.cheaper_algo == CheaperAlgo::Busyness;
    if is_busyness && cheaper.cheaper_busyness_min >= cheaper.cheaper_busyness_max {
        let max = cheaper.cheaper_busyness_max;
        say(
            Severity::Warning,
            "cheaper-busyness-min",
            format!("leaves no room below cheaper-busyness-max ({max})"),
            "write about half of it",
        );
    }
    let recycling = &options.recycling;
    let (min, max) = (recycling.min_worker_lifetime, recycling.max_worker_lifetime);
    if max > 0 && min >= max {
        say(
            Severity::Error,
            "max-worker-lifetime",
            format!("must be higher than min-worker-lifetime ({min})"),
            "write a lower min-worker-lifetime",
        );
    }
    findings
}
