//! A realm in a made-up world: virtual time; sources that say anything; vassals that crash, hang, ignore what they are
//! told, go silent; an operator who clicks at random; a clock that jumps; emperors that die, also in the middle of what
//! they do, and others that come after them.
//!
//! Safety at every step: never two processes of one vassal, no signal and no byte to a process that was reaped, no
//! process of a vassal that is forgotten, no byte to one that is not in touch. Liveness once the faults stop: what is wanted runs, what is not is gone,
//! and an end comes to an end, within a bounded virtual time.
//!
//! `UWGATE_SEED=n` replays one world.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uwgate_emperor::reconcile::{
    Event, FromVassal, Manner, Order, Realm, Settings, Standing, State, ToVassal, What, Wish,
};
use uwgate_emperor::spec::{ConfigFrom, Name, Owner, Stamp, VassalSpec};
use uwgate_supervisor::{Exit, Millis, Pid};

const WORLDS: u64 = 500;
const CHAOS: u64 = 600_000;
/// The longest a healthy world takes for one thing.
const STEP: u64 = 1000;
const SOURCES: usize = 2;

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
        world.end();
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

#[derive(Clone, Debug)]
enum Plan {
    /// Something of the world of faults.
    Fault,
    Timer,
    /// The process says this.
    Says(Pid, FromVassal),
    /// The process closes its end of the dialogue.
    GoesMute(Pid),
    Ends(Pid, Exit),
    Beats(Pid),
    /// The process, which has lost its emperor, has found this one.
    Calls(Pid),
    Visit(Name),
}

#[derive(Debug)]
struct Process {
    name: Name,
    life: u64,
    /// Sends heartbeats.
    beats: bool,
    /// Does nothing that it is told.
    deaf: bool,
    killed: bool,
    serves: bool,
    /// Dies with the emperor otherwise.
    kept: bool,
    /// Has a dialogue with the emperor of now.
    in_touch: bool,
}

struct World {
    dice: Dice,
    now: u64,
    realm: Realm,
    plans: BTreeMap<(u64, u64), Plan>,
    planned: u64,
    processes: BTreeMap<Pid, Process>,
    waiting: BTreeMap<Name, bool>,
    sets: Vec<BTreeMap<Name, VassalSpec>>,
    pids: i32,
    stamps: u64,
    healthy: bool,
    timer_at: Option<u64>,
    /// Which emperor this is.
    reign: u64,
    /// Emperors of this world die.
    mortal: bool,
    /// What they note for the next.
    ledger: BTreeMap<Pid, Arc<VassalSpec>>,
}

fn settings() -> Settings {
    Settings {
        keeps: true,
        ..Settings::default()
    }
}

fn name(number: u64) -> Name {
    format!("v{number}.ini").as_str().into()
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            dice: Dice::new(seed),
            now: 1,
            realm: Realm::new(settings(), SOURCES),
            plans: BTreeMap::new(),
            planned: 0,
            processes: BTreeMap::new(),
            waiting: BTreeMap::new(),
            sets: vec![BTreeMap::new(); SOURCES],
            pids: 100,
            stamps: 0,
            healthy: false,
            timer_at: None,
            reign: 1,
            mortal: seed.is_multiple_of(2),
            ledger: BTreeMap::new(),
        };
        world.plan(1, Plan::Fault);
        world
    }

    fn chaos(&mut self) {
        self.run_until(CHAOS);
    }

    /// No more faults: what is wanted has to run.
    fn peace(&mut self) {
        self.healthy = true;
        // Ends that were planned before come to pass.
        self.run_until(self.now + 5 * STEP);
        // Whoever hangs or fails is fixed: its configuration is touched.
        for source in 0..SOURCES {
            self.stamps += 1;
            let stamp = self.stamps;
            for spec in self.sets[source].values_mut() {
                spec.stamp.rest = stamp;
            }
            self.say_set(source);
        }
        let held: Vec<Name> = self
            .realm
            .vassals()
            .filter(|(_, vassal)| vassal.standing() == Standing::Held)
            .map(|(name, _)| name.clone())
            .collect();
        for name in held {
            self.tell(Event::Wish(Wish::Start(name)));
        }
        let settings = Settings::default();
        let longest = settings.mercy + settings.throttle.cap + settings.heartbeat;
        let bound = u64::try_from(longest.as_millis()).unwrap() * 2 + 20 * STEP;
        self.run_until(self.now + bound);
        let mut wanted: BTreeMap<Name, bool> = BTreeMap::new();
        for set in self.sets.iter().rev() {
            for (name, spec) in set {
                wanted.insert(name.clone(), spec.on_demand.is_some());
            }
        }
        for (name, on_demand) in &wanted {
            let vassal = self
                .realm
                .vassal(name)
                .unwrap_or_else(|| panic!("{name} is lost"));
            let state = vassal.state();
            let fine = match on_demand {
                false => matches!(state, State::Running),
                true => matches!(state, State::Running | State::OnDemand),
            };
            assert!(fine, "{name} is {state:?} at {} ms: {vassal:#?}", self.now);
        }
        for (name, _) in self.realm.vassals() {
            assert!(wanted.contains_key(name), "{name} is there and not wanted");
        }
        for process in self.processes.values() {
            assert!(
                wanted.contains_key(&process.name),
                "{process:?} was left behind"
            );
        }
    }

    /// Everything can be brought to an end, also in the middle of anything.
    fn end(&mut self) {
        let manners = [Manner::Graceful, Manner::Quick, Manner::Kill];
        let manner = manners[usize::try_from(self.dice.below(3)).unwrap()];
        for process in self.processes.values_mut() {
            process.deaf = self.dice.percent(30);
        }
        if self.dice.percent(30) {
            self.leave();
        }
        self.tell(Event::Wish(Wish::EndAll(manner)));
        let mercy = u64::try_from(Settings::default().mercy.as_millis()).unwrap();
        self.run_until(self.now + mercy + 5 * STEP);
        assert!(self.realm.has_ended(), "an end without end");
        assert!(self.processes.is_empty(), "{:?}", self.processes);
    }

    /// What goes on without an emperor goes on, and the next one has it.
    fn leave(&mut self) {
        self.tell(Event::Wish(Wish::Leave));
        let mercy = u64::try_from(settings().mercy.as_millis()).unwrap();
        self.run_until(self.now + mercy + 5 * STEP);
        assert!(self.realm.has_ended(), "it cannot leave");
        let alone = self.processes.values();
        let kept = alone.filter(|it| it.kept).count();
        assert_eq!(kept, self.processes.len(), "{:?}", self.processes);
        self.succeed();
    }

    /// The emperor dies, and after a while there is another.
    fn die(&mut self) {
        self.processes.retain(|_, process| process.kept);
        let orphans: Vec<Pid> = self.processes.keys().copied().collect();
        for pid in orphans {
            if self.dice.percent(20) {
                self.processes.remove(&pid);
            }
        }
        self.now += self.dice.below(100_000);
        self.succeed();
    }

    fn succeed(&mut self) {
        self.reign += 1;
        self.realm = Realm::new(settings(), SOURCES);
        self.timer_at = None;
        self.waiting.clear();
        let mut found = BTreeMap::new();
        for (pid, spec) in std::mem::take(&mut self.ledger) {
            let Some(process) = self.processes.get_mut(&pid) else {
                continue;
            };
            process.in_touch = false;
            process.life = self
                .realm
                .find_again((*spec).clone(), pid, Millis(self.now));
            let calls = !process.deaf;
            found.insert(pid, spec);
            if calls {
                let at = self.now + self.dice.below(2 * STEP);
                self.plan(at, Plan::Calls(pid));
            }
        }
        for pid in self.processes.keys() {
            assert!(found.contains_key(pid), "nobody knows of {pid}");
        }
        self.ledger = found;
        (0..SOURCES).for_each(|source| self.say_set(source));
    }

    fn plan(&mut self, at: u64, plan: Plan) {
        self.planned += 1;
        assert!(self.planned < 5_000_000, "it goes round and round");
        self.plans.insert((at, self.planned), plan);
    }

    fn run_until(&mut self, end: u64) {
        self.set_timer();
        while let Some(entry) = self.plans.first_entry() {
            let at = entry.key().0;
            if at > end {
                break;
            }
            let plan = entry.remove();
            self.now = self.now.max(at);
            self.happen(plan);
            self.set_timer();
        }
        self.now = self.now.max(end);
    }

    fn set_timer(&mut self) {
        let Some(deadline) = self.realm.deadline() else {
            return;
        };
        let late = if self.healthy { 0 } else { self.dice.below(30) };
        let at = deadline.0.max(self.now + 1) + late;
        if self
            .timer_at
            .is_none_or(|before| at < before || before <= self.now)
        {
            self.timer_at = Some(at);
            self.plan(at, Plan::Timer);
        }
    }

    fn happen(&mut self, plan: Plan) {
        match plan {
            Plan::Fault if self.healthy => {}
            Plan::Fault => {
                self.fault();
                let next = self.now + 1 + self.dice.below(4000);
                self.plan(next, Plan::Fault);
            }
            Plan::Timer => {
                self.timer_at = None;
                let orders = self.realm.handle_timer(Millis(self.now));
                self.perform(orders);
            }
            Plan::Says(pid, word) => self.say(pid, word),
            Plan::GoesMute(pid) => {
                if let Some(process) = self.processes.get(&pid).filter(|it| it.in_touch) {
                    let (name, life) = (process.name.clone(), process.life);
                    self.tell(Event::Mute { name, life });
                }
            }
            Plan::Ends(pid, exit) => self.bury(pid, exit),
            Plan::Beats(pid) => {
                if self.processes.get(&pid).is_some_and(|it| it.beats) {
                    self.say(pid, FromVassal::Heartbeat);
                    let next = self.now + 5000;
                    self.plan(next, Plan::Beats(pid));
                }
            }
            Plan::Calls(pid) => {
                let Some(process) = self.processes.get_mut(&pid) else {
                    return;
                };
                process.in_touch = true;
                let (name, serves) = (process.name.clone(), process.serves);
                self.tell(Event::Returned(name));
                if serves {
                    self.say(pid, FromVassal::Accepting);
                }
            }
            Plan::Visit(name) => {
                if self.waiting.get(&name) == Some(&true) {
                    self.tell(Event::Visitor(name));
                }
            }
        }
    }

    fn say(&mut self, pid: Pid, word: FromVassal) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        process.serves |= word == FromVassal::Accepting;
        if !process.in_touch {
            return;
        }
        let (name, life) = (process.name.clone(), process.life);
        self.tell(Event::Said { name, life, word });
    }

    fn bury(&mut self, pid: Pid, exit: Exit) {
        if let Some(process) = self.processes.remove(&pid) {
            self.ledger.remove(&pid);
            self.tell(Event::Exited(process.name, exit));
        }
    }

    fn any_process(&mut self) -> Option<Pid> {
        let count = self.processes.len() as u64;
        let at = usize::try_from(self.dice.below(count.max(1))).unwrap();
        self.processes.keys().nth(at).copied()
    }

    fn any_name(&mut self) -> Name {
        name(self.dice.below(5))
    }

    fn fault(&mut self) {
        match self.dice.below(15) {
            13 if self.mortal => self.die(),
            0..=3 => self.change_set(),
            4 => {
                if let Some(pid) = self.any_process() {
                    let exit = self.any_exit();
                    self.bury(pid, exit);
                }
            }
            5 => {
                if let Some(pid) = self.any_process() {
                    self.processes.get_mut(&pid).unwrap().beats = false;
                }
            }
            6 => {
                if let Some(pid) = self.any_process() {
                    self.processes.get_mut(&pid).unwrap().deaf = true;
                }
            }
            7 => {
                if let Some(pid) = self.any_process() {
                    self.plan(self.now, Plan::GoesMute(pid));
                }
            }
            8 => {
                if let Some(pid) = self.any_process() {
                    let words = [
                        FromVassal::StopMe,
                        FromVassal::Loyal,
                        FromVassal::Sos,
                        FromVassal::WantsConfig,
                        FromVassal::Accepting,
                    ];
                    let at = usize::try_from(self.dice.below(5)).unwrap();
                    self.say(pid, words[at]);
                }
            }
            9 => {
                // Words of a process that is gone.
                let name = self.any_name();
                let life = self.dice.below(20);
                let word = FromVassal::Accepting;
                self.tell(Event::Said {
                    name: name.clone(),
                    life,
                    word,
                });
                self.tell(Event::Mute { name, life });
            }
            // The emperor was not there for an hour, and neither was anybody's timer.
            10 => self.now += self.dice.below(3_600_000) / (1 + self.dice.below(50)),
            11 => {
                let name = self.any_name();
                match self.dice.percent(70) {
                    true => self.plan(self.now, Plan::Visit(name)),
                    false => self.tell(Event::SocketLost(name)),
                }
            }
            12 => {
                let name = self.any_name();
                let wish = match self.dice.below(5) {
                    0 => Wish::ReloadAll,
                    1 => Wish::Forgive,
                    2 => Wish::Reload(name),
                    3 => Wish::Stop(name),
                    _ => Wish::Start(name),
                };
                self.tell(Event::Wish(wish));
            }
            _ => {
                let source = usize::try_from(self.dice.below(SOURCES as u64)).unwrap();
                self.say_set(source);
            }
        }
    }

    fn any_exit(&mut self) -> Exit {
        match self.dice.below(5) {
            0 => Exit::Code(0),
            1 => Exit::Code(26),
            2 => Exit::Code(1),
            _ => Exit::Signal {
                signal: 9,
                core: false,
            },
        }
    }

    fn change_set(&mut self) {
        let source = usize::try_from(self.dice.below(SOURCES as u64)).unwrap();
        let name = self.any_name();
        self.stamps += 1;
        let stamp = Stamp {
            seconds: self.now,
            rest: self.stamps,
        };
        let changed_owner = self.dice.percent(20).then_some(Owner { uid: 1, gid: 1 });
        let on_demand = self.dice.percent(25).then(|| "/x.sock".to_owned());
        let vanish = self.dice.percent(35);
        let set = &mut self.sets[source];
        if vanish {
            set.remove(&name);
        } else {
            let spec = VassalSpec {
                name: name.clone(),
                config: ConfigFrom::File {
                    path: PathBuf::from(name.as_str()),
                },
                stamp,
                owner: changed_owner,
                directory: PathBuf::from("/v"),
                on_demand,
                attributes: Vec::new(),
            };
            set.insert(name, spec);
        }
        self.say_set(source);
    }

    fn say_set(&mut self, source: usize) {
        let set = self.sets[source].values().cloned().collect();
        self.tell(Event::Wanted { source, set });
    }

    fn tell(&mut self, event: Event) {
        let orders = self.realm.handle(event, Millis(self.now));
        self.perform(orders);
    }

    fn perform(&mut self, orders: Vec<Order>) {
        let reign = self.reign;
        for Order { name, what } in orders {
            if self.mortal && !self.healthy && self.dice.below(1000) == 0 {
                self.die();
            }
            // What it was about to do died with it.
            if self.reign != reign {
                return;
            }
            match what {
                What::Spawn { spec, life } => self.spawn(name, &spec, life),
                What::Say(word) => self.hear(&name, word),
                What::SendConfig(_) => assert!(self.find(&name).is_some(), "to nobody: {name}"),
                What::Terminate(pid) | What::Kill(pid) => {
                    let process = self.processes.get_mut(&pid);
                    let process =
                        process.unwrap_or_else(|| panic!("a signal to a stranger: {pid}"));
                    assert_eq!(process.name, name, "a signal to another's process");
                    let is_kill = matches!(what, What::Kill(_));
                    process.killed |= is_kill;
                    if is_kill || !process.deaf {
                        self.end_soon(pid, is_kill);
                    }
                }
                What::AwaitVisitor(spec) => {
                    assert!(spec.on_demand.is_some());
                    assert!(self.find(&name).is_none(), "{name} waits and lives");
                    self.waiting.insert(name.clone(), true);
                    let at = self.now + self.dice.below(60_000);
                    self.plan(at, Plan::Visit(name));
                }
                What::StopWaiting => drop(self.waiting.insert(name, false)),
                What::CloseSocket => {
                    let waits = self.waiting.remove(&name);
                    assert_ne!(waits, Some(true), "{name} waits on a closed socket");
                }
                What::Report(_) => {}
                What::Keep { pid, spec, life } => {
                    assert_eq!(self.find(&name), Some(pid));
                    let is_full = !self.healthy && self.dice.percent(5);
                    if !is_full {
                        self.ledger.insert(pid, spec);
                        self.tell(Event::Kept { name, life });
                    }
                }
                What::LeaveBehind => {
                    let pid = self.find(&name).expect("it is there");
                    let process = self.processes.get_mut(&pid).unwrap();
                    assert!(process.kept || self.ledger.contains_key(&pid));
                    // It was told before, in order.
                    process.in_touch = false;
                    self.waiting.remove(&name);
                }
                What::Forget => {
                    assert!(self.find(&name).is_none(), "{name} is forgotten and lives");
                    self.waiting.remove(&name);
                }
            }
        }
    }

    fn find(&self, name: &Name) -> Option<Pid> {
        let mut all = self.processes.iter();
        all.find(|(_, it)| it.name == *name).map(|(pid, _)| *pid)
    }

    fn spawn(&mut self, name: Name, spec: &Arc<VassalSpec>, life: u64) {
        assert!(self.find(&name).is_none(), "two masters of {name}");
        self.waiting.insert(name.clone(), false);
        if !self.healthy && self.dice.percent(10) {
            return self.tell(Event::SpawnFailed(name, "no luck".into()));
        }
        self.pids += 1;
        let pid = Pid::from_raw(self.pids).unwrap();
        let faulty = !self.healthy && self.dice.percent(30);
        let process = Process {
            name: name.clone(),
            life,
            beats: self.dice.percent(50),
            deaf: faulty && self.dice.percent(50),
            killed: false,
            serves: false,
            kept: false,
            in_touch: true,
        };
        let beats = process.beats;
        self.processes.insert(pid, process);
        assert_eq!(spec.name, name);
        if faulty && self.dice.percent(50) {
            let (at, exit) = (self.now + self.dice.below(3000), self.any_exit());
            self.plan(at, Plan::Ends(pid, exit));
        }
        if !faulty || self.dice.percent(50) {
            let at = self.now + self.dice.below(STEP);
            self.plan(at, Plan::Says(pid, FromVassal::Spawned));
            if self.dice.percent(70) {
                self.plan(at + 5, Plan::Says(pid, FromVassal::CanOutlive));
            }
            self.plan(at + 10, Plan::Says(pid, FromVassal::Accepting));
            if beats {
                self.plan(at + 20, Plan::Beats(pid));
            }
        }
        self.tell(Event::Spawned(name, pid));
    }

    fn hear(&mut self, name: &Name, word: ToVassal) {
        let pid = self
            .find(name)
            .unwrap_or_else(|| panic!("a byte to nobody: {name}"));
        let process = self.processes.get_mut(&pid).unwrap();
        assert!(
            process.in_touch,
            "{word:?} to {name}, which is not in touch"
        );
        let deaf = process.deaf && !self.healthy;
        match word {
            ToVassal::Outlive => process.kept = true,
            _ if deaf => {}
            ToVassal::Stop | ToVassal::StopGracefully => self.end_soon(pid, false),
            ToVassal::Reload => {
                let at = self.now + self.dice.below(STEP);
                self.plan(at, Plan::Says(pid, FromVassal::Accepting));
            }
        }
    }

    fn end_soon(&mut self, pid: Pid, killed: bool) {
        let exit = match killed {
            true => Exit::Signal {
                signal: 9,
                core: false,
            },
            false => Exit::Code(0),
        };
        let at = self.now + self.dice.below(STEP);
        self.plan(at, Plan::Ends(pid, exit));
    }
}

#[test]
fn silence_while_the_emperor_was_away_is_no_fault() {
    let mut world = World::new(7);
    world.plans.clear();
    world.healthy = true;
    world.stamps += 1;
    let spec = VassalSpec {
        name: name(1),
        config: ConfigFrom::File {
            path: "v1.ini".into(),
        },
        stamp: Stamp::default(),
        owner: None,
        directory: "/v".into(),
        on_demand: None,
        attributes: Vec::new(),
    };
    world.sets[0].insert(name(1), spec);
    world.say_set(0);
    let pid = world.find(&name(1)).unwrap();
    world.processes.get_mut(&pid).unwrap().beats = false;
    world.say(pid, FromVassal::Accepting);
    world.say(pid, FromVassal::Heartbeat);
    let hour = Duration::from_secs(3600);
    world.now += u64::try_from(hour.as_millis()).unwrap();
    let orders = world.realm.handle_timer(Millis(world.now));
    assert!(orders.is_empty(), "{orders:?}");
    // But then it counts.
    world.now += 31_000;
    let orders = world.realm.handle_timer(Millis(world.now));
    assert!(orders.iter().any(|it| matches!(it.what, What::Kill(_))));
}

/// What has outlived an emperor and is told to end has still to be followed by what is wanted by then.
#[test]
fn one_that_goes_before_it_has_called_has_a_successor() {
    let spec = |on_demand: Option<&str>, stamp| VassalSpec {
        name: name(1),
        config: ConfigFrom::File {
            path: "v1.ini".into(),
        },
        stamp: Stamp {
            seconds: 0,
            rest: stamp,
        },
        owner: None,
        directory: "/v".into(),
        on_demand: on_demand.map(str::to_owned),
        attributes: Vec::new(),
    };
    let (now, pid) = (Millis(1), Pid::from_raw(7).unwrap());
    let waiting = spec(Some("/x.sock"), 1);
    let mut realm = Realm::new(settings(), 1);
    realm.find_again(waiting.clone(), pid, now);
    let sets = [vec![], vec![waiting], vec![spec(None, 2)]];
    for set in sets {
        let orders = realm.handle(Event::Wanted { source: 0, set }, now);
        assert!(
            !orders
                .iter()
                .any(|it| matches!(it.what, What::Spawn { .. }))
        );
    }
    let orders = realm.handle(Event::Exited(name(1), Exit::Unseen), now);
    assert!(
        orders
            .iter()
            .any(|it| matches!(it.what, What::Spawn { .. }))
    );
}
