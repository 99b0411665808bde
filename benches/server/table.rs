//! Figures and how people read them.

use std::fmt::Write as _;
use std::time::Duration;

use super::load::Outcome;
use super::servers::{OURS, Server};

/// One measurement.
pub struct Figures {
    /// Requests a second.
    rate: f64,
    /// CPU time of the server for each, in microseconds.
    cpu: f64,
    /// In milliseconds.
    p50: f64,
    p99: f64,
    failed: usize,
}

/// All measurements of one server.
pub struct Rounds<'s> {
    pub server: &'s Server,
    pub figures: Vec<Figures>,
}

impl Figures {
    pub fn new(outcome: &Outcome, cpu: Duration, length: Duration) -> Self {
        let mut took = outcome.took.clone();
        took.sort_unstable();
        let percentile = |percent: usize| {
            let at = took.len() * percent / 100;
            took.get(at)
                .map_or(f64::NAN, |&took| f64::from(took) / 1000.0)
        };
        let answered = u32::try_from(took.len()).map_or(f64::NAN, f64::from);
        Self {
            rate: answered / length.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / answered,
            p50: percentile(50),
            p99: percentile(99),
            failed: outcome.failed,
        }
    }
}

impl<'s> Rounds<'s> {
    pub fn new(server: &'s Server) -> Self {
        Self {
            server,
            figures: Vec::new(),
        }
    }

    fn spread(&self, figure: impl Fn(&Figures) -> f64) -> Spread {
        let mut all: Vec<f64> = self.figures.iter().map(figure).collect();
        all.sort_unstable_by(f64::total_cmp);
        let at = |at: usize| all.get(at).copied().unwrap_or(f64::NAN);
        Spread {
            least: at(0),
            median: at(all.len() / 2),
            most: at(all.len().saturating_sub(1)),
        }
    }
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

/// A table for people; the last two columns compare with ours.
pub fn render(all: &[Rounds<'_>]) -> String {
    let mut text = format!(
        "{:<18}{:>28}{:>26}{:>9}{:>9}{:>8}{:>8}{:>8}\n",
        "server", "requests/s", "CPU us/request", "p50 ms", "p99 ms", "failed", "x rate", "x CPU"
    );
    let ours = all.iter().find(|rounds| rounds.server.name == OURS);
    let of_ours =
        |figure: fn(&Figures) -> f64| ours.map_or(f64::NAN, |it| it.spread(figure).median);
    let (our_rate, our_cpu) = (of_ours(|it| it.rate), of_ours(|it| it.cpu));
    for rounds in all.iter().filter(|rounds| !rounds.figures.is_empty()) {
        let (rate, cpu) = (rounds.spread(|it| it.rate), rounds.spread(|it| it.cpu));
        let failed: usize = rounds.figures.iter().map(|it| it.failed).sum();
        let rates = format!("{:.0} ({:.0}-{:.0})", rate.median, rate.least, rate.most);
        let cpus = format!("{:.2} ({:.2}-{:.2})", cpu.median, cpu.least, cpu.most);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<18}{rates:>28}{cpus:>26}{:>9.2}{:>9.2}{failed:>8}{:>8.2}{:>8.2}",
            rounds.server.name,
            rounds.spread(|it| it.p50).median,
            rounds.spread(|it| it.p99).median,
            rate.median / our_rate,
            cpu.median / our_cpu,
        );
    }
    text
}
