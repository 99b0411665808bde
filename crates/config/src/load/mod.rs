//! Under construction: everything that makes the list.

use std::ffi::OsString;

use crate::entry::Entry;
use crate::finding::Finding;
use crate::options::Options;

/// What [`load`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The expanded list, in order.
    pub entries: Vec<Entry>,
    /// The same, typed.
    pub options: Options,
    /// Warnings and notes.
    pub findings: Vec<Finding>,
}

/// Reads the command line (without the program's name) and the environment, and every file they name.
///
/// # Errors
/// Every finding, when at least one of them is an error.
pub fn load(
    args: &[OsString],
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Vec<Finding>> {
    let _ = (args, env);
    let entries = Vec::new();
    let (options, findings) = Options::from_entries(&entries)?;
    Ok(Loaded {
        entries,
        options,
        findings,
    })
}
