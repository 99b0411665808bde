//! What a vassal may have and use of the machine.

use std::path::PathBuf;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use serde::{Deserialize, Serialize};
use uwgate_config::options::{GroupSetting, ResourceLimit, Vassals};
use uwgate_sys::process::{self, Capabilities, Namespaces};

use super::cgroup::Group;
use crate::spec::{ConfigFrom, VassalSpec};

/// The bounds of one vassal. They are set in its process before its program is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confinement {
    pub(crate) limits: Vec<ResourceLimit>,
    pub(crate) group: Option<Group>,
    /// Names.
    pub(crate) namespaces: Vec<String>,
    /// Names; `None`: what it would have anyway.
    pub(crate) capabilities: Option<Vec<String>>,
}

/// What the options say about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    limits: Vec<ResourceLimit>,
    groups: Option<PathBuf>,
    settings: Vec<GroupSetting>,
    namespaces: Vec<String>,
    capabilities: Option<Vec<String>>,
    /// Attributes of vassals.
    limit_attr: Option<String>,
    setting_attr: Option<String>,
}

impl Bounds {
    /// # Errors
    /// One sentence with the line that asks for what cannot be.
    pub(crate) fn new(options: &Vassals) -> Result<Self, String> {
        let Vassals {
            emperor_limit_attr,
            emperor_cgroup_opt_attr,
            vassal_limit,
            vassal_cgroup,
            vassal_cgroup_opt,
            vassal_cap,
            emperor_use_clone,
            ..
        } = options;
        let mut asked = Namespaces::default();
        for name in emperor_use_clone {
            let one = Namespaces::named(&name.value)
                .ok_or_else(|| format!("{}: there is no namespace {}", name.origin, name.value))?;
            if let Some(missing) = one.missing().next() {
                return Err(format!(
                    "{}: emperor-use-clone: this kernel has no {missing} namespaces",
                    name.origin
                ));
            }
            asked = asked.and(one);
        }
        if asked.contains("pid") {
            // Whoever looks for a process by its number there would find another one's.
            asked = asked.and(Namespaces::named("fs").unwrap_or_default());
        }
        for name in vassal_cap {
            if Capabilities::named(&name.value).is_none() {
                let origin = &name.origin;
                return Err(format!("{origin}: there is no capability `{}`", name.value));
            }
        }
        let group_is_needed = vassal_cgroup_opt.first().map(|it| &it.origin);
        let group_is_needed =
            group_is_needed.or(emperor_cgroup_opt_attr.as_ref().map(|it| &it.origin));
        if let (None, Some(origin)) = (vassal_cgroup, group_is_needed) {
            return Err(format!(
                "{origin}: vassals have no control groups: write vassal-cgroup = /sys/fs/cgroup/vassals, for example"
            ));
        }
        Ok(Self {
            limits: vassal_limit.iter().map(|it| it.value.clone()).collect(),
            groups: vassal_cgroup.as_ref().map(|it| it.value.clone()),
            settings: vassal_cgroup_opt
                .iter()
                .map(|it| it.value.clone())
                .collect(),
            namespaces: asked.names().map(str::to_owned).collect(),
            capabilities: (!vassal_cap.is_empty())
                .then(|| vassal_cap.iter().map(|it| it.value.clone()).collect()),
            limit_attr: emperor_limit_attr.as_ref().map(|it| it.value.clone()),
            setting_attr: emperor_cgroup_opt_attr.as_ref().map(|it| it.value.clone()),
        })
    }

    /// Of one vassal, with what its own configuration says where that may say something.
    ///
    /// # Errors
    /// What is wrong with that.
    pub(crate) fn of(&self, spec: &VassalSpec) -> Result<Confinement, String> {
        let mut limits = self.limits.clone();
        for own in self.own(spec, &self.limit_attr, ResourceLimit::parse)? {
            limits.retain(|it| it.name != own.name);
            limits.push(own);
        }
        let mut settings = self.settings.clone();
        for own in self.own(spec, &self.setting_attr, GroupSetting::parse)? {
            settings.retain(|it| it.file != own.file);
            settings.push(own);
        }
        let group = self.groups.as_ref();
        Ok(Confinement {
            limits,
            group: group.map(|parent| Group::of(parent, spec.name.as_str(), settings)),
            namespaces: self.namespaces.clone(),
            capabilities: self.capabilities.clone(),
        })
    }

    /// The control group of a vassal that is gone.
    pub(crate) fn group(&self, vassal: &str) -> Option<Group> {
        let parent = self.groups.as_ref()?;
        Some(Group::of(parent, vassal, Vec::new()))
    }

    fn own<T>(
        &self,
        spec: &VassalSpec,
        attribute: &Option<String>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let Some(attribute) = attribute else {
            return Ok(Vec::new());
        };
        let values = spec.attributes.iter().filter(|(name, _)| name == attribute);
        // Whoever is to be bound does not say how far.
        let is_its_own = spec.owner.is_some() && !matches!(spec.config, ConfigFrom::Bytes { .. });
        let problem = |value: &str, why: &str| format!("[emperor] {attribute} = {value}: {why}");
        values
            .map(|(_, value)| match is_its_own {
                true => Err(problem(
                    value,
                    "the file belongs to the user that the vassal runs as, who does not set its limits",
                )),
                false => read(value).map_err(|why| problem(value, &why)),
            })
            .collect()
    }
}

impl Confinement {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn namespaces(&self) -> Namespaces {
        let named = self
            .namespaces
            .iter()
            .filter_map(|it| Namespaces::named(it));
        named.fold(Namespaces::default(), Namespaces::and)
    }

    /// What the vassal's program keeps when it does not run as root.
    pub(super) fn capabilities(&self) -> Capabilities {
        let named = self.capabilities.iter().flatten();
        let named = named.filter_map(|it| Capabilities::named(it));
        named.fold(Capabilities::default(), Capabilities::and)
    }

    /// First of all: whatever happens from here on happens in the vassal's group, and under mounts of its own.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn enter(&self) -> Result<(), String> {
        if let Some(group) = &self.group {
            group.enter()?;
        }
        let namespaces = self.namespaces();
        if namespaces.contains("fs") {
            // What the vassal mounts is not to be seen outside.
            let flags = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
            mount_change("/", flags)
                .map_err(|error| format!("cannot make its mounts its own: {error}"))?;
        }
        if namespaces.contains("pid") {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("proc", "/proc", "proc", flags, None)
                .map_err(|error| format!("cannot mount its /proc: {error}"))?;
        }
        Ok(())
    }

    /// While the process still may.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn bind(&self) -> Result<(), String> {
        for ResourceLimit { name, value } in &self.limits {
            process::set_limit(name, *value).map_err(|error| {
                let shown = shown_limit(name, *value);
                format!("limit {shown}: {error}; only root may raise limits")
            })?;
        }
        if let Some(names) = &self.capabilities {
            self.capabilities().bound().map_err(|error| {
                format!(
                    "vassal-cap = {}: {error}; the emperor has to be root",
                    names.join(",")
                )
            })?;
        }
        Ok(())
    }

    /// Of a vassal that stays the user it is: what it was given to make its namespaces is not for its program. Which
    /// capabilities are.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn step_down(&self) -> Result<Capabilities, String> {
        if !self.namespaces().contains("user") || rustix::process::geteuid().is_root() {
            return Ok(Capabilities::default());
        }
        let permitted = Capabilities::permitted().unwrap_or_default();
        let keep = self.capabilities().also_in(permitted);
        let done = keep.give_up_others();
        done.map_err(|error| format!("cannot give up capabilities: {error}"))?;
        Ok(keep)
    }

    /// For people.
    pub(crate) fn shown_limits(&self) -> Vec<String> {
        let limits = self.limits.iter().map(|it| shown_limit(&it.name, it.value));
        let settings = self.group.iter().flat_map(|it| &it.settings);
        let settings = settings.map(|it| format!("{}:{}", it.file, it.value));
        limits.chain(settings).collect()
    }
}

fn shown_limit(name: &str, value: Option<u64>) -> String {
    match value {
        Some(value) => format!("{name}:{value}"),
        None => format!("{name}:unlimited"),
    }
}

#[cfg(test)]
mod tests {
    use uwgate_config::{Located, Origin};

    use super::*;
    use crate::spec::{Owner, Stamp};

    fn located<T>(value: T) -> Located<T> {
        Located::new(value, Origin::file("e.ini", 3))
    }

    fn spec(attributes: &[(&str, &str)], owner: Option<Owner>) -> VassalSpec {
        let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        VassalSpec {
            name: "a.ini".into(),
            config: ConfigFrom::File {
                path: "a.ini".into(),
            },
            stamp: Stamp::default(),
            owner,
            directory: "/v".into(),
            on_demand: None,
            attributes: attributes.iter().map(pair).collect(),
        }
    }

    fn bounds() -> Bounds {
        let limit = |text: &str| located(ResourceLimit::parse(text).unwrap());
        Bounds::new(&Vassals {
            vassal_limit: vec![limit("as:1G"), limit("nofile:9")],
            vassal_cgroup: Some(located("/g".into())),
            vassal_cgroup_opt: vec![located(GroupSetting::parse("pids.max:5").unwrap())],
            emperor_limit_attr: Some(located("limit".into())),
            emperor_cgroup_opt_attr: Some(located("group".into())),
            ..Vassals::default()
        })
        .unwrap()
    }

    #[test]
    fn a_vassals_own_limits_stand_for_those_of_all() {
        let own = spec(&[("limit", "as:2G"), ("group", "memory.max:1G")], None);
        let found = bounds().of(&own).unwrap();
        assert_eq!(
            found.shown_limits(),
            ["nofile:9", "as:2147483648", "pids.max:5", "memory.max:1G"]
        );
        assert_eq!(found.group.unwrap().directory, PathBuf::from("/g/a.ini"));
        let problem = bounds().of(&spec(&[("limit", "as")], None)).unwrap_err();
        assert!(problem.starts_with("[emperor] limit = as: "), "{problem}");
    }

    #[test]
    fn nobody_sets_limits_for_themselves() {
        let owner = Some(Owner { uid: 5, gid: 5 });
        let problem = bounds()
            .of(&spec(&[("limit", "as:9G")], owner))
            .unwrap_err();
        assert!(problem.contains("does not set its limits"), "{problem}");
        assert!(bounds().of(&spec(&[], owner)).is_ok());
        let mut row = spec(&[("limit", "as:9G")], owner);
        row.config = ConfigFrom::Bytes {
            text: b"".as_slice().into(),
            suffix: "ini".into(),
        };
        assert!(bounds().of(&row).is_ok(), "the database is not the user's");
    }

    #[test]
    fn what_cannot_be_is_said_with_its_line() {
        let no_group = Vassals {
            vassal_cgroup_opt: vec![located(GroupSetting::parse("pids.max:5").unwrap())],
            ..Vassals::default()
        };
        let problem = Bounds::new(&no_group).unwrap_err();
        assert!(problem.starts_with("e.ini:3: "), "{problem}");
        let no_such = Vassals {
            vassal_cap: vec![located("fly".into())],
            ..Vassals::default()
        };
        assert!(Bounds::new(&no_such).is_err());
        let pid = Vassals {
            emperor_use_clone: vec![located("pid".into())],
            ..Vassals::default()
        };
        assert_eq!(Bounds::new(&pid).unwrap().namespaces, ["fs", "pid"]);
    }
}
