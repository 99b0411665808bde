//! Completion in a shell: commands, and the names of the vassals that there are.

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;
use clap_complete::env::CompleteEnv;

use crate::client;
use crate::command::{program, socket_of_environment};
use crate::protocol::{Reply, Request};

/// The variable by which a shell asks, and by which its script is asked for.
pub(crate) const VARIABLE: &str = "UWGATE_COMPLETE";

/// Whether a shell wants to know how its line might go on.
pub fn is_completing() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Answers the shell.
pub fn print_completions() {
    CompleteEnv::with_factory(program).var(VARIABLE).complete();
}

/// The vassals whose names begin like this; none, silently, when no emperor answers: the operator is in mid-line.
pub(crate) fn vassals_like(begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else {
        return Vec::new();
    };
    let answer = client::ask(&socket_of_environment(), &Request::List);
    let Ok(Reply::Vassals { vassals, .. }) = answer.and_then(client::Answers::one) else {
        return Vec::new();
    };
    let vassals = vassals.into_iter().filter(|it| it.name.starts_with(begun));
    vassals
        .map(|vassal| {
            let help = vassal.state.word();
            CompletionCandidate::new(vassal.name).help(Some(help.into()))
        })
        .collect()
}
