//! Where a value was written, so that every later complaint can name the place.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The place one option was written in. Its `Display` form opens every message: `app.ini:7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A line of a file; `path` is the name as it was given, lines count from 1.
    File {
        /// The name of the file as the user gave it, without `:section`.
        path: Arc<str>,
        /// The line, counted from 1; 0 for a file as a whole.
        line: u32,
    },
    /// An argument of the command line, counted from 1 (0 is the program itself).
    CommandLine {
        /// Index of the argument.
        argument: u32,
    },
    /// A variable of the environment (`UWSGI_HTTP_SOCKET`, `UWGATE_HTTP_SOCKET`).
    Environment {
        /// The variable's name.
        variable: Arc<str>,
    },
}

impl Origin {
    /// A line of a file.
    pub fn file(path: impl Into<Arc<str>>, line: u32) -> Self {
        Self::File {
            path: path.into(),
            line,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0 } => write!(f, "{path}"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::CommandLine { .. } => f.write_str("command line"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
        }
    }
}

/// A value that can still fail later (a path, a user name), together with its [`Origin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located<T> {
    /// The value itself; `Located` dereferences to it.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> Located<T> {
    /// `value`, written at `origin`.
    pub const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
