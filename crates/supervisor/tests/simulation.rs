//! A child in a made-up world: virtual time, processes that hang, crash and ignore signals, commands at random.
//!
//! Safety at every step: never two processes in the slot, no signal to a process that was reaped, SIGKILL as soon as
//! the mercy is over and not earlier, `Finished` only of an empty slot. Liveness once the faults stop: a wanted child
//! runs and a stopped one is gone within a bounded virtual time.
//!
//! `UWGATE_SEED=n` replays one world.

use std::collections::BTreeMap;
use std::time::Duration;

use uwgate_supervisor::{
    Action, Child, Event, Exit, Millis, Pid, Policy, Report, Status, StopKind, Throttle,
};

const WORLDS: u64 = 3000;
/// How long the faults go on.
const CHAOS: Duration = Duration::from_secs(600);
/// The longest a healthy world takes for one thing: a spawn, a start-up, a graceful end, a SIGKILL.
const STEP: u64 = 1000;
/// How late the shell may call the timer.
const LATE: u64 = 20;

#[test]
fn worlds_full_of_faults() {
    match std::env::var("UWGATE_SEED") {
        Ok(seed) => live(seed.parse().expect("UWGATE_SEED is a number")),
        Err(_) => (1..=WORLDS).for_each(live),
    }
}

fn live(seed: u64) {
    let outcome = std::panic::catch_unwind(|| {
        let mut world = World::new(seed);
        world.chaos();
        world.peace();
    });
    assert!(
        outcome.is_ok(),
        "the rules were broken: replay with UWGATE_SEED={seed}"
    );
}

/// xorshift64*, by Vigna.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// What is going to happen. Those about a process name it, and are void when it is gone.
#[derive(Clone, Copy, Debug)]
enum Plan {
    AnswerSpawn,
    BecomeReady(Pid),
    End(Pid, Exit),
    Timer,
    Command(Event),
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    born: u64,
    ready: bool,
    asked: Option<u64>,
    killed: bool,
    deaf: bool,
}

struct World {
    dice: Dice,
    now: u64,
    plans: BTreeMap<(u64, u64), Plan>,
    planned: u64,
    policy: Policy,
    child: Child,
    process: Option<Process>,
    spawn_pending: bool,
    healthy: bool,
    pids: i32,
    /// Finished, or never started.
    slot_empty: bool,
    /// By the last command, unless it finished since.
    wanted: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let policy = Policy {
            respawn: dice.percent(80),
            throttle: Throttle {
                base: Duration::from_millis(100 + dice.below(2000)),
                cap: Duration::from_millis(5000 + dice.below(30_000)),
                free: u32::try_from(dice.below(4)).unwrap(),
                stable: Duration::from_millis(dice.below(10_000)),
                ..Throttle::default()
            },
            start_timeout: dice
                .percent(50)
                .then(|| Duration::from_millis(STEP + LATE + dice.below(5000))),
            mercy: Duration::from_millis(STEP + LATE + dice.below(10_000)),
            ..Policy::default()
        };
        World {
            dice,
            now: 0,
            plans: BTreeMap::new(),
            planned: 0,
            policy,
            child: Child::new(policy),
            process: None,
            spawn_pending: false,
            healthy: false,
            pids: 100,
            slot_empty: true,
            wanted: false,
        }
    }

    fn chaos(&mut self) {
        let mut at = 0;
        let end = u64::try_from(CHAOS.as_millis()).unwrap();
        self.plan(0, Plan::Command(Event::Start));
        while at < end {
            at += self.dice.below(20_000);
            let command = match self.dice.below(10) {
                0..4 => Event::Start,
                4..6 => Event::Stop,
                6 => Event::Kill,
                7 => Event::Restart,
                _ => Event::Abort,
            };
            self.plan(at, Plan::Command(command));
        }
        self.run_until(end);
    }

    /// Says a last word, or nothing at all, and lets everything come to rest.
    fn peace(&mut self) {
        self.healthy = true;
        self.heal();
        match self.dice.below(3) {
            0 => self.tell_wish(Event::Start),
            1 => self.tell_wish(Event::Stop),
            _ => {}
        }
        self.run_until(self.now + self.bound());
        if self.child.status() == Status::Idle && !self.policy.respawn {
            // The process of the days of chaos may not have made it, and nobody had promised another.
            self.tell_wish(Event::Start);
            self.run_until(self.now + self.bound());
        }
        self.check_rest();
    }

    fn check_rest(&self) {
        if self.wanted {
            assert_eq!(self.child.status(), Status::Running, "a wanted child runs");
            assert!(self.process.as_ref().is_some_and(|process| process.ready));
            assert_eq!(
                self.child.pid(),
                self.process.as_ref().map(|process| process.pid)
            );
        } else {
            assert_eq!(self.child.status(), Status::Idle, "a stopped child is gone");
            assert!(self.process.is_none() && !self.spawn_pending);
        }
        let settled = |plan: &Plan| match plan {
            Plan::Timer => true,
            Plan::BecomeReady(pid) | Plan::End(pid, _) => self.child.pid() != Some(*pid),
            Plan::AnswerSpawn | Plan::Command(_) => false,
        };
        assert!(
            self.plans.values().all(settled),
            "something goes on: {:?}",
            self.plans
        );
    }

    /// No more accidents: what hangs goes on, what was to crash does not. An end already decided by a SIGKILL stays.
    fn heal(&mut self) {
        let killed = self.process.as_ref().is_some_and(|process| process.killed);
        let asked = self
            .process
            .as_ref()
            .is_some_and(|process| process.asked.is_some());
        self.plans.retain(|_, plan| match plan {
            Plan::End(..) => killed || asked,
            Plan::Command(_) => false,
            Plan::AnswerSpawn | Plan::BecomeReady(_) | Plan::Timer => true,
        });
        if let Some(process) = &self.process
            && !process.ready
        {
            let (pid, soon) = (process.pid, self.now + self.dice.below(STEP));
            self.plan(soon, Plan::BecomeReady(pid));
        }
    }

    /// The longest chain: a start-up too slow is killed, the throttle waited out, a new one started; or a spawn,
    /// a graceful stop ignored, the mercy, the SIGKILL, and another spawn.
    fn bound(&self) -> u64 {
        let policy = &self.policy;
        let waits = policy.mercy + policy.throttle.cap + policy.start_timeout.unwrap_or_default();
        u64::try_from(waits.as_millis()).unwrap() + 8 * STEP
    }

    fn plan(&mut self, at: u64, plan: Plan) {
        self.planned += 1;
        assert!(
            self.planned < 1_000_000,
            "it goes round and round at {} ms",
            self.now
        );
        self.plans.insert((at, self.planned), plan);
    }

    fn run_until(&mut self, end: u64) {
        while let Some(entry) = self.plans.first_entry() {
            let at = entry.key().0;
            if at > end {
                break;
            }
            let plan = entry.remove();
            assert!(at >= self.now);
            self.now = at;
            self.happen(plan);
            self.check_patience();
        }
        self.now = end;
        self.check_patience();
    }

    fn happen(&mut self, plan: Plan) {
        match plan {
            Plan::Command(event) => self.tell_wish(event),
            Plan::Timer => {
                let actions = self.child.handle_timer(Millis(self.now));
                self.perform(actions);
            }
            Plan::AnswerSpawn => self.answer_spawn(),
            Plan::BecomeReady(pid) => {
                if let Some(process) = self.process.as_mut().filter(|process| process.pid == pid) {
                    process.ready = true;
                    self.tell(Event::Ready);
                }
            }
            Plan::End(pid, exit) => {
                if self
                    .process
                    .as_ref()
                    .is_some_and(|process| process.pid == pid)
                {
                    self.process = None;
                    self.tell(Event::Exited(exit));
                }
            }
        }
    }

    fn tell_wish(&mut self, event: Event) {
        match event {
            Event::Start => self.wanted = true,
            Event::Stop | Event::Kill => self.wanted = false,
            _ => {}
        }
        self.tell(event);
    }

    fn tell(&mut self, event: Event) {
        let actions = self.child.handle(event, Millis(self.now));
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let stillborn = actions.iter().any(|action| {
            matches!(
                action,
                Action::Report(
                    Report::SpawnFailed
                        | Report::Died {
                            was_ready: false,
                            ..
                        }
                )
            )
        });
        assert!(
            !(stillborn && actions.contains(&Action::Spawn)),
            "no pause after a failed start"
        );
        for action in actions {
            match action {
                Action::Spawn => self.begin_spawn(),
                Action::Signal(pid, kind) => self.signal(pid, kind),
                Action::Report(report) => self.check_report(report),
                Action::Finished(_) => {
                    assert!(
                        self.process.is_none() && !self.spawn_pending,
                        "finished with a process left"
                    );
                    assert_eq!(self.child.status(), Status::Idle);
                    assert!(
                        !std::mem::replace(&mut self.slot_empty, true),
                        "finished twice"
                    );
                    self.wanted = false;
                }
            }
        }
        if let Some(Millis(deadline)) = self.child.deadline() {
            let late = self.dice.below(LATE);
            self.plan(deadline.max(self.now) + late, Plan::Timer);
        }
    }

    fn begin_spawn(&mut self) {
        assert!(
            self.process.is_none(),
            "a second process beside {:?}",
            self.process
        );
        assert!(
            !self.spawn_pending,
            "a second spawn before the first was answered"
        );
        self.spawn_pending = true;
        self.slot_empty = false;
        let at = self.now + self.dice.below(STEP);
        self.plan(at, Plan::AnswerSpawn);
    }

    fn answer_spawn(&mut self) {
        assert!(std::mem::take(&mut self.spawn_pending));
        if !self.healthy && self.dice.percent(20) {
            return self.tell(Event::SpawnFailed);
        }
        self.pids += 1;
        let pid = Pid::from_raw(self.pids).unwrap();
        let fate = self.fate(pid);
        let deaf = !self.healthy && self.dice.percent(30);
        self.process = Some(Process {
            pid,
            born: self.now,
            ready: false,
            asked: None,
            killed: false,
            deaf,
        });
        for (at, plan) in fate.into_iter().flatten() {
            self.plan(at, plan);
        }
        self.tell(Event::Spawned(pid));
    }

    /// When a new process will be ready and when it will end; either may be never.
    fn fate(&mut self, pid: Pid) -> [Option<(u64, Plan)>; 2] {
        let ready = (self.now + self.dice.below(STEP), Plan::BecomeReady(pid));
        if self.healthy {
            return [Some(ready), None];
        }
        let hangs = self.dice.percent(15);
        let life = if self.dice.percent(50) { 2000 } else { 60_000 };
        let end = (
            self.now + self.dice.below(life),
            Plan::End(pid, self.accident()),
        );
        let lasts = self.dice.percent(20);
        [(!hangs).then_some(ready), (!lasts).then_some(end)]
    }

    fn accident(&mut self) -> Exit {
        match self.dice.below(6) {
            0 => Exit::Signal {
                signal: 11,
                core: true,
            },
            1 => Exit::Code(17),
            2 => Exit::Code(15),
            3 => Exit::Code(0),
            _ => Exit::Code(1),
        }
    }

    fn signal(&mut self, pid: Pid, kind: StopKind) {
        let process = self.process.as_mut().filter(|process| process.pid == pid);
        let process = process.unwrap_or_else(|| panic!("{kind:?} for {pid}, which was reaped"));
        assert!(!process.killed, "a signal after SIGKILL");
        match kind {
            StopKind::Graceful => {
                assert!(process.asked.replace(self.now).is_none(), "asked twice");
                if process.deaf {
                    return;
                }
                let at = self.now + self.dice.below(STEP);
                self.plan(at, Plan::End(pid, Exit::Code(0)));
            }
            StopKind::Kill => {
                process.killed = true;
                let at = self.now + self.dice.below(STEP);
                self.plan(
                    at,
                    Plan::End(
                        pid,
                        Exit::Signal {
                            signal: 9,
                            core: false,
                        },
                    ),
                );
            }
        }
    }

    /// A process that was asked to leave, or does not start up, is killed in time.
    fn check_patience(&self) {
        let Some(process) = self.process.as_ref().filter(|process| !process.killed) else {
            return;
        };
        let passed =
            |since: u64, patience: Duration| self.now > since + patience.as_millis() as u64 + LATE;
        if let Some(asked) = process.asked {
            assert!(
                !passed(asked, self.policy.mercy),
                "no SIGKILL after the mercy: {process:?}"
            );
        } else if let Some(patience) = self.policy.start_timeout.filter(|_| !process.ready) {
            assert!(
                !passed(process.born, patience),
                "no SIGKILL after the start timeout: {process:?}"
            );
        }
    }

    fn check_report(&self, report: Report) {
        match report {
            Report::Mercy { after, .. } => {
                assert!(after >= self.policy.mercy, "too little mercy: {after:?}");
            }
            Report::StartTimeout { after, .. } => assert!(Some(after) >= self.policy.start_timeout),
            Report::Throttled { wait, strikes } => {
                assert_eq!(wait, self.policy.throttle.wait(strikes));
                assert!(!wait.is_zero() && wait <= self.policy.throttle.cap);
            }
            _ => {}
        }
    }
}
