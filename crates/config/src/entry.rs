//! One line of the expanded configuration, and the form in which a list of them travels to another process.

use serde::{Deserialize, Serialize};

use crate::origin::Origin;

/// One `key = value` of the expanded list, in the order in which uWSGI would apply it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The option's name as it was written (aliases are kept).
    pub key: String,
    /// The value after every expansion; `None` only for a flag without a value on the command line.
    pub value: Option<String>,
    /// Where it was written.
    pub origin: Origin,
}

impl Entry {
    /// The value as text; a missing one is empty.
    pub fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

/// A list that [`encode`] did not write.
#[derive(Debug)]
pub struct DecodeError(serde_json::Error);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not an encoded option list: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}

/// The list as bytes, for handing it to another process; [`decode`] gives back exactly the same list.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    serde_json::to_vec(entries).expect("strings and numbers always serialize")
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When the bytes are anything else.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    serde_json::from_slice(bytes).map_err(DecodeError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> impl Strategy<Value = Origin> {
        prop_oneof![
            (any::<String>(), any::<u32>()).prop_map(|(path, line)| Origin::file(path, line)),
            any::<u32>().prop_map(|argument| Origin::CommandLine { argument }),
            any::<String>().prop_map(|name| Origin::Environment {
                variable: name.into()
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_list_survives_the_journey(
            list in prop::collection::vec((any::<String>(), any::<Option<String>>(), origin()), 0..20)
        ) {
            let entries: Vec<Entry> = list
                .into_iter()
                .map(|(key, value, origin)| Entry { key, value, origin })
                .collect();
            prop_assert_eq!(decode(&encode(&entries)).unwrap(), entries);
        }

        #[test]
        fn foreign_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
