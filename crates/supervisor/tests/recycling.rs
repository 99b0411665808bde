//! Recycling in a made-up world of workers that age, grow and serve.

use std::time::Duration;

use uwgate_supervisor::recycling::{Figures, Limits, Order, Reason, Recycling};

const MIB: u64 = 1 << 20;

fn limits() -> Limits {
    Limits {
        min_lifetime: Duration::from_secs(10),
        ..Limits::default()
    }
}

/// Workers of equal age, whose successors take some seconds.
struct World {
    recycling: Recycling,
    now: u64,
    workers: Vec<Process>,
}

struct Process {
    figures: Figures,
    born: u64,
    successor_at: Option<u64>,
}

/// How long a successor takes.
const START: u64 = 3;

impl World {
    fn new(workers: u32, limits: Limits) -> Self {
        let process = |worker| Process {
            figures: Figures {
                worker,
                life: 1,
                age: Duration::ZERO,
                rss: 50 * MIB,
                vsz: 500 * MIB,
                busy: false,
                replacing: false,
            },
            born: 0,
            successor_at: None,
        };
        Self {
            recycling: Recycling::new(limits),
            now: 0,
            workers: (1..=workers).map(process).collect(),
        }
    }

    /// One second; who was replaced and why.
    fn second(&mut self) -> Vec<Order> {
        self.now += 1;
        for process in &mut self.workers {
            if process.successor_at.is_some_and(|at| at <= self.now) {
                process.successor_at = None;
                process.born = self.now;
                process.figures.life += 1;
                process.figures.rss = 50 * MIB;
            }
            process.figures.replacing = process.successor_at.is_some();
            process.figures.age = Duration::from_secs(self.now - process.born);
        }
        let figures: Vec<Figures> = self.workers.iter().map(|it| it.figures).collect();
        let orders = self.recycling.look(&figures);
        for order in &orders {
            let process = &mut self.workers[order.worker as usize - 1];
            assert!(order.kill || process.successor_at.is_none(), "{order:?}");
            process.successor_at = Some(self.now + START);
        }
        orders
    }

    fn run(&mut self, seconds: u64) -> Vec<(u64, Order)> {
        let second = |world: &mut Self| {
            let orders = world.second();
            orders.into_iter().map(|order| (world.now, order)).collect()
        };
        (0..seconds)
            .flat_map(|_| -> Vec<_> { second(self) })
            .collect()
    }

    fn under_way(&self) -> usize {
        self.workers
            .iter()
            .filter(|it| it.successor_at.is_some())
            .count()
    }
}

#[test]
fn without_limits_nobody_goes() {
    assert_eq!(World::new(4, limits()).run(10_000), []);
}

/// All reach their age in the same second, and go one after the other; with a delta each has its own age.
#[test]
fn a_lifetime_ends_one_by_one() {
    let limits = Limits {
        max_lifetime: Duration::from_secs(60),
        ..limits()
    };
    let mut world = World::new(6, limits);
    for second in 1..=400 {
        world.second();
        assert!(world.under_way() <= 1, "at second {second}");
    }
    assert!(world.workers.iter().all(|it| it.figures.life > 3));

    let limits = Limits {
        max_lifetime_delta: Duration::from_secs(20),
        ..limits
    };
    let orders = World::new(3, limits).run(101);
    let ages: Vec<(u64, u32)> = orders
        .iter()
        .map(|(at, order)| (*at, order.worker))
        .collect();
    assert_eq!(ages, [(60, 1), (80, 2), (100, 3)]);
    assert!(matches!(orders[0].1.reason, Reason::Lifetime(age) if age.as_secs() == 60));
}

#[test]
fn a_quarter_of_many_goes_at_a_time() {
    let limits = Limits {
        max_lifetime: Duration::from_secs(30),
        ..limits()
    };
    let mut world = World::new(16, limits);
    let most = (0..600).map(|_| {
        world.second();
        world.under_way()
    });
    assert_eq!(most.max(), Some(4));
}

#[test]
fn whoever_has_served_enough_waits_until_it_is_old_enough() {
    let mut world = World::new(2, limits());
    world.recycling.ask(2, 1, Reason::Requests(1000));
    let orders = world.run(30);
    let (at, order) = orders[0];
    assert_eq!(
        (at, order.worker, order.kill, orders.len()),
        (10, 2, false, 1)
    );
    assert_eq!(
        order.reason.to_string(),
        "it served 1000 requests (max-requests)"
    );
}

#[test]
fn an_exception_does_not_wait() {
    let mut world = World::new(2, limits());
    world.recycling.ask(1, 1, Reason::Exception);
    assert_eq!(world.run(3)[0].0, 1);
}

#[test]
fn what_a_former_process_asked_for_is_forgotten() {
    let mut world = World::new(2, limits());
    world.recycling.ask(1, 7, Reason::Exception);
    assert_eq!(world.run(100), []);
    assert!(!world.recycling.is_waiting());
}

#[test]
fn memory_is_told_with_its_limit() {
    let limits = Limits {
        rss: 400,
        ..limits()
    };
    let mut world = World::new(3, limits);
    world.workers[1].figures.rss = 400 * MIB;
    assert_eq!(world.run(20), [], "not above");
    world.workers[1].figures.rss = 512 * MIB;
    let orders = world.run(20);
    assert_eq!((orders.len(), orders[0].1.worker), (1, 2));
    assert_eq!(
        orders[0].1.reason.to_string(),
        "it uses 512 MiB (reload-on-rss = 400)"
    );
}

/// Killed in the middle of a request, replaced between two, whatever its age and whoever else waits.
#[test]
fn evil_limits_do_not_wait() {
    let limits = Limits {
        evil_address_space: 600,
        ..limits()
    };
    let mut world = World::new(2, limits);
    world.workers[0].figures.vsz = 700 * MIB;
    world.workers[1].figures.vsz = 700 * MIB;
    world.workers[1].figures.busy = true;
    let orders = world.second();
    let done: Vec<(u32, bool)> = orders.iter().map(|it| (it.worker, it.kill)).collect();
    assert_eq!(done, [(1, false), (2, true)]);
}
