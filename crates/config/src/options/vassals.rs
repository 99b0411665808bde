//! The section about what an emperor does with every vassal beyond starting it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::origin::Located;

/// How vassals are confined, what of it their own configurations may say, and who may tell them what to do.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Vassals {
    /// Names of attributes to read from `[emperor]` in vassals' configurations.
    pub emperor_collect_attr: Vec<Located<String>>,
    /// The attribute that names a vassal's program.
    pub emperor_wrapper_attr: Option<Located<String>>,
    /// The attribute that names the directory in which a vassal's program is started.
    pub emperor_chdir_attr: Option<Located<String>>,
    /// The attribute with limits of a vassal's own.
    pub emperor_limit_attr: Option<Located<String>>,
    /// The attribute with settings of a vassal's own control group.
    pub emperor_cgroup_opt_attr: Option<Located<String>>,
    /// Limits of setrlimit(2) for every vassal.
    pub vassal_limit: Vec<Located<ResourceLimit>>,
    /// The control group in which every vassal gets one of its own.
    pub vassal_cgroup: Option<Located<PathBuf>>,
    /// What is written into every vassal's control group.
    pub vassal_cgroup_opt: Vec<Located<GroupSetting>>,
    /// The only capabilities that vassals have; none named: what they would have anyway.
    pub vassal_cap: Vec<Located<String>>,
    /// Namespaces that every vassal gets new ones of.
    pub emperor_use_clone: Vec<Located<String>>,
    /// Where datagrams say what vassals are to do.
    pub emperor_command_socket: Option<Located<PathBuf>>,
    /// No vassal starts before it is told to there.
    pub emperor_wait_for_command: bool,
    /// But these do.
    pub emperor_wait_for_command_ignore: Vec<Located<String>>,
}

impl Vassals {
    /// All attributes that are to be read.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        let single = [
            &self.emperor_wrapper_attr,
            &self.emperor_chdir_attr,
            &self.emperor_limit_attr,
            &self.emperor_cgroup_opt_attr,
        ];
        self.emperor_collect_attr
            .iter()
            .chain(single.into_iter().flatten())
            .map(|it| it.value.as_str())
    }
}

/// A limit of setrlimit(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// Its name, without `RLIMIT_`.
    pub name: String,
    /// Bytes, seconds or a count; `None` is unlimited.
    pub value: Option<u64>,
}

/// The limits there are, and whether each is of bytes.
const LIMITS: [(&str, bool); 11] = [
    ("as", true),
    ("core", true),
    ("cpu", false),
    ("data", true),
    ("fsize", true),
    ("memlock", true),
    ("msgqueue", true),
    ("nofile", false),
    ("nproc", false),
    ("sigpending", false),
    ("stack", true),
];

impl ResourceLimit {
    /// Reads `nofile:1024`, `as:512M`, `core:unlimited`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once(':')
            .ok_or("expected NAME:VALUE such as as:512M")?;
        let (name, value) = (name.trim(), value.trim());
        let known = LIMITS.iter().find(|(known, _)| *known == name);
        let Some((name, is_bytes)) = known else {
            let names: Vec<&str> = LIMITS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "there is no limit `{name}`; there are {}",
                names.join(", ")
            ));
        };
        let value = match value {
            "unlimited" => None,
            value => {
                let number = if *is_bytes {
                    bytes(value)
                } else {
                    value.parse().ok()
                };
                let form = if *is_bytes {
                    "a number of bytes such as 512M"
                } else {
                    "a number"
                };
                Some(number.ok_or_else(|| format!("`{value}` is not {form}, nor `unlimited`"))?)
            }
        };
        Ok(Self {
            name: (*name).to_owned(),
            value,
        })
    }
}

/// `4096`, `64K`, `512M`, `2G`.
fn bytes(text: &str) -> Option<u64> {
    let units = [("K", 10), ("M", 20), ("G", 30), ("T", 40)];
    let unit = units
        .iter()
        .find_map(|(letter, shift)| Some((text.strip_suffix(letter)?, shift)));
    match unit {
        Some((number, shift)) => number.parse::<u64>().ok()?.checked_mul(1 << shift),
        None => text.parse().ok(),
    }
}

/// A value for a file of a control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSetting {
    /// The file: `memory.max`.
    pub file: String,
    /// What is written into it.
    pub value: String,
}

impl GroupSetting {
    /// Reads `memory.max:512M`, as uWSGI's `cgroup-opt`; `=` does as well as `:`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (file, value) = text
            .split_once([':', '='])
            .ok_or("expected FILE:VALUE such as memory.max:512M")?;
        let (file, value) = (file.trim(), value.trim());
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let membership = ["cgroup.procs", "cgroup.threads", "tasks"];
        if file.is_empty() || file.starts_with('.') || !file.chars().all(is_name) {
            return Err(format!("`{file}` is no file of a control group"));
        }
        if membership.contains(&file) {
            return Err(format!("{file} is not a setting"));
        }
        if value.is_empty() {
            return Err(format!("{file} has no value"));
        }
        Ok(Self {
            file: file.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_units() {
        let limit = |text: &str| ResourceLimit::parse(text).map(|it| (it.name, it.value));
        assert_eq!(limit("as:512M"), Ok(("as".into(), Some(512 << 20))));
        assert_eq!(limit("nofile: 1024"), Ok(("nofile".into(), Some(1024))));
        assert_eq!(limit("core:unlimited"), Ok(("core".into(), None)));
        for bad in [
            "as",
            "x:1",
            "nofile:1K",
            "as:-1",
            "as:",
            "as:1E",
            "as:99999999T",
        ] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_stay_in_their_group() {
        let setting = |text: &str| GroupSetting::parse(text).map(|it| (it.file, it.value));
        let pair = |file: &str, value: &str| Ok((file.into(), value.into()));
        assert_eq!(setting("memory.max:512M"), pair("memory.max", "512M"));
        assert_eq!(setting("cpu.max=5000 10000"), pair("cpu.max", "5000 10000"));
        assert_eq!(setting("io.max:8:0 rbps=1"), pair("io.max", "8:0 rbps=1"));
        for bad in [
            "",
            "x",
            "../x:1",
            "a/b:1",
            "cgroup.procs:1",
            "tasks:1",
            "pids.max:",
        ] {
            assert!(setting(bad).is_err(), "{bad}");
        }
    }
}
