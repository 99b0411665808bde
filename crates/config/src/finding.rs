//! What there is to say about a configuration: errors that stop the start, warnings and notes that do not.

use std::fmt;

use serde::Serialize;

use crate::entry::Entry;
use crate::origin::Origin;

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// The instance starts, but not quite as its configuration seems to say.
    Warning,
    /// Worth knowing once; safe to ignore.
    Note,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to say about one place of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A stable name for this kind of finding, such as `unknown-option`; for tools and tests.
    pub rule: &'static str,
    /// The place.
    pub origin: Origin,
    /// The option concerned; empty when a file or an argument as a whole is meant.
    pub key: String,
    /// Its value, as far as one was given.
    pub value: Option<String>,
    /// One sentence: what is wrong, or what will happen.
    pub message: String,
    /// One sentence: what to do about it.
    pub help: Option<String>,
}

impl Finding {
    /// A finding about a place as a whole.
    pub fn at(
        severity: Severity,
        rule: &'static str,
        origin: Origin,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            rule,
            origin,
            key: String::new(),
            value: None,
            message: message.into(),
            help: None,
        }
    }

    /// A finding about one entry of the list.
    pub fn about(
        severity: Severity,
        rule: &'static str,
        entry: &Entry,
        message: impl Into<String>,
    ) -> Self {
        Self {
            key: entry.key.clone(),
            value: entry.value.clone(),
            ..Self::at(severity, rule, entry.origin.clone(), message)
        }
    }

    /// The same finding with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// `app.ini:7: harakiri = soon: expected a number of seconds`, with the advice after a semicolon.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (&*self.key, self.value.as_deref()) {
            ("", _) => {}
            (key, None | Some("")) => write!(f, "{key}: ")?,
            (key, Some(value)) => write!(f, "{key} = {}: ", shortened(value))?,
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Values that a message shows in full.
const MAX_SHOWN: usize = 120;

/// A value that fits into a message on one line.
fn shortened(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.len() < value.len() => format!("{line}..."),
        None => line.to_owned(),
    }
}
