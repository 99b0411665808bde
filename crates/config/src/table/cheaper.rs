//! How many workers run.

use super::{Row, bytes, flag, number, optional_number, parsed};
use crate::entry::Entry;
use crate::options::{CheaperAlgo, Options};
use crate::value::Problem;

pub(super) const ROWS: &[Row] = &[
    number("cheaper", "processes", |o| &mut o.cheaper.cheaper)
        .implying_master()
        .default("0")
        .help("Fewest workers that run; up to `processes` run while they are busy. 0: all run all the time."),
    optional_number("cheaper-initial", "processes", |o| &mut o.cheaper.cheaper_initial)
        .implying_master()
        .help("How many workers run at first; `cheaper` of them without it."),
    Row {
        default: "spare",
        ..parsed("cheaper-algo", "NAME", read_algo)
    }
    .implying_master()
    .help("Who decides: spare, spare2, backlog, busyness or manual (docs/workers.md)."),
    number("cheaper-step", "processes", |o| &mut o.cheaper.cheaper_step)
        .implying_master()
        .default("1")
        .help("How many workers are started at a time."),
    number("cheaper-overload", "seconds", |o| &mut o.cheaper.cheaper_overload)
        .implying_master()
        .default("3")
        .help("spare: seconds without a free worker before more are started. busyness: seconds over which busyness is averaged. backlog: how many connections may wait."),
    number("cheaper-idle", "seconds", |o| &mut o.cheaper.cheaper_idle)
        .ours()
        .default("10")
        .help("spare2: seconds with too many free workers before one is stopped."),
    bytes("cheaper-rss-limit-soft", |o| &mut o.cheaper.cheaper_rss_limit_soft)
        .implying_master()
        .default("0")
        .help("Start no more workers when all together use so many bytes of memory; 0 is no limit."),
    bytes("cheaper-rss-limit-hard", |o| &mut o.cheaper.cheaper_rss_limit_hard)
        .implying_master()
        .default("0")
        .help("Stop workers, down to `cheaper`, while all together use so many bytes of memory; 0 is no limit."),
    number("cheaper-busyness-max", "percent", |o| &mut o.cheaper.cheaper_busyness_max)
        .default("50")
        .help("busyness: start workers when they are busier than this on average."),
    number("cheaper-busyness-min", "percent", |o| &mut o.cheaper.cheaper_busyness_min)
        .default("25")
        .help("busyness: stop a worker when they have been less busy than this on average."),
    number("cheaper-busyness-multiplier", "periods", |o| {
        &mut o.cheaper.cheaper_busyness_multiplier
    })
    .default("10")
    .help("busyness: how many periods of cheaper-overload must be quiet before a worker is stopped."),
    number("cheaper-busyness-penalty", "periods", |o| {
        &mut o.cheaper.cheaper_busyness_penalty
    })
    .default("2")
    .help("busyness: added to the multiplier when a worker is needed again soon after one was stopped."),
    flag("cheaper-busyness-verbose", |o| &mut o.cheaper.cheaper_busyness_verbose)
        .help("busyness: log what is seen."),
    number("cheaper-busyness-backlog-alert", "connections", |o| {
        &mut o.cheaper.cheaper_busyness_backlog_alert
    })
    .default("33")
    .help("busyness: start emergency workers at once when more connections wait."),
    number("cheaper-busyness-backlog-multiplier", "periods", |o| {
        &mut o.cheaper.cheaper_busyness_backlog_multiplier
    })
    .default("3")
    .help("busyness: the multiplier while emergency workers run."),
    number("cheaper-busyness-backlog-step", "processes", |o| {
        &mut o.cheaper.cheaper_busyness_backlog_step
    })
    .default("1")
    .help("busyness: how many emergency workers are started at a time."),
    number("cheaper-busyness-backlog-nonzero", "seconds", |o| {
        &mut o.cheaper.cheaper_busyness_backlog_nonzero
    })
    .default("60")
    .help("busyness: start emergency workers when connections have been waiting for longer."),
    flag("cheap", |o| &mut o.cheaper.cheap)
        .implying_master()
        .help("Start no worker until somebody connects."),
    number("idle", "seconds", |o| &mut o.cheaper.idle)
        .implying_master()
        .default("0")
        .help("Without a request for so long, stop all workers until somebody connects; 0 is never."),
    flag("die-on-idle", |o| &mut o.cheaper.die_on_idle)
        .help("With idle: end the instance instead of stopping its workers."),
];

fn read_algo(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let algo = &mut options.cheaper.cheaper_algo;
    *algo = match entry.text() {
        "spare" => CheaperAlgo::Spare,
        "spare2" => CheaperAlgo::Spare2,
        "backlog" => CheaperAlgo::Backlog,
        "busyness" => CheaperAlgo::Busyness,
        "manual" => CheaperAlgo::Manual,
        _ => {
            *algo = CheaperAlgo::Spare;
            return Ok(Some(
                Problem::new("unable to find requested cheaper algorithm, falling back to spare")
                    .help("write spare, spare2, backlog, busyness or manual"),
            ));
        }
    };
    Ok(None)
}
