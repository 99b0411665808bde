//! This server beside others that speak WSGI, under the same load and in the same minutes.
//!
//! `cargo bench --bench server` measures all scenarios with all servers that are installed; see `--help` and
//! docs/performance.md. Rounds are interleaved, so that a slow minute of the machine hits everybody: compare figures of
//! one run only.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "a program is read in its source")]
#![allow(unreachable_pub, reason = "modules of one program")]

mod load;
mod process;
mod scenarios;
mod servers;
mod table;

use std::time::Duration;

use load::Load;
use process::Running;
use scenarios::{SCENARIOS, Scenario};
use servers::{SERVERS, Server};
use table::{Figures, Rounds};

const HELP: &str = "\
cargo bench --bench server -- [OPTIONS]

  --scenario NAMES   only these (comma-separated)
  --server NAMES     only servers whose name contains one of these (comma-separated)
  --rounds N         measurements of each pair, of which the median is shown (3)
  --seconds N        length of a measurement (2)
  --list             show scenarios and servers
";

/// What the command line asks for.
struct Wishes {
    scenarios: Vec<String>,
    servers: Vec<String>,
    rounds: usize,
    length: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // `cargo test --benches` runs this program without the word, only to see that it starts.
    if !has("--bench") && !has("--list") {
        return;
    }
    if has("--help") {
        print!("{HELP}");
        return;
    }
    let wishes = wishes(&arguments);
    let installed: Vec<&Server> = SERVERS.iter().filter(|it| it.is_installed()).collect();
    if has("--list") {
        for scenario in SCENARIOS {
            println!("{:<12} {}", scenario.name, scenario.title);
        }
        let mut names: Vec<&str> = installed.iter().map(|server| server.name).collect();
        names.dedup();
        println!("installed: {}", names.join(", "));
        return;
    }
    for scenario in SCENARIOS {
        if wishes.scenarios.is_empty() || wishes.scenarios.iter().any(|it| it == scenario.name) {
            println!("\n## {}: {}\n", scenario.name, scenario.title);
            let measured = measure(scenario, &installed, &wishes);
            print!("{}", table::render(&measured));
        }
    }
}

fn wishes(arguments: &[String]) -> Wishes {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let names = |name: &str| -> Vec<String> {
        let names = value(name).unwrap_or_default();
        let names = names.split(',').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    let number = |name: &str, default: u32| {
        let number = value(name).map(|text| text.parse());
        number.map_or(default, |it| it.expect("a number"))
    };
    Wishes {
        scenarios: names("--scenario"),
        servers: names("--server"),
        rounds: number("--rounds", 3) as usize,
        length: Duration::from_secs(number("--seconds", 2).into()),
    }
}

/// All rounds of one scenario.
fn measure<'s>(scenario: &Scenario, installed: &[&'s Server], wishes: &Wishes) -> Vec<Rounds<'s>> {
    let wanted = |server: &&&Server| {
        let named = wishes.servers.iter().any(|it| server.name.contains(it));
        server.takes(scenario) && (wishes.servers.is_empty() || named)
    };
    let servers = installed.iter().filter(wanted);
    let mut all: Vec<Rounds> = servers.map(|server| Rounds::new(server)).collect();
    for _ in 0..wishes.rounds {
        for rounds in &mut all {
            match once(scenario, rounds.server, wishes.length) {
                Ok(figures) => rounds.figures.push(figures),
                Err(error) => eprintln!("{}: {error}", rounds.server.name),
            }
        }
    }
    all
}

/// One server, started for one measurement.
fn once(scenario: &Scenario, server: &Server, length: Duration) -> std::io::Result<Figures> {
    let mut running = Running::start(server, scenario)?;
    let load = Load::new(scenario, server, &running.address);
    process::stay_on(scenario.pinned.then_some(1))?;
    running.wait_until(|| load.once().is_ok())?;
    let mut before = Duration::ZERO;
    let outcome = load.run(length / 4, length, || before = running.cpu())?;
    let cpu = running.cpu().saturating_sub(before);
    Ok(Figures::new(&outcome, cpu, length))
}
