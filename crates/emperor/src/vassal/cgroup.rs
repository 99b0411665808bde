//! The control group of a vassal: what its processes may use together.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uwgate_config::options::GroupSetting;

/// A group, and what it is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) directory: PathBuf,
    pub(crate) settings: Vec<GroupSetting>,
}

/// Settings that begin with such a word are of the group itself and not of a controller.
const CORE: &str = "cgroup";

impl Group {
    /// The group of a vassal below the emperor's. A name that is a path is one name here.
    pub(super) fn of(parent: &Path, vassal: &str, settings: Vec<GroupSetting>) -> Self {
        Self {
            directory: parent.join(vassal.replace('/', "!")),
            settings,
        }
    }

    /// Puts this process there, and with it whatever it becomes and starts. The settings are made before.
    ///
    /// # Errors
    /// One sentence about what cannot be done, and what to do.
    pub(super) fn enter(&self) -> Result<(), String> {
        let directory = self.directory.display();
        fs::create_dir_all(&self.directory).map_err(|error| {
            format!("cannot make the control group {directory}: {error}; the emperor has to be root, or the directory above be given to its user")
        })?;
        if let Some(parent) = self.directory.parent() {
            self.enable_controllers(parent)?;
        }
        for GroupSetting { file, value } in &self.settings {
            write(&self.directory.join(file), value).map_err(|error| match error.kind() {
                ErrorKind::NotFound => format!(
                    "there is no {file} in the control group {directory}: either its controller is not there, or the name is wrong"
                ),
                _ => format!("cannot set {file} to {value} in the control group {directory}: {error}"),
            })?;
        }
        // 0 is whoever writes.
        write(&self.directory.join("cgroup.procs"), "0")
            .map_err(|error| format!("cannot enter the control group {directory}: {error}"))
    }

    /// A group has only the controllers that the one above gives to those below it (version 2).
    fn enable_controllers(&self, parent: &Path) -> Result<(), String> {
        let file = parent.join("cgroup.subtree_control");
        let Ok(enabled) = fs::read_to_string(&file) else {
            return Ok(());
        };
        for controller in self.controllers() {
            if enabled.split_whitespace().any(|it| it == controller) {
                continue;
            }
            write(&file, &format!("+{controller}")).map_err(|error| {
                format!(
                    "{} cannot give its groups the controller {controller}: {error}; enable it in cgroup.subtree_control of all groups above, and let no process be in this one itself",
                    parent.display()
                )
            })?;
        }
        Ok(())
    }

    fn controllers(&self) -> impl Iterator<Item = &str> {
        let words = self
            .settings
            .iter()
            .filter_map(|it| it.file.split('.').next());
        words.filter(|word| *word != CORE)
    }

    /// `false`: somebody is in it.
    fn remove(&self) -> bool {
        match fs::remove_dir(&self.directory) {
            Err(error) => error.kind() != ErrorKind::ResourceBusy,
            Ok(()) => true,
        }
    }

    /// Removes it once its last processes have ended, if they soon do: what stays for longer was meant to.
    pub(crate) async fn dissolve(self) {
        for _ in 0..50 {
            if self.remove() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many processes were killed in it for want of memory, if the kernel tells.
    pub(crate) fn killed_for_memory(&self) -> Option<u64> {
        // Of version 2, and of version 1.
        let files = ["memory.events", "memory.oom_control"];
        let mut texts = files
            .iter()
            .filter_map(|file| fs::read_to_string(self.directory.join(file)).ok());
        texts.find_map(|text| {
            let counts = text.lines().filter_map(|line| line.split_once(' '));
            let mut kills = counts.filter(|(name, _)| *name == "oom_kill");
            kills.next()?.1.parse().ok()
        })
    }
}

/// Into a file that is there: a file made by mistake in a place that is no control group would look like success.
fn write(file: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a control group, but does not act like one.
    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str) -> Self {
            let name = format!("uwgate-cgroup-{name}-{}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(directory.join("a.ini")).unwrap();
            Self(directory)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let file = self.0.join(name);
            fs::write(&file, text).unwrap();
            file
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn settings(of: &[(&str, &str)]) -> Vec<GroupSetting> {
        let setting = |&(file, value): &(&str, &str)| GroupSetting {
            file: file.into(),
            value: value.into(),
        };
        of.iter().map(setting).collect()
    }

    #[test]
    fn limits_are_set_before_it_is_entered() {
        let fake = Fake::new("enter");
        let control = fake.file("cgroup.subtree_control", "cpu pids");
        let max = fake.file("a.ini/memory.max", "");
        let group = Group::of(
            &fake.0,
            "a.ini",
            settings(&[("pids.max", "9"), ("memory.max", "1M")]),
        );
        // Nobody is in it without its limits.
        let procs = fake.file("a.ini/cgroup.procs", "");
        let problem = group.enter().unwrap_err();
        assert!(problem.contains("there is no pids.max"), "{problem}");
        assert_eq!(fs::read_to_string(&procs).unwrap(), "");
        fake.file("a.ini/pids.max", "");
        group.enter().unwrap();
        assert_eq!(fs::read_to_string(max).unwrap(), "1M");
        assert_eq!(fs::read_to_string(procs).unwrap(), "0");
        assert!(fs::read_to_string(control).unwrap().starts_with("+memory"));
    }

    #[test]
    fn kills_are_counted_as_the_kernel_tells_them() {
        let fake = Fake::new("kills");
        let group = Group::of(&fake.0, "a.ini", Vec::new());
        assert_eq!(group.killed_for_memory(), None);
        fake.file("a.ini/memory.events", "low 0\noom 4\noom_kill 3\n");
        assert_eq!(group.killed_for_memory(), Some(3));
    }

    #[test]
    fn a_path_is_one_name() {
        let group = Group::of(Path::new("/g"), "/srv/../x.ini", Vec::new());
        assert_eq!(group.directory, Path::new("/g/!srv!..!x.ini"));
    }
}
