//! Which child a process belongs to, also when its end is heard of before its start.

use std::collections::HashMap;

use uwgate_sys::process::{Exit, Pid};

/// Live processes by pid, each with the `Key` of its child.
///
/// A process that somebody else started for us (a zygote) may have ended and been reaped before the starter's answer
/// with its pid is read. Its end is kept while any such answer is outstanding, and no longer, so that a pid
/// used again later is not mistaken for the dead one.
#[derive(Debug)]
pub struct Roster<Key> {
    live: HashMap<Pid, Key>,
    expected: usize,
    early: HashMap<Pid, Exit>,
}

impl<Key> Default for Roster<Key> {
    fn default() -> Roster<Key> {
        Roster {
            live: HashMap::new(),
            expected: 0,
            early: HashMap::new(),
        }
    }
}

impl<Key> Roster<Key> {
    /// A process was asked for; [`spawned`](Self::spawned) or [`failed`](Self::failed) will follow.
    pub fn expect(&mut self) {
        self.expected += 1;
    }

    /// It was started as `pid`. `Some`: and has ended already, so feed the end to its child right after the start.
    pub fn spawned(&mut self, pid: Pid, key: Key) -> Option<Exit> {
        let early = self.early.remove(&pid);
        if early.is_none() {
            self.live.insert(pid, key);
        }
        self.answered();
        early
    }

    /// It was not started.
    pub fn failed(&mut self) {
        self.answered();
    }

    /// A process was reaped. `Some`: the child it belonged to. `None`: not ours, or not known yet.
    pub fn exited(&mut self, pid: Pid, exit: Exit) -> Option<Key> {
        let key = self.live.remove(&pid);
        if key.is_none() && self.expected > 0 {
            self.early.insert(pid, exit);
        }
        key
    }

    /// Whose process this is, while it lives.
    pub fn find(&self, pid: Pid) -> Option<&Key> {
        self.live.get(&pid)
    }

    /// How many processes live.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn answered(&mut self) {
        self.expected = self.expected.saturating_sub(1);
        if self.expected == 0 {
            self.early.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: Exit = Exit::Signal {
        signal: 9,
        core: false,
    };

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).unwrap()
    }

    #[test]
    fn a_process_is_found_until_it_is_reaped() {
        let mut roster = Roster::default();
        roster.expect();
        assert_eq!(roster.spawned(pid(7), "one"), None);
        assert_eq!(roster.find(pid(7)), Some(&"one"));
        assert_eq!(roster.exited(pid(7), DEAD), Some("one"));
        assert_eq!(roster.exited(pid(7), DEAD), None);
        assert!(roster.is_empty());
    }

    #[test]
    fn an_end_before_the_start_is_kept() {
        let mut roster = Roster::default();
        roster.expect();
        assert_eq!(roster.exited(pid(7), DEAD), None);
        assert_eq!(roster.spawned(pid(7), "one"), Some(DEAD));
        assert!(roster.is_empty());
    }

    #[test]
    fn a_strangers_end_is_not_taken_for_a_later_process_of_the_same_pid() {
        let mut roster = Roster::default();
        roster.exited(pid(7), DEAD);
        roster.expect();
        assert_eq!(roster.spawned(pid(7), "one"), None);

        roster.expect();
        roster.exited(pid(8), DEAD);
        roster.failed();
        roster.expect();
        assert_eq!(roster.spawned(pid(8), "two"), None);
        assert_eq!(roster.len(), 2);
    }
}
