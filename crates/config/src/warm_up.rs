//! Requests that the application answers before there are workers.

use std::str::FromStr;

use crate::value::Problem;

/// A request of `warm-up`: `/path`, or a URL for applications that care for which host and scheme they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// Whether the client is said to have come over https.
    pub https: bool,
    /// The `Host`; `localhost` when only a path is given.
    pub host: String,
    /// Path and query, from the `/` on.
    pub target: String,
}

impl FromStr for WarmUp {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let malformed = || Problem::new("expected /path or http://host/path");
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::new(
                "expected printable ASCII without spaces; escape other letters as in a URL: %C3%A9",
            ));
        }
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) if text.starts_with('/') => {
                return Ok(Self {
                    https: false,
                    host: "localhost".to_owned(),
                    target: text.to_owned(),
                });
            }
            (None, None) => return Err(malformed()),
        };
        let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.is_empty() || host.contains(['?', '#', '@']) {
            return Err(malformed());
        }
        Ok(Self {
            https,
            host: host.to_owned(),
            target: if target.is_empty() { "/" } else { target }.to_owned(),
        })
    }
}
