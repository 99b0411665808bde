//! The statistics server.

use crate::address::Address;
use crate::origin::Located;

/// What the instance tells about itself, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Addresses that serve the JSON.
    pub stats: Vec<Located<Address>>,
    /// They speak HTTP.
    pub stats_http: bool,
    /// The JSON has no white space.
    pub stats_minified: bool,
    /// The JSON does not say what each core does.
    pub stats_no_cores: bool,
    /// The variables of running requests are shown as they are.
    pub stats_show_secrets: bool,
    /// Addresses that serve `/metrics` (and the JSON) over HTTP.
    pub prometheus_listen: Vec<Located<Address>>,
}
