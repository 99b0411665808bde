//! Requests that the application answers before there are workers (`warm-up`): what it only does when first asked is
//! done once, and in memory that the workers share.

use std::collections::BTreeMap;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uwgate_config::{Options, WarmUp};
use uwgate_http::{Limits, Parsed, Peer, Protocol, ResponseRules, Translation};
use uwgate_sys::process::{connected_to, descriptors};

use crate::exchange::{Block, Request, Response, Tally, Trust};
use crate::host::Host;
use crate::listen::host_name;

/// Python looks at a function eight times before it makes itself at home in it, and then again at each instruction.
const TIMES: u32 = 100;

/// No further repetition is begun after so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// An answer longer than what the socket takes is not read to its end.
const UNREAD: Duration = Duration::from_millis(1);

/// Has `host` answer each request that the options name. What fails is logged, and nothing more: visitors may be
/// luckier.
pub(crate) fn run<H: Host>(options: &Options, host: &H) {
    let before = descriptors().unwrap_or_default();
    for wanted in &options.python.warm_up {
        let begun = Instant::now();
        let mut times = 0;
        let mut outcome = Outcome::Kept;
        while times < TIMES && begun.elapsed() < PATIENCE {
            outcome = answer(&wanted.value, host);
            times += 1;
            if !matches!(outcome, Outcome::Answered { raised: false, .. }) {
                break;
            }
        }
        let target = &wanted.value.target;
        let took = begun.elapsed().as_millis();
        match outcome {
            Outcome::Answered {
                status,
                raised: false,
            } if status < 400 => {
                tracing::info!("warm-up: GET {target} => {status}, {times} times in {took} msecs");
            }
            Outcome::Answered { status, .. } => tracing::warn!(
                "{}: warm-up: GET {target} with Host {} => {status}; the workers start all the same",
                wanted.origin,
                wanted.value.host
            ),
            Outcome::Kept => tracing::warn!(
                "{}: warm-up: the application goes on with GET {target} in another thread, which the workers will not have",
                wanted.origin
            ),
            Outcome::Malformed => {
                tracing::error!("{}: warm-up: this is no request", wanted.origin);
            }
        }
    }
    if !options.workers.lazy_apps && !options.workers.lazy && options.workers.master {
        warn_about_shared(&before);
    }
}

enum Outcome {
    Answered {
        status: u16,
        raised: bool,
    },
    /// The application did not give the request back.
    Kept,
    Malformed,
}

fn answer<H: Host>(wanted: &WarmUp, host: &H) -> Outcome {
    // The other end holds what was sent, as far as it has room, until both are closed.
    let Some((ours, _client)) = connection() else {
        return Outcome::Kept;
    };
    let Some((request, rules)) = request::<H>(wanted, &ours) else {
        return Outcome::Malformed;
    };
    let mut response = Response::new(ours, false, UNREAD, H::detached);
    response.begin(rules);
    let served = host.serve(request, response);
    match served.response.as_deref().map(Response::tally) {
        Some(&Tally { status, .. }) => Outcome::Answered {
            status,
            raised: served.raised,
        },
        None => Outcome::Kept,
    }
}

fn connection() -> Option<(Arc<OwnedFd>, UnixStream)> {
    let pair = UnixStream::pair().and_then(|(ours, client)| {
        ours.set_nonblocking(true)?;
        Ok((Arc::new(ours.into()), client))
    });
    pair.inspect_err(|error| tracing::error!("warm-up: {error}"))
        .ok()
}

/// The request as a proxy of ours would hand it over.
fn request<H: Host>(
    wanted: &WarmUp,
    socket: &Arc<OwnedFd>,
) -> Option<(Box<Request>, ResponseRules)> {
    let WarmUp {
        https,
        host,
        target,
    } = wanted;
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: warm-up\r\nAccept: */*\r\n\
         X-Forwarded-Proto: {}\r\n\r\n",
        if *https { "https" } else { "http" }
    );
    let name = host_name();
    let client = Peer {
        server_name: name.as_bytes(),
        server_port: if *https { b"443" } else { b"80" },
        remote_addr: b"127.0.0.1",
        remote_port: b"",
        https: *https,
    };
    let mut translation = Translation::default();
    let parsed = translation.translate(head.as_bytes(), &Limits::default(), &client);
    let Ok(Parsed::Complete(head)) = parsed else {
        return None;
    };
    let nobody_to_trust = Trust {
        forwarded: false,
        uwsgi: false,
    };
    let mut request = Request::new(Arc::clone(socket), UNREAD, H::detached, nobody_to_trust);
    request.block = Block::Translated(translation);
    request.var_count = usize::from(head.vars);
    let rules = ResponseRules {
        protocol: Protocol::http(head.version),
        method: head.method,
        keep_alive: true,
    };
    Some((request, rules))
}

/// What the requests have left open would be one and the same in all workers.
fn warn_about_shared(before: &BTreeMap<RawFd, PathBuf>) {
    for (number, what) in descriptors().unwrap_or_default() {
        if what.starts_with("/dev") || before.get(&number) == Some(&what) {
            continue;
        }
        let peer = connected_to(number).map_or(String::new(), |peer| format!(" to {peer}"));
        tracing::warn!(
            "warm-up: the application has left {}{peer} open (descriptor {number}), which all workers would share: \
             choose a path that does not, or set lazy-apps = true",
            what.display()
        );
    }
}
