//! What the emperor has done around its vassals, and waits for to end, but not to go on.

use uwgate_config::Located;
use uwgate_config::options::Hook;
use uwgate_sys::process::{Exit, Pid};

use super::Emperor;
use crate::spec::{Name, VassalSpec};
use crate::vassal::{self, Chore};

impl Emperor {
    /// Nobody waits for it: the others have to go on.
    pub(super) fn run_stop_hook(&mut self, name: &Name) {
        let Some(hook) = &self.stop_hook else { return };
        self.say(&format!(
            "[emperor] running vassal stop-hook: {hook} {name}"
        ));
        match vassal::hook_command(hook, name.as_str()).spawn() {
            Ok(pid) => drop(self.hooks.insert(pid, (name.clone(), "stop-hook"))),
            Err(error) => tracing::error!("[emperor] stop-hook {hook}: {error}"),
        }
    }

    pub(super) fn run_hooks_as_emperor(&mut self, spec: &VassalSpec, started: Pid) {
        if !self.hooks_as_emperor.is_empty() {
            let chore = chore(spec, self.hooks_as_emperor.clone(), Some(started));
            self.begin(&chore, &spec.name, "hooks as emperor");
        }
    }

    pub(super) fn run_on_demand_hooks(&mut self, name: &Name) {
        if let Some(vassal) = self.realm.vassal(name)
            && !self.hooks_on_demand.is_empty()
        {
            let spec = vassal.spec();
            let chore = chore(spec, self.hooks_on_demand.clone(), None);
            self.begin(&chore, name, "on-demand hooks");
        }
    }

    fn begin(&mut self, chore: &Chore, name: &Name, called: &'static str) {
        match chore.start() {
            Ok(pid) => drop(self.hooks.insert(pid, (name.clone(), called))),
            Err(error) => tracing::error!("[emperor] {name} {called}: {error}"),
        }
    }

    /// A process was reaped that is no vassal.
    pub(super) fn hook_exited(&mut self, pid: Pid, exit: Exit) {
        if let Some((name, called)) = self.hooks.remove(&pid) {
            self.say(&format!("[emperor] {name} {called} {exit}"));
        }
    }
}

fn chore(spec: &VassalSpec, hooks: Vec<Located<Hook>>, started: Option<Pid>) -> Chore {
    let own = || {
        let uid = rustix::process::getuid().as_raw();
        (uid, rustix::process::getgid().as_raw())
    };
    Chore {
        hooks,
        as_emperor: started.is_some(),
        name: spec.name.to_string(),
        directory: spec.directory.clone(),
        pid: started.map(Pid::as_raw),
        owner: spec.owner.map_or_else(own, |it| (it.uid, it.gid)),
    }
}
