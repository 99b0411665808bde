//! The state of a running instance, for whoever watches it.

use super::{Row, Store, Support, Syntax, flag, row};
use crate::options::Options;

pub(super) const ROWS: &[Row] = &[
    addresses("stats", |o| &mut o.stats.stats)
        .aliases(&["stats-server"])
        .implying_master()
        .help("Serve the state of the instance as uWSGI's JSON on this address (host:port, a unix socket's path, @name)."),
    flag("stats-http", |o| &mut o.stats.stats_http)
        .implying_master()
        .help("Speak HTTP on the `stats` addresses: JSON on /, and Prometheus' text format on /metrics."),
    flag("stats-minified", |o| &mut o.stats.stats_minified)
        .aliases(&["stats-min"])
        .implying_master()
        .help("JSON without white space."),
    flag("stats-no-cores", |o| &mut o.stats.stats_no_cores)
        .implying_master()
        .help("Leave out what each core (thread) does."),
    flag("stats-show-secrets", |o| &mut o.stats.stats_show_secrets)
        .ours()
        .help("Show the variables of running requests as they are. Without it the values of cookies, of Authorization and \
               of everything named like a token, secret, key or password are replaced by ***."),
    addresses("prometheus-listen", |o| &mut o.stats.prometheus_listen)
        .ours()
        .implying_master()
        .help("Serve /metrics (and the JSON) over HTTP on this address as well, whatever `stats-http` says."),
];

type Addresses = fn(&mut Options) -> &mut Vec<crate::origin::Located<crate::address::Address>>;

const fn addresses(name: &'static str, field: Addresses) -> Row {
    let syntax = Syntax::Text("ADDRESS");
    row(name, syntax, Support::Stored(Store::Addresses(field))).repeatable()
}
