//! The command line and the environment of a vassal, as uWSGI makes them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use uwgate_config::options::{Emperor, Hook, Phase};
use uwgate_config::{Located, Options};
use uwgate_server::environment::environment;
use uwgate_server::{homage, hooks};
use uwgate_sys::process::{self, SELF, Signal, Spawn};

use super::cgroup::Group;
use super::confinement::{Bounds, Confinement};
use super::launch::{LAUNCH, Launch};
use crate::spec::{ConfigFrom, Name, VassalSpec};

/// How all vassals are started.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// The first that can be started.
    programs: Vec<String>,
    /// Which of them an attribute of a vassal stands for.
    own_program: usize,
    wrapper_attr: Option<String>,
    chdir_attr: Option<String>,
    bounds: Bounds,
    before_drop: Vec<Located<Hook>>,
    hooks: Vec<Located<Hook>>,
    start_hook: Option<String>,
    nofollow: bool,
    /// Before and after the vassal's own configuration.
    before: Vec<OsString>,
    after: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    /// Where to call the next emperor.
    call: Option<PathBuf>,
}

/// The vassal's ends of what leads to it.
pub(super) struct Ends {
    pub(super) stdin: OwnedFd,
    pub(super) printed: OwnedFd,
    pub(super) dialogue: OwnedFd,
    pub(super) config: Option<OwnedFd>,
}

/// Where the vassal finds the dialogue, and its configuration.
const DIALOGUE: RawFd = 3;
const CONFIG: RawFd = 4;

impl Manner {
    /// `call`: where vassals find the next emperor, if they may outlive this one.
    ///
    /// # Errors
    /// One sentence about an option that cannot be.
    pub(crate) fn new(options: &Options, call: Option<&Path>) -> Result<Self, String> {
        let Emperor {
            vassal_set,
            vassals_include,
            vassals_include_before,
            vassals_inherit,
            vassals_inherit_before,
            emperor_wrapper,
            emperor_wrapper_override,
            emperor_wrapper_fallback,
            vassals_start_hook,
            emperor_tyrant_nofollow,
            ..
        } = &options.emperor;
        let pairs = |name: &str, values: Vec<&OsStr>| -> Vec<OsString> {
            let pair = |value: &OsStr| [name.into(), value.to_owned()];
            values.into_iter().flat_map(pair).collect()
        };
        let paths = |paths: &[Located<PathBuf>]| -> Vec<OsString> {
            paths.iter().map(|it| absolute(&it.value)).collect()
        };
        let of = |name: &str, values: &[OsString]| {
            pairs(name, values.iter().map(OsString::as_os_str).collect())
        };
        let set: Vec<OsString> = vassal_set
            .iter()
            .map(|it| it.value.clone().into())
            .collect();
        let mut before = of("--inherit", &paths(vassals_inherit_before));
        before.extend(of("--include", &paths(vassals_include_before)));
        before.extend(of("--set", &set));
        let mut after = of("--inherit", &paths(vassals_inherit));
        after.extend(of("--include", &paths(vassals_include)));
        let texts = |texts: &[Located<String>]| -> Vec<String> {
            texts.iter().map(|it| it.value.clone()).collect()
        };
        let text = |text: &Option<Located<String>>| text.as_ref().map(|it| it.value.clone());
        let mut programs = texts(emperor_wrapper_override);
        let own_program = programs.len();
        programs.push(text(emperor_wrapper).unwrap_or_else(|| SELF.into()));
        programs.extend(texts(emperor_wrapper_fallback));
        let vassals = &options.vassals;
        let of_phase = |phase| hooks::of(options, phase).cloned().collect();
        Ok(Self {
            programs,
            own_program,
            wrapper_attr: text(&vassals.emperor_wrapper_attr),
            chdir_attr: text(&vassals.emperor_chdir_attr),
            bounds: Bounds::new(vassals)?,
            before_drop: of_phase(Phase::AsVassalBeforeDrop),
            hooks: of_phase(Phase::AsVassal),
            start_hook: text(vassals_start_hook),
            nofollow: *emperor_tyrant_nofollow,
            before,
            after,
            environment: inherited(environment(&options.python)),
            call: call.map(Path::to_owned),
        })
    }

    /// What a vassal may have and use.
    ///
    /// # Errors
    /// What is wrong with what its configuration says about that.
    pub(crate) fn confinement(&self, spec: &VassalSpec) -> Result<Confinement, String> {
        self.bounds.of(spec)
    }

    /// The control group of a vassal that is gone.
    pub(crate) fn group(&self, name: &Name) -> Option<Group> {
        self.bounds.group(name.as_str())
    }

    /// What becomes the vassal.
    ///
    /// # Errors
    /// When the process has no descriptors left, or the vassal's configuration says what it may not.
    pub(super) fn command(&self, spec: &VassalSpec, ends: Ends) -> io::Result<Spawn> {
        let Ends {
            stdin,
            printed,
            dialogue,
            config,
        } = ends;
        let mut env = self.environment.clone();
        let mut var = |name: &str, value: OsString| env.push((name.into(), value));
        var("UWSGI_VASSALS_DIR", spec.directory.clone().into());
        var("UWSGI_EMPEROR_FD", DIALOGUE.to_string().into());
        if let Some(call) = &self.call {
            var(homage::VARIABLE, call.into());
        }
        let mut fds = vec![
            (stdin, 0),
            (printed.try_clone()?, 1),
            (printed, 2),
            (dialogue, DIALOGUE),
        ];
        if let Some(config) = config {
            var("UWSGI_EMPEROR_FD_CONFIG", CONFIG.to_string().into());
            fds.push((config, CONFIG));
        }
        if let (Some(owner), ConfigFrom::File { path }, false) =
            (spec.owner, &spec.config, self.nofollow)
        {
            // What is checked before the start may be another file when the vassal reads it.
            let mut rule = OsString::from(format!("{}:{}:", owner.uid, owner.gid));
            rule.push(spec.directory.join(path));
            var("UWGATE_VASSAL_OWNER", rule);
        }
        let mut args = self.before.clone();
        let at_home = self.directory(spec).is_none();
        args.extend(own(spec, at_home));
        args.extend(self.after.iter().cloned());
        let confinement = self.confinement(spec).map_err(io::Error::other)?;
        let namespaces = confinement.namespaces();
        let program = match self.launch(spec, confinement) {
            None => self.programs.first().map_or(SELF, String::as_str),
            Some(launch) => {
                let launch = serde_json::to_string(&launch).map_err(io::Error::other)?;
                args.splice(0..0, [LAUNCH.into(), launch.into()]);
                SELF
            }
        };
        Ok(Spawn {
            arg0: (program == SELF).then(|| "uwgate".into()),
            args,
            env: Some(env),
            fds,
            cwd: Some(spec.directory.clone()),
            process_group: true,
            death_signal: Some(Signal::KILL),
            namespaces,
            ..Spawn::new(program)
        })
    }

    /// Where its program is started, if its configuration says so.
    fn directory<'s>(&self, spec: &'s VassalSpec) -> Option<&'s String> {
        attribute(spec, &self.chdir_attr)
    }

    /// What is to be done before; `None` when that is nothing.
    fn launch(&self, spec: &VassalSpec, confinement: Confinement) -> Option<Launch> {
        let mut programs = self.programs.clone();
        if let (Some(own), Some(program)) = (
            attribute(spec, &self.wrapper_attr),
            programs.get_mut(self.own_program),
        ) {
            program.clone_from(own);
        }
        let directory = self.directory(spec);
        let plain = spec.owner.is_none()
            && self.start_hook.is_none()
            && self.before_drop.is_empty()
            && self.hooks.is_empty()
            && directory.is_none()
            && confinement.is_none()
            && programs == self.programs
            && programs.len() == 1;
        let sees_emperor = !confinement.namespaces().contains("pid");
        let file = match &spec.config {
            ConfigFrom::File { path } | ConfigFrom::Output { path } => Some(path),
            ConfigFrom::Bytes { .. } => None,
        };
        (!plain).then(|| Launch {
            name: spec.name.to_string(),
            emperor: if sees_emperor {
                process::this().as_raw()
            } else {
                0
            },
            confinement,
            before_drop: self.before_drop.clone(),
            hooks: self.hooks.clone(),
            directory: directory.map(Into::into),
            owner: spec.owner.map(|owner| (owner.uid, owner.gid)),
            file: file.map(|path| spec.directory.join(path)),
            nofollow: self.nofollow,
            hook: self.start_hook.clone(),
            programs,
        })
    }
}

fn attribute<'s>(spec: &'s VassalSpec, name: &Option<String>) -> Option<&'s String> {
    let name = name.as_ref()?;
    let mut pairs = spec.attributes.iter();
    pairs.find(|(its, _)| its == name).map(|(_, value)| value)
}

fn absolute(path: &Path) -> OsString {
    let absolute = std::path::absolute(path);
    absolute.map_or_else(|_| path.into(), Into::into)
}

/// The option for the vassal's own configuration, chosen by its ending.
/// `at_home`: it is read in the directory of its file.
fn own(spec: &VassalSpec, at_home: bool) -> [OsString; 2] {
    match &spec.config {
        ConfigFrom::File { path } => {
            let whole = || spec.directory.join(path);
            let name = if at_home { path.clone() } else { whole() };
            [option(&path.to_string_lossy()).into(), name.into()]
        }
        // By its whole path: the shell that runs it would look for a bare name elsewhere.
        ConfigFrom::Output { path } => {
            let mut name = OsString::from("exec://");
            name.push(spec.directory.join(path));
            [option(&path.to_string_lossy()).into(), name]
        }
        ConfigFrom::Bytes { suffix, .. } => {
            let name = format!("emperor://{}", spec.name);
            [option(&format!(".{suffix}")).into(), name.into()]
        }
    }
}

fn option(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("ini") => "--ini",
        Some("yml" | "yaml") => "--yaml",
        Some("json" | "js") => "--json",
        Some("xml") => "--xml",
        _ => "--config",
    }
}

/// What is the emperor's own: a vassal that took these for its options would be an emperor itself.
const OWN: [&[u8]; 4] = [
    b"UWSGI_EMPEROR",
    b"UWGATE_EMPEROR",
    b"UWSGI_VASSALS_DIR",
    b"UWSGI_RELOADS",
];

/// As in uWSGI, `UWSGI_VASSAL_X` is the vassal's `UWSGI_X`.
fn inherited(environment: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let own = |name: &OsString| OWN.iter().any(|own| name.as_bytes().starts_with(own));
    let rename = |(name, value): (OsString, OsString)| {
        let for_vassals = name.as_bytes().strip_prefix(b"UWSGI_VASSAL_");
        let renamed = for_vassals.map(|rest| {
            let mut name = OsString::from("UWSGI_");
            name.push(OsStr::from_bytes(rest));
            name
        });
        (renamed.unwrap_or(name), value)
    };
    let kept = environment.into_iter().filter(|(name, _)| !own(name));
    kept.map(rename).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_choose_the_option() {
        for (name, expected) in [
            ("a.ini", "--ini"),
            ("a.b.yml", "--yaml"),
            ("a.js", "--json"),
            ("a.conf", "--config"),
            ("a", "--config"),
        ] {
            assert_eq!(option(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_the_emperors_stays_with_it() {
        let pairs = [
            ("UWSGI_EMPEROR", "/x"),
            ("UWSGI_VASSAL_SOCKET", ":1"),
            ("PATH", "/bin"),
            ("UWSGI_RELOADS", "3"),
        ];
        let pairs = pairs.map(|(name, value)| (name.into(), value.into()));
        let expected: Vec<(OsString, OsString)> = [("UWSGI_SOCKET", ":1"), ("PATH", "/bin")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        assert_eq!(inherited(pairs.into()), expected);
    }
}
