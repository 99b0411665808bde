//! Which host runs what: a pure core, told who is there and what time it is.
//!
//! Every host asks the same question of the same table and comes to the same answer by itself: of the hosts that are
//! there, a vassal belongs to those with the highest scores, and a score is a hash of host and vassal (rendezvous
//! hashing). So when a host goes only its own vassals move, and nobody has to be in charge.
//!
//! Two rules keep service while hosts come and go. What has come to this host is run at once; what has moved away is run
//! on for the grace time, until the other host has surely started it. And after the database was away, hosts that were
//! there before count as there for the grace time: each of them has to come back first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::rows::Row;
use crate::stable_hash::stable_hash;

/// A host as the table of hosts has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    /// It has said so within the grace time, by the clock of the database.
    pub(crate) is_there: bool,
    /// The operator wants it to run something.
    pub(crate) enabled: bool,
}

/// Who shares, as this host knows it.
#[derive(Debug)]
pub(crate) struct Share {
    node: String,
    copies: usize,
    grace: Duration,
    /// Those that take part.
    hosts: BTreeSet<String>,
    /// Those that were there when the database went away, and until when that counts.
    pardoned: (BTreeSet<String>, Option<Instant>),
    /// What runs here though it belongs elsewhere, and until when; `None` for what belongs here.
    running: BTreeMap<String, Option<Instant>>,
}

impl Share {
    pub(crate) fn new(node: &str, copies: usize, grace: Duration) -> Self {
        Self {
            node: node.to_owned(),
            copies,
            grace,
            hosts: BTreeSet::new(),
            pardoned: (BTreeSet::new(), None),
            running: BTreeMap::new(),
        }
    }

    /// The database is back.
    pub(crate) fn reconnected(&mut self, now: Instant) {
        self.pardoned = (self.hosts.clone(), Some(now + self.grace));
    }

    /// What ran here in an earlier life runs on; as ever, for the grace time when it belongs elsewhere.
    pub(crate) fn remember(&mut self, rows: &[Row]) {
        self.running = rows.iter().map(|row| (row.name.clone(), None)).collect();
    }

    /// Takes what the table of hosts says.
    pub(crate) fn hosts(&mut self, hosts: &[Host], now: Instant) {
        let (before, until) = &self.pardoned;
        let pardon = until.is_some_and(|until| now < until);
        let takes_part = |host: &&Host| {
            host.enabled && (host.is_there || (pardon && before.contains(&host.name)))
        };
        self.hosts = hosts
            .iter()
            .filter(takes_part)
            .map(|host| host.name.clone())
            .collect();
    }

    /// Those of the rows that this host runs.
    pub(crate) fn part<'a>(
        &mut self,
        rows: impl Iterator<Item = &'a Row>,
        now: Instant,
    ) -> Vec<Row> {
        let mut running = BTreeMap::new();
        let mut part = Vec::new();
        for row in rows {
            let until = match self.running.get(&row.name) {
                _ if self.belongs_here(row) => None,
                // It stays no longer where the operator does not want it.
                _ if !may_run(row, &self.node) => continue,
                Some(None) => Some(now + self.grace),
                Some(Some(until)) if now < *until => Some(*until),
                Some(Some(_)) | None => continue,
            };
            running.insert(row.name.clone(), until);
            part.push(row.clone());
        }
        self.running = running;
        part
    }

    /// Whether as many hosts as there are to be copies come before this one, or not.
    fn belongs_here(&self, row: &Row) -> bool {
        if !self.hosts.contains(&self.node) || !may_run(row, &self.node) {
            return false;
        }
        let own = score(&self.node, row);
        let others = self.hosts.iter().filter(|host| may_run(row, host));
        others.filter(|host| score(host, row) > own).count() < self.copies
    }
}

/// Equal scores are told apart by the name.
fn score<'a>(host: &'a str, row: &Row) -> (u64, &'a str) {
    (stable_hash(&[host.as_bytes(), row.name.as_bytes()]), host)
}

/// Whether the row names this host, or none at all.
pub(crate) fn may_run(row: &Row, host: &str) -> bool {
    row.hosts.is_empty() || row.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn row(name: &str) -> Row {
        Row {
            name: name.to_owned(),
            config: (*b"").into(),
            seconds: 0,
            serial: 0,
            uid: None,
            gid: None,
            socket: None,
            hosts: Vec::new(),
        }
    }

    fn rows(count: usize) -> Vec<Row> {
        (0..count).map(|at| row(&format!("app{at}.ini"))).collect()
    }

    fn there(names: &[&str]) -> Vec<Host> {
        let host = |name: &&str| Host {
            name: (*name).to_owned(),
            is_there: true,
            enabled: true,
        };
        names.iter().map(host).collect()
    }

    fn part(share: &mut Share, rows: &[Row], now: Instant) -> BTreeSet<String> {
        share
            .part(rows.iter(), now)
            .into_iter()
            .map(|row| row.name)
            .collect()
    }

    #[test]
    fn together_the_hosts_run_everything_as_often_as_asked() {
        let (rows, now) = (rows(300), Instant::now());
        let names = ["web1", "web2", "web3", "web4"];
        for copies in 1..=4 {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for name in names {
                let mut share = Share::new(name, copies, GRACE);
                share.hosts(&there(&names), now);
                let own = part(&mut share, &rows, now);
                let even = 300 * copies / 4;
                assert!(
                    own.len() > even * 7 / 10 && own.len() < even * 13 / 10 + 1,
                    "{name}: {}",
                    own.len()
                );
                own.into_iter()
                    .for_each(|name| *counts.entry(name).or_default() += 1);
            }
            assert_eq!(counts.len(), 300);
            assert!(counts.values().all(|count| *count == copies));
        }
    }

    #[test]
    fn when_a_host_goes_only_its_vassals_move() {
        let (rows, now) = (rows(300), Instant::now());
        let mut share = Share::new("web1", 1, GRACE);
        share.hosts(&there(&["web1", "web2", "web3"]), now);
        let before = part(&mut share, &rows, now);
        share.hosts(&there(&["web1", "web3"]), now);
        let after = part(&mut share, &rows, now);
        assert!(before.is_subset(&after) && after.len() > before.len());
    }

    #[test]
    fn what_moves_away_stays_until_the_other_has_it() {
        let (rows, now) = (rows(100), Instant::now());
        let mut share = Share::new("web1", 1, GRACE);
        share.hosts(&there(&["web1"]), now);
        assert_eq!(part(&mut share, &rows, now).len(), 100);
        share.hosts(&there(&["web1", "web2"]), now);
        assert_eq!(part(&mut share, &rows, now).len(), 100);
        assert_eq!(part(&mut share, &rows, now + GRACE / 2).len(), 100);
        let later = part(&mut share, &rows, now + GRACE);
        assert!(later.len() < 70, "{}", later.len());
        assert_eq!(
            part(&mut share, &rows[..10], now + GRACE).len(),
            later
                .iter()
                .filter(|name| rows[..10].iter().any(|row| row.name == **name))
                .count(),
            "a row that is gone goes at once"
        );
    }

    #[test]
    fn after_the_database_was_away_nobody_takes_over_from_those_not_back_yet() {
        let (rows, now) = (rows(100), Instant::now());
        let mut share = Share::new("web1", 1, GRACE);
        share.hosts(&there(&["web1", "web2"]), now);
        let before = part(&mut share, &rows, now);
        let back = now + Duration::from_secs(600);
        share.reconnected(back);
        let mut hosts = there(&["web1", "web2"]);
        hosts[1].is_there = false;
        share.hosts(&hosts, back);
        assert_eq!(part(&mut share, &rows, back), before);
        let later = back + GRACE;
        share.hosts(&hosts, later);
        assert_eq!(
            part(&mut share, &rows, later).len(),
            100,
            "it did not come back"
        );
    }

    #[test]
    fn a_host_that_is_disabled_runs_nothing_after_the_grace_time() {
        let (rows, now) = (rows(20), Instant::now());
        let mut share = Share::new("web1", 1, GRACE);
        let mut hosts = there(&["web1", "web2"]);
        share.hosts(&hosts, now);
        assert!(!part(&mut share, &rows, now).is_empty());
        hosts[0].enabled = false;
        share.hosts(&hosts, now);
        assert!(!part(&mut share, &rows, now).is_empty());
        assert!(part(&mut share, &rows, now + GRACE).is_empty());
    }

    #[test]
    fn a_row_may_name_its_hosts() {
        let (mut rows, now) = (rows(20), Instant::now());
        rows.iter_mut()
            .for_each(|row| row.hosts = vec!["WEB2".into(), "web3".into()]);
        for (name, runs) in [("web1", 0), ("web2", 20)] {
            let mut share = Share::new(name, 2, GRACE);
            share.hosts(&there(&["web1", "web2", "web3"]), now);
            assert_eq!(part(&mut share, &rows, now).len(), runs);
        }
    }
}
