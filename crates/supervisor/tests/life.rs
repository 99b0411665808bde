//! Single lives, told step by step.

use std::time::Duration;

use uwgate_supervisor::{
    Action, Child, Event, Exit, Millis, Pid, Policy, Report, Status, StopKind, Throttle, Verdict,
};

const KILLED: Exit = Exit::Signal {
    signal: 9,
    core: false,
};

/// A child with its clock, and what it wants done, reports left out.
struct Stage {
    child: Child,
    now: Millis,
    pids: i32,
    reports: Vec<Report>,
}

impl Stage {
    fn new(policy: Policy) -> Stage {
        Stage {
            child: Child::new(policy),
            now: Millis(0),
            pids: 0,
            reports: Vec::new(),
        }
    }

    fn running(policy: Policy) -> Stage {
        let mut stage = Stage::new(policy);
        assert_eq!(stage.handle(Event::Start), [Action::Spawn]);
        stage.spawned_and_ready();
        stage
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        let actions = self.child.handle(event, self.now);
        self.keep_orders(actions)
    }

    fn wait(&mut self, time: Duration) -> Vec<Action> {
        self.now = self.now + time;
        let actions = self.child.handle_timer(self.now);
        self.keep_orders(actions)
    }

    fn keep_orders(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let (reports, orders) = actions
            .into_iter()
            .partition(|action| matches!(action, Action::Report(_)));
        let reports: Vec<Action> = reports;
        self.reports
            .extend(reports.into_iter().filter_map(|action| match action {
                Action::Report(report) => Some(report),
                _ => None,
            }));
        orders
    }

    fn spawned(&mut self) -> Pid {
        self.pids += 1;
        let pid = Pid::from_raw(self.pids).unwrap();
        assert_eq!(self.handle(Event::Spawned(pid)), []);
        pid
    }

    fn spawned_and_ready(&mut self) {
        self.spawned();
        assert_eq!(self.handle(Event::Ready), []);
        assert_eq!(self.child.status(), Status::Running);
    }

    fn pid(&self) -> Pid {
        self.child.pid().unwrap()
    }
}

#[test]
fn a_worker_killed_in_service_is_back_at_once() {
    let mut stage = Stage::running(Policy::default());
    assert_eq!(stage.handle(Event::Exited(KILLED)), [Action::Spawn]);
    let died = stage
        .reports
        .iter()
        .find(|report| matches!(report, Report::Died { .. }));
    assert!(matches!(
        died,
        Some(Report::Died {
            exit: KILLED,
            verdict: Verdict::Failed,
            was_ready: true,
            ..
        })
    ));
}

#[test]
fn a_crash_loop_slows_down_to_the_cap() {
    let mut stage = Stage::new(Policy::default());
    let mut spawns = 0;
    let mut orders = stage.handle(Event::Start);
    while stage.now < Millis(3_600_000) {
        if orders == [Action::Spawn] {
            spawns += 1;
            assert!(spawns < 1000, "no throttle");
            stage.spawned();
            orders = stage.handle(Event::Exited(Exit::Code(22)));
        } else {
            let wait = stage
                .child
                .deadline()
                .expect("it will be tried again")
                .since(stage.now);
            orders = stage.wait(wait);
        }
    }
    assert!(
        (120..130).contains(&spawns),
        "once in 30 s for an hour, not {spawns} times"
    );
}

#[test]
fn deaths_in_service_are_throttled_after_the_free_ones_and_forgiven_after_a_long_life() {
    let mut stage = Stage::running(Policy::default());
    for _ in 0..2 {
        assert_eq!(stage.handle(Event::Exited(KILLED)), [Action::Spawn]);
        stage.spawned_and_ready();
    }
    assert_eq!(stage.handle(Event::Exited(KILLED)), []);
    assert_eq!(stage.child.status(), Status::Throttled);
    assert_eq!(stage.wait(Duration::from_millis(999)), []);
    assert_eq!(stage.wait(Duration::from_millis(1)), [Action::Spawn]);
    stage.spawned_and_ready();
    stage.wait(Duration::from_secs(10));
    assert_eq!(stage.handle(Event::Exited(KILLED)), [Action::Spawn]);
    assert_eq!(stage.child.strikes(), 0);
}

#[test]
fn workers_that_reach_max_requests_quickly_are_never_throttled() {
    let mut stage = Stage::running(Policy::default());
    for _ in 0..100 {
        assert_eq!(stage.handle(Event::Exited(Exit::Code(17))), [Action::Spawn]);
        stage.spawned_and_ready();
    }
}

#[test]
fn leaving_on_purpose_before_ready_is_throttled_all_the_same() {
    let mut stage = Stage::new(Policy::default());
    stage.handle(Event::Start);
    stage.spawned();
    assert_eq!(stage.handle(Event::Exited(Exit::Code(17))), []);
    assert_eq!(stage.child.status(), Status::Throttled);
}

#[test]
fn a_start_during_the_throttle_tries_at_once() {
    let mut stage = Stage::new(Policy::default());
    stage.handle(Event::Start);
    assert_eq!(stage.handle(Event::SpawnFailed), []);
    assert_eq!(stage.child.status(), Status::Throttled);
    assert_eq!(stage.handle(Event::Start), [Action::Spawn]);
    assert_eq!(stage.child.strikes(), 0);
}

#[test]
fn a_graceful_stop_ends_in_a_kill_when_mercy_is_over() {
    let mut stage = Stage::running(Policy {
        mercy: Duration::from_secs(3),
        ..Policy::default()
    });
    let pid = stage.pid();
    assert_eq!(
        stage.handle(Event::Stop),
        [Action::Signal(pid, StopKind::Graceful)]
    );
    assert_eq!(
        stage.handle(Event::Stop),
        [],
        "asking again does not start the mercy again"
    );
    assert_eq!(stage.wait(Duration::from_millis(2999)), []);
    assert_eq!(
        stage.wait(Duration::from_millis(1)),
        [Action::Signal(pid, StopKind::Kill)]
    );
    assert_eq!(stage.child.deadline(), None);
    assert_eq!(stage.handle(Event::Kill), [], "one SIGKILL is enough");
    assert_eq!(
        stage.handle(Event::Exited(KILLED)),
        [Action::Finished(Some(KILLED))]
    );
}

#[test]
fn a_stop_while_spawning_reaches_the_process_as_soon_as_it_lives() {
    let mut stage = Stage::new(Policy::default());
    stage.handle(Event::Start);
    assert_eq!(stage.handle(Event::Stop), []);
    let pid = Pid::from_raw(5).unwrap();
    assert_eq!(
        stage.handle(Event::Spawned(pid)),
        [Action::Signal(pid, StopKind::Graceful)]
    );
    assert_eq!(
        stage.handle(Event::Exited(Exit::Code(0))),
        [Action::Finished(Some(Exit::Code(0)))]
    );

    stage.handle(Event::Start);
    stage.handle(Event::Stop);
    assert_eq!(stage.handle(Event::SpawnFailed), [Action::Finished(None)]);
}

#[test]
fn a_stop_while_throttled_finishes_at_once() {
    let mut stage = Stage::new(Policy::default());
    stage.handle(Event::Start);
    stage.spawned();
    stage.handle(Event::Exited(Exit::Code(22)));
    assert_eq!(
        stage.handle(Event::Stop),
        [Action::Finished(Some(Exit::Code(22)))]
    );
    assert_eq!(stage.child.deadline(), None);
}

#[test]
fn a_restart_brings_a_fresh_process_without_waiting() {
    let mut stage = Stage::running(Policy::default());
    let old = stage.pid();
    assert_eq!(
        stage.handle(Event::Restart),
        [Action::Signal(old, StopKind::Graceful)]
    );
    assert_eq!(stage.handle(Event::Exited(Exit::Code(0))), [Action::Spawn]);
    stage.spawned_and_ready();
    assert_ne!(stage.pid(), old);
}

#[test]
fn a_restart_does_not_undo_a_stop() {
    let mut stage = Stage::running(Policy::default());
    stage.handle(Event::Stop);
    assert_eq!(stage.handle(Event::Restart), []);
    assert_eq!(
        stage.handle(Event::Exited(Exit::Code(0))),
        [Action::Finished(Some(Exit::Code(0)))]
    );
}

#[test]
fn harakiri_kills_and_replaces() {
    let mut stage = Stage::running(Policy::default());
    let pid = stage.pid();
    assert_eq!(
        stage.handle(Event::Abort),
        [Action::Signal(pid, StopKind::Kill)]
    );
    assert_eq!(stage.handle(Event::Abort), []);
    assert_eq!(stage.handle(Event::Exited(KILLED)), [Action::Spawn]);
}

#[test]
fn a_start_up_that_hangs_is_killed_and_tried_again_later() {
    let policy = Policy {
        start_timeout: Some(Duration::from_secs(5)),
        ..Policy::default()
    };
    let mut stage = Stage::new(policy);
    stage.handle(Event::Start);
    let pid = stage.spawned();
    assert_eq!(
        stage.wait(Duration::from_secs(5)),
        [Action::Signal(pid, StopKind::Kill)]
    );
    assert_eq!(stage.handle(Event::Ready), [], "too late");
    assert_eq!(stage.handle(Event::Exited(KILLED)), []);
    assert_eq!(stage.wait(Throttle::default().base), [Action::Spawn]);
}

#[test]
fn what_is_not_to_be_respawned_finishes() {
    let mut stage = Stage::running(Policy {
        respawn: false,
        ..Policy::default()
    });
    assert_eq!(
        stage.handle(Event::Exited(KILLED)),
        [Action::Finished(Some(KILLED))]
    );

    let mut stage = Stage::running(Policy {
        verdict: Verdict::of_vassal,
        ..Policy::default()
    });
    assert_eq!(
        stage.handle(Event::Exited(Exit::Code(26))),
        [Action::Finished(Some(Exit::Code(26)))]
    );
}
