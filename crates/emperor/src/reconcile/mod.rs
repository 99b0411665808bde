//! What there is to be against what there is: events and the time in, orders out, no I/O.
//!
//! A [`Realm`] knows what each source wants and how each vassal is. The life of one process is a
//! [`Child`](uwgate_supervisor::Child); what is added here is what makes it a vassal: versions of its configuration,
//! the dialogue, visitors on its socket, the operator's wishes.
//!
//! Promises of the shell: each [`What::Spawn`] is answered by one [`Event::Spawned`] or [`Event::SpawnFailed`], each
//! spawned process by one [`Event::Exited`], told before any later order is carried out. Then there are never two
//! masters of one vassal, and no signal goes to a process that was reaped.

mod pacing;
mod report;
mod vassal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use uwgate_supervisor::{Exit, Millis, Pid, Throttle};

pub use self::report::Report;
pub use self::vassal::{Death, Standing, State, Vassal};
use crate::spec::{Name, VassalSpec};

/// What an operator chooses about all vassals.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long to wait before a vassal that failed is started again.
    pub throttle: Throttle,
    /// How long a graceful stop may take.
    pub mercy: Duration,
    /// How long a vassal that has sent heartbeats may be silent.
    pub heartbeat: Duration,
    /// How long a vassal that does not listen may live.
    pub tolerance: Duration,
    /// Vassals may outlive the emperor, if they know how to.
    pub keeps: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            throttle: Throttle {
                base: Duration::from_secs(1),
                factor: 2.0,
                cap: Duration::from_secs(180),
                free: 1,
                stable: Duration::from_secs(10),
            },
            mercy: Duration::from_secs(70),
            heartbeat: Duration::from_secs(30),
            tolerance: Duration::from_secs(30),
            keeps: false,
        }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A source says which vassals there are to be.
    Wanted {
        /// By its place among the options.
        source: usize,
        /// All of them.
        set: Vec<VassalSpec>,
    },
    /// Answer to [`What::Spawn`]: it lives.
    Spawned(Name, Pid),
    /// Answer to [`What::Spawn`]: it could not be started, for this reason.
    SpawnFailed(Name, String),
    /// A vassal has said something. `life` is that of its [`What::Spawn`].
    Said {
        /// Which vassal.
        name: Name,
        /// Which of its processes.
        life: u64,
        /// What.
        word: FromVassal,
    },
    /// A vassal will say nothing more and hears nothing more.
    Mute {
        /// Which vassal.
        name: Name,
        /// Which of its processes.
        life: u64,
    },
    /// Answer to [`What::Keep`]: an emperor after this one will know of it.
    Kept {
        /// Which vassal.
        name: Name,
        /// Which of its processes.
        life: u64,
    },
    /// The process of a vassal that has outlived an emperor is in touch with this one.
    Returned(Name),
    /// It was reaped, or has ended as somebody else's child.
    Exited(Name, Exit),
    /// Somebody has connected to the socket of a vassal that is not there.
    Visitor(Name),
    /// The socket that was lent to a vassal on demand can no longer be reached.
    SocketLost(Name),
    /// The operator wants something.
    Wish(Wish),
}

/// uWSGI's bytes, from the vassal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromVassal {
    /// 1: its master is there.
    Spawned,
    /// 2: it wants its configuration (again).
    WantsConfig,
    /// 5: it accepts requests.
    Accepting,
    /// 17: it has served one.
    Loyal,
    /// 22: it wants to be stopped.
    StopMe,
    /// 26: it is alive.
    Heartbeat,
    /// 30: it wants reinforcements, which there are none of.
    Sos,
    /// 107, not uWSGI's: it could go on without an emperor until there is one again.
    CanOutlive,
}

impl FromVassal {
    /// What a byte says; `None` when it says nothing known.
    pub fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Spawned,
            2 => Self::WantsConfig,
            5 => Self::Accepting,
            17 => Self::Loyal,
            22 => Self::StopMe,
            26 => Self::Heartbeat,
            30 => Self::Sos,
            OUTLIVE => Self::CanOutlive,
            _ => return None,
        })
    }
}

/// Said by a vassal that has been told where to find the next emperor, and answered when that one will know of it.
const OUTLIVE: u8 = 107;

/// uWSGI's bytes, to the vassal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToVassal {
    /// 0: end soon.
    Stop,
    /// 1: reload.
    Reload,
    /// 2: finish the requests, then end.
    StopGracefully,
    /// 107, not uWSGI's: go on without this emperor, should it go.
    Outlive,
}

impl ToVassal {
    /// The byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Stop => 0,
            Self::Reload => 1,
            Self::StopGracefully => 2,
            Self::Outlive => OUTLIVE,
        }
    }
}

/// What the operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// All vassals reload.
    ReloadAll,
    /// All vassals end, and the emperor with them.
    EndAll(Manner),
    /// The emperor ends. Vassals that can go on do so, for the next one; the others finish their requests and end.
    Leave,
    /// This vassal reloads; one that waits to be started is started.
    Reload(Name),
    /// This vassal ends, and stays so until it is to start, whatever becomes of its configuration.
    Stop(Name),
    /// This vassal starts, at once.
    Start(Name),
    /// Vassals that wait because they failed are started now.
    Forgive,
}

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// Requests are finished.
    Graceful,
    /// Soon.
    Quick,
    /// Now.
    Kill,
}

/// What the shell is to do for a vassal.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which vassal.
    pub name: Name,
    /// What.
    pub what: What,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum What {
    /// Start it, then say [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn {
        /// The configuration of now.
        spec: Arc<VassalSpec>,
        /// Tells this process from others of the same vassal.
        life: u64,
    },
    /// Say this to it.
    Say(ToVassal),
    /// Send it this configuration.
    SendConfig(Arc<VassalSpec>),
    /// Write down for an emperor after this one that this live process runs this configuration, then say
    /// [`Event::Kept`].
    Keep {
        /// The process.
        pid: Pid,
        /// What it runs.
        spec: Arc<VassalSpec>,
        /// As in [`What::Spawn`].
        life: u64,
    },
    /// It stays for the next emperor: let go of it, and touch nothing that is its.
    LeaveBehind,
    /// It does not listen: ask this live process to end by a signal.
    Terminate(Pid),
    /// SIGKILL to this live process.
    Kill(Pid),
    /// Wait for somebody to connect to its socket, then say [`Event::Visitor`].
    AwaitVisitor(Arc<VassalSpec>),
    /// Wait no more; the socket stays if it was started with it.
    StopWaiting,
    /// Close the socket of a vassal on demand: nobody is to come any more.
    CloseSocket,
    /// Tell the operator.
    Report(Report),
    /// There is nothing of it any more.
    Forget,
}

/// All vassals.
#[derive(Debug)]
pub struct Realm {
    settings: Settings,
    /// How many sources there are.
    sources: usize,
    sets: BTreeMap<usize, Vec<Arc<VassalSpec>>>,
    vassals: BTreeMap<Name, Vassal>,
    /// Names in more than one source, that were told of.
    doubles: BTreeSet<Name>,
    /// To be held as soon as a source names them.
    held: BTreeSet<Name>,
    /// New ones are held as well, but for these.
    free: Option<BTreeSet<Name>>,
    lives: u64,
    ending: Option<Manner>,
    /// When we were last asked anything.
    seen: Millis,
}

/// When the emperor comes so late to what is due, it was not there itself, and silence is no vassal's fault.
const LATE: Duration = Duration::from_secs(2);

impl Realm {
    /// An empty one, of so many sources.
    pub fn new(settings: Settings, sources: usize) -> Self {
        Self {
            settings,
            sources,
            sets: BTreeMap::new(),
            vassals: BTreeMap::new(),
            doubles: BTreeSet::new(),
            held: BTreeSet::new(),
            free: None,
            lives: 0,
            ending: None,
            seen: Millis::default(),
        }
    }

    /// Every vassal by its name, those on their way out included.
    pub fn vassals(&self) -> impl Iterator<Item = (&Name, &Vassal)> {
        self.vassals.iter()
    }

    /// A vassal.
    pub fn vassal(&self, name: &Name) -> Option<&Vassal> {
        self.vassals.get(name)
    }

    /// Whether everything is over that was to end.
    pub fn has_ended(&self) -> bool {
        self.ending.is_some() && self.vassals.is_empty()
    }

    /// Whether it is about to.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Takes over a vassal of an emperor before this one. It stays until all sources have told what they want.
    pub fn adopt(&mut self, spec: VassalSpec, pid: Pid, accepting: bool, now: Millis) -> u64 {
        self.lives += 1;
        let vassal = Vassal::adopted(&self.settings, spec, pid, self.lives, accepting, now);
        self.vassals.insert(vassal.spec().name.clone(), vassal);
        self.lives
    }

    /// As [`adopt`](Self::adopt), of a vassal that has outlived that emperor and is not in touch with this one. It is
    /// left alone until [`Event::Returned`], or until that takes too long.
    pub fn find_again(&mut self, spec: VassalSpec, pid: Pid, now: Millis) -> u64 {
        let name = spec.name.clone();
        let life = self.adopt(spec, pid, true, now);
        if let Some(vassal) = self.vassals.get_mut(&name) {
            vassal.await_return(now);
        }
        life
    }

    /// Of an emperor before this one: vassals that the operator has stopped stay so.
    pub fn hold(&mut self, names: impl IntoIterator<Item = Name>) {
        self.held.extend(names);
    }

    /// From now on every new vassal but these is held until somebody wants it to start.
    pub fn wait_for_command(&mut self, except: impl IntoIterator<Item = Name>) {
        self.free.get_or_insert_default().extend(except);
    }

    /// Whether a vassal that is new waits for somebody to want it.
    pub fn waits_for_command(&self, name: &Name) -> bool {
        self.free.as_ref().is_some_and(|free| !free.contains(name))
    }

    /// When [`handle_timer`](Self::handle_timer) has something to do.
    pub fn deadline(&self) -> Option<Millis> {
        self.vassals.values().filter_map(Vassal::deadline).min()
    }

    /// Does what is due. Early, late and repeated calls do no harm.
    pub fn handle_timer(&mut self, now: Millis) -> Vec<Order> {
        if let Some(deadline) = self.deadline()
            && now.since(deadline.max(self.seen)) > LATE
        {
            for vassal in self.vassals.values_mut() {
                vassal.excuse_silence(now);
            }
        }
        self.each(now, Vassal::handle_timer)
    }

    /// Takes one event, at the time it happened, and says what to do about it, in order.
    pub fn handle(&mut self, event: Event, now: Millis) -> Vec<Order> {
        self.seen = now;
        match event {
            Event::Wanted { source, set } => self.wanted(source, set, now),
            Event::Spawned(name, pid) => self.one(&name, now, |it, cx| it.spawned(pid, cx)),
            Event::SpawnFailed(name, why) => {
                self.one(&name, now, |it, cx| it.spawn_failed(why, cx))
            }
            Event::Said { name, life, word } => {
                self.one(&name, now, |it, cx| it.said(life, word, cx))
            }
            Event::Mute { name, life } => self.one(&name, now, |it, cx| it.mute(life, cx)),
            Event::Kept { name, life } => self.one(&name, now, |it, cx| it.kept(life, cx)),
            Event::Returned(name) => self.one(&name, now, Vassal::returned),
            Event::Exited(name, exit) => self.one(&name, now, |it, cx| it.exited(exit, cx)),
            Event::Visitor(name) => self.one(&name, now, Vassal::visitor),
            Event::SocketLost(name) => self.one(&name, now, Vassal::socket_lost),
            Event::Wish(wish) => self.wish(wish, now),
        }
    }

    fn wish(&mut self, wish: Wish, now: Millis) -> Vec<Order> {
        match wish {
            Wish::EndAll(manner) => self.end(manner, now),
            Wish::Leave => self.leave(now),
            // What ends does nothing else any more.
            _ if self.ending.is_some() => Vec::new(),
            Wish::ReloadAll => self.each(now, Vassal::reload),
            Wish::Forgive => self.each(now, Vassal::forgive),
            Wish::Reload(name) => self.one(&name, now, Vassal::reload),
            Wish::Stop(name) => self.one(&name, now, Vassal::hold),
            Wish::Start(name) => self.one(&name, now, Vassal::release),
        }
    }

    fn end(&mut self, manner: Manner, now: Millis) -> Vec<Order> {
        let manner = self.ending.map_or(manner, |before| before.max(manner));
        self.ending = Some(manner);
        self.each(now, |vassal, cx| vassal.end(manner, cx))
    }

    fn leave(&mut self, now: Millis) -> Vec<Order> {
        let all = self.vassals.iter();
        let stays = all.filter(|(_, vassal)| vassal.can_be_left());
        let stays: Vec<Name> = stays.map(|(name, _)| name.clone()).collect();
        self.vassals.retain(|_, vassal| !vassal.can_be_left());
        let left = stays.into_iter().flat_map(|name| {
            let whats = [What::Report(Report::LeftBehind), What::LeaveBehind];
            whats.map(|what| Order {
                name: name.clone(),
                what,
            })
        });
        let mut orders: Vec<Order> = left.collect();
        orders.extend(self.end(Manner::Graceful, now));
        orders
    }

    /// The first source that names a vassal has it.
    fn wanted(&mut self, source: usize, set: Vec<VassalSpec>, now: Millis) -> Vec<Order> {
        self.sets
            .insert(source, set.into_iter().map(Arc::new).collect());
        if self.ending.is_some() {
            return Vec::new();
        }
        let mut orders = Vec::new();
        let mut union: BTreeMap<Name, (usize, Arc<VassalSpec>)> = BTreeMap::new();
        let mut doubles = BTreeSet::new();
        for (source, set) in &self.sets {
            for spec in set {
                if union.contains_key(&spec.name) {
                    doubles.insert(spec.name.clone());
                } else {
                    union.insert(spec.name.clone(), (*source, Arc::clone(spec)));
                }
            }
        }
        for name in doubles.difference(&self.doubles) {
            let what = What::Report(Report::Double);
            let name = name.clone();
            orders.push(Order { name, what });
        }
        self.doubles = doubles;
        let known_all = self.sets.len() >= self.sources;
        let gone: Vec<Name> = self
            .vassals
            .keys()
            .filter(|name| known_all && !union.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            orders.extend(self.one(&name, now, Vassal::vanish));
        }
        for (name, (source, spec)) in union {
            let held = self.held.remove(&name) || self.waits_for_command(&name);
            let settings = self.settings;
            self.vassals
                .entry(name.clone())
                .or_insert_with(|| Vassal::new(&settings, Arc::clone(&spec), source, held));
            orders.extend(self.one(&name, now, |it, cx| it.wanted(source, spec, cx)));
        }
        orders
    }

    fn each(
        &mut self,
        now: Millis,
        mut act: impl FnMut(&mut Vassal, &mut Context<'_>),
    ) -> Vec<Order> {
        let names: Vec<Name> = self.vassals.keys().cloned().collect();
        let each = names.iter().flat_map(|name| self.one(name, now, &mut act));
        each.collect()
    }

    /// Does something with a vassal and draws the consequences.
    fn one(
        &mut self,
        name: &Name,
        now: Millis,
        act: impl FnOnce(&mut Vassal, &mut Context<'_>),
    ) -> Vec<Order> {
        let Some(vassal) = self.vassals.get_mut(name) else {
            return Vec::new();
        };
        let mut context = Context {
            now,
            settings: &self.settings,
            lives: &mut self.lives,
            orders: Vec::new(),
        };
        act(vassal, &mut context);
        let mut orders = context.orders;
        if vassal.is_over() {
            self.vassals.remove(name);
            orders.push(What::Forget);
        }
        let order = |what| Order {
            name: name.clone(),
            what,
        };
        orders.into_iter().map(order).collect()
    }
}

/// What a vassal needs to decide, and where its orders go.
pub struct Context<'r> {
    now: Millis,
    settings: &'r Settings,
    lives: &'r mut u64,
    orders: Vec<What>,
}

impl Context<'_> {
    fn order(&mut self, what: What) {
        self.orders.push(what);
    }

    fn report(&mut self, report: Report) {
        self.orders.push(What::Report(report));
    }
}
