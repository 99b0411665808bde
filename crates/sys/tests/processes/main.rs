//! Forking, spawning, reaping, becoming somebody else: in a process with one thread and no other children,
//! which the usual harness is not. Each scenario is a function; the program also plays the children, by role.

use std::ffi::OsStr;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use uwgate_sys::memory::SharedSlice;
use uwgate_sys::process::{self, Exit, Fork, Pid, SELF, Signal, Spawn};

mod appearance;
mod forking;
mod namespaces;
mod privileges;
mod spawning;

use self::spawning::file_of;

type Scenario = (&'static str, fn());

const SCENARIOS: &[Scenario] = &[
    (
        "a_program_gets_its_arguments_environment_and_directory",
        spawning::arguments,
    ),
    (
        "a_program_that_cannot_start_is_an_error_and_no_child",
        spawning::cannot_start,
    ),
    (
        "descriptors_land_on_their_numbers_whatever_ours_were",
        spawning::descriptors,
    ),
    (
        "a_failed_exec_is_reported_whatever_numbers_are_taken",
        spawning::failed_exec_with_descriptors,
    ),
    (
        "a_child_begins_with_default_signals",
        spawning::default_signals,
    ),
    (
        "a_child_may_lead_a_session_or_a_group",
        spawning::session_and_group,
    ),
    (
        "a_child_with_a_death_signal_dies_with_its_parent",
        spawning::death_signal,
    ),
    (
        "inherited_descriptors_are_taken_once",
        spawning::inherited_once,
    ),
    ("the_program_becomes_itself_again", spawning::becomes_itself),
    ("the_program_becomes_another", spawning::becomes_another),
    ("every_end_is_reaped_once_and_told_apart", forking::reaping),
    ("a_fork_is_a_copy_with_one_thread", forking::forking),
    (
        "an_adopted_child_belongs_to_the_subreaper",
        forking::adoption,
    ),
    (
        "what_is_allocated_after_the_holes_are_filled_lies_behind_them",
        forking::holes,
    ),
    (
        "memory_is_shared_over_fork_and_exec",
        forking::shared_memory,
    ),
    (
        "a_killed_process_is_the_end_of_its_channel",
        forking::channel_ends,
    ),
    ("locks_of_a_dead_process_are_free_again", forking::locks),
    (
        "users_and_groups_are_found_by_name_and_number",
        privileges::resolving,
    ),
    ("dropped_privileges_stay_dropped", privileges::dropping),
    (
        "the_umask_does_not_matter_where_a_mode_is_asked_for",
        privileges::umask_and_mode,
    ),
    (
        "a_socket_file_is_never_wider_than_asked_for",
        privileges::never_wider,
    ),
    (
        "the_process_is_named_and_limited",
        appearance::name_and_limits,
    ),
    (
        "titles_of_any_length_are_shown_and_the_environment_stays",
        appearance::titles,
    ),
    (
        "some_of_roots_power_can_be_kept_and_passed_on",
        privileges::capabilities,
    ),
    (
        "who_calls_a_daemon_gets_its_verdict",
        appearance::background,
    ),
    (
        "a_thread_is_bound_to_cpus_that_it_may_use",
        appearance::cpus,
    ),
    (
        "a_program_in_new_namespaces_is_the_first_there",
        namespaces::are_new,
    ),
    (
        "in_a_user_namespace_everybody_is_who_they_are",
        namespaces::of_users_keep_everybody,
    ),
    (
        "a_program_that_cannot_start_apart_is_an_error_and_no_child",
        namespaces::are_not_there_for_a_program_that_is_not,
    ),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, role] = args.as_slice()
        && flag == "--role"
    {
        return play(role);
    }
    if args.iter().any(|arg| arg == "--list") {
        return;
    }
    process::become_subreaper().unwrap();
    for (name, scenario) in SCENARIOS {
        scenario();
        assert_eq!(process::reap_any().unwrap(), None, "{name} left a child");
        println!("test {name} ... ok");
    }
}

/// What this program does when a scenario started it.
fn play(role: &str) {
    match role {
        "report-parentage" => {
            let (pid, parent) = (process::this(), process::parent().unwrap());
            print!("{pid} {parent}");
        }
        "take-seven" => spawning::take_seven(),
        "exec-again" => {
            let error =
                process::exec_self(OsStr::new("again"), &["--role", "report-parentage"], None);
            panic!("{error}");
        }
        "die-before-your-child" => {
            let sleeper = Spawn {
                death_signal: Some(Signal::KILL),
                ..shell("exec sleep 600")
            }
            .spawn()
            .unwrap();
            print!("{sleeper}");
        }
        "exec-a-shell" => {
            let fds = vec![(file_of("exec "), 9)];
            let script = shell("cat <&9; echo $$ $PPID");
            panic!(
                "{}",
                Spawn {
                    fds,
                    death_signal: Some(Signal::KILL),
                    ..script
                }
                .exec()
            );
        }
        "count-to-shared" => {
            let rows = SharedSlice::<AtomicU64>::attach(process::inherited(5).unwrap(), 2).unwrap();
            rows[1].fetch_add(5, Ordering::Relaxed);
        }
        "succeed-in-background" => process::to_background(|| {}).unwrap().succeeded(),
        "fail-in-background" => process::to_background(|| {})
            .unwrap()
            .failed(7, "it is broken"),
        "die-in-background" => drop(process::to_background(|| {}).unwrap()),
        other => panic!("no role {other}"),
    }
}

fn shell(script: &str) -> Spawn {
    Spawn {
        args: vec!["-c".into(), script.into()],
        ..Spawn::new("/bin/sh")
    }
}

fn role(name: &str) -> Spawn {
    Spawn {
        args: vec!["--role".into(), name.into()],
        ..Spawn::new(SELF)
    }
}

/// Runs it to its end, which must be a good one, and returns what it printed.
fn output(mut spawn: Spawn) -> String {
    let (mut read, write) = std::io::pipe().unwrap();
    spawn.fds.push((write.into(), 1));
    let pid = spawn.spawn().unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(
        process::reap(pid).unwrap(),
        Exit::Code(0),
        "it said: {text}"
    );
    text
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Runs `work` in a forked child that ends with 0, or with 101 after a panic.
fn fork_to(work: impl FnOnce()) -> Pid {
    // SAFETY: this program never starts a thread.
    match unsafe { process::fork() }.unwrap() {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            process::exit_now(if outcome.is_ok() { 0 } else { 101 });
        }
    }
}

fn succeeds_in_child(work: impl FnOnce()) {
    assert_eq!(process::reap(fork_to(work)).unwrap(), Exit::Code(0));
}
