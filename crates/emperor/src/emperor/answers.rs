//! What operators want through the control socket.

use uwgate_ctl::protocol::{self, Line, Reply, Request};
use uwgate_sys::clock::coarse_now;
use uwgate_sys::process;

use super::Emperor;
use crate::commands::Command;
use crate::control::{Client, deed, show_confinement, telling_line, view};
use crate::reconcile::{Event, Standing, Vassal, Wish};
use crate::spec::Name;

/// So many of the last lines are searched for what went wrong.
const SEARCHED: usize = 40;

impl Emperor {
    pub(super) fn answer(&mut self, request: Request, client: Client) {
        let reply = match request {
            Request::List => Ok(self.list()),
            Request::Rescan => {
                self.look();
                Ok(Reply::Done(Vec::new()))
            }
            Request::Status { vassal, lines } => self.status(&vassal, lines),
            Request::Reload { vassals } => self.wish_for(&vassals, Wish::Reload),
            Request::Stop { vassals } => self.wish_for(&vassals, Wish::Stop),
            Request::Start { vassals } => self.wish_for(&vassals, Wish::Start),
            Request::Tail {
                vassals,
                lines,
                follow,
            } => match self.find_all(&vassals) {
                Ok(names) => return self.tail(names, lines, follow, client),
                Err(problem) => Err(problem),
            },
        };
        // One that has gone meanwhile does not want to know.
        let _ = client.try_send(reply.unwrap_or_else(Reply::Error));
    }

    fn list(&self) -> Reply {
        let shown = |(name, vassal)| self.show_vassal(name, vassal);
        Reply::Vassals {
            emperor: protocol::Emperor {
                pid: u32::try_from(process::this().as_raw()).unwrap_or_default(),
                since: self.started,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sources: self.sources.iter().map(|it| it.shown.clone()).collect(),
            },
            vassals: self.realm.vassals().map(shown).collect(),
        }
    }

    fn status(&self, asked: &str, lines: usize) -> Result<Reply, String> {
        let name = self.find(asked)?;
        let vassal = self.realm.vassal(&name).ok_or("it has just gone")?;
        let mut shown = self.show_vassal(&name, vassal);
        shown.log = self.outputs.last(&name, lines);
        Ok(Reply::Vassal(Box::new(shown)))
    }

    fn show_vassal(&self, name: &Name, vassal: &Vassal) -> protocol::Vassal {
        let source = self.sources.get(vassal.source());
        let now = coarse_now();
        let mut shown = view(name, vassal, source.map_or("", |it| &it.shown), now);
        let is_held = vassal.standing() == Standing::Held;
        if is_held && vassal.started().is_none() && self.realm.waits_for_command(name) {
            shown.reason = Some("waits to be told to start (emperor-wait-for-command)".to_owned());
        }
        if let Ok(confinement) = self.manner.confinement(vassal.spec()) {
            let before = self.killed.get(name).copied().unwrap_or(0);
            show_confinement(&confinement, before, &mut shown);
        }
        if let Some(reason) = &mut shown.reason {
            let printed = self.outputs.last(name, SEARCHED);
            if let Some(line) = telling_line(vassal, now, &printed) {
                *reason = format!("{reason}: {line}");
            }
        }
        shown
    }

    fn wish_for(&mut self, asked: &[String], wish: fn(Name) -> Wish) -> Result<Reply, String> {
        let names = self.find_all(asked)?;
        let mut deeds = Vec::new();
        for name in names {
            self.tell(Event::Wish(wish(name.clone())));
            deeds.push(deed(&name, self.realm.vassal(&name)));
        }
        self.note_held();
        Ok(Reply::Done(deeds))
    }

    fn tail(&self, names: Vec<Name>, lines: usize, follow: bool, client: Client) {
        let all = names.is_empty();
        let names = match all {
            true => self.realm.vassals().map(|(name, _)| name.clone()).collect(),
            false => names,
        };
        for name in &names {
            for text in self.outputs.last(name, lines) {
                let vassal = name.to_string();
                let _ = client.try_send(Reply::Line(Line { vassal, text }));
            }
        }
        if follow {
            let only = (!all).then(|| names.into_iter().collect());
            self.outputs.follow(only, client);
        }
    }

    /// What came over the command socket.
    pub(super) fn command(&mut self, command: Command) {
        let (what, name, wish): (_, _, fn(Name) -> Wish) = match command {
            Command::Log(text) => return tracing::info!("{text}"),
            Command::Spawn(name) => ("spawn", name, Wish::Start),
            Command::Respawn(name) => ("respawn", name, Wish::Reload),
            Command::Stop(name) => ("stop", name, Wish::Stop),
        };
        if self.realm.vassal(&name).is_none() {
            return tracing::warn!("[uwsgi-emperor] ERROR: unable to find vassal \"{name}\"");
        }
        tracing::info!("[uwsgi-emperor] INFO: requested the {what} of vassal \"{name}\"");
        self.tell(Event::Wish(wish(name)));
    }

    fn find_all(&self, asked: &[String]) -> Result<Vec<Name>, String> {
        asked.iter().map(|asked| self.find(asked)).collect()
    }

    /// The vassal of this name, or the only one whose name begins so.
    fn find(&self, asked: &str) -> Result<Name, String> {
        let names = || self.realm.vassals().map(|(name, _)| name);
        if let Some(name) = names().find(|name| name.as_str() == asked) {
            return Ok(name.clone());
        }
        let alike: Vec<&Name> = names()
            .filter(|name| name.as_str().starts_with(asked))
            .collect();
        match alike.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(format!("there is no vassal {asked}")),
            [one, other, ..] => Err(format!(
                "{} vassals begin like {asked}, among them {one} and {other}",
                alike.len()
            )),
        }
    }
}
