//! Files: their bytes become lines with an origin, their lines become pairs.

pub(crate) mod ini;
pub(crate) mod json;
pub(crate) mod magic;
pub(crate) mod source;
pub(crate) mod yaml;

use crate::origin::Origin;

/// One `key = value` as a reader found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// What a reader has to say about a line, for [`crate::Finding`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) origin: Origin,
    pub(crate) rule: &'static str,
    pub(crate) is_error: bool,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// What a reader made of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The pairs of the wanted section, in order.
    pub(crate) pairs: Vec<Pair>,
    /// Names of all sections that the file has.
    pub(crate) sections: Vec<String>,
    pub(crate) remarks: Vec<Remark>,
}

/// A line of a file after its magic variables were replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// The formats there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Ini,
    Yaml,
    Json,
}

impl Format {
    /// By the suffix of a file's name, as uWSGI tells them.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (_, suffix) = name.rsplit_once('.')?;
        match suffix {
            "ini" => Some(Self::Ini),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" | "js" => Some(Self::Json),
            _ => None,
        }
    }

    /// Reads the wanted section out of a file's lines.
    pub(crate) fn read(self, lines: &[Line], section: &str) -> Contents {
        match self {
            Self::Ini => ini::read(lines, section),
            Self::Yaml => yaml::read(lines, section),
            Self::Json => json::read(lines, section),
        }
    }
}
