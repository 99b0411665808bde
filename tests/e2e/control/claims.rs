//! What each signal and FIFO command does, here and in uWSGI.

use rustix::process::Signal;

/// Something that is sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stimulus {
    ToMaster(Signal),
    ToWorker(Signal),
    /// To an instance without a master.
    Alone(Signal),
    Fifo(char),
}

/// What can be seen from outside to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// All goes on as before.
    Nothing,
    /// All goes on as before, and the log has a line with this text.
    Says(&'static str),
    /// New workers, with the code as it is now. The running request is finished.
    Reload,
    /// The same, but the running request is cut.
    BrutalReload,
    /// New workers, with the code that was loaded already. The running request is finished.
    Workers,
    /// The same, but the running request is cut.
    BrutalWorkers,
    /// The worker that got it is replaced, when its request is finished.
    Replaced,
    /// The worker that got it is replaced; its request is cut.
    BrutallyReplaced,
    /// The running request is finished, and new ones wait until it is sent again.
    Pause,
    /// The running request is finished, then the instance ends with this exit code.
    Stop(i32),
    /// The running request is cut, and the instance ends with this exit code.
    Kill(i32),
    /// The process is killed by the signal, and leaves the rest behind.
    Dies,
}

impl Effect {
    /// For readers.
    pub fn sentence(self) -> String {
        match self {
            Self::Nothing => "nothing".into(),
            Self::Says(text) => format!("log: `{text}`"),
            Self::Reload => "reload".into(),
            Self::BrutalReload => "**brutal** reload".into(),
            Self::Workers => "new workers".into(),
            Self::BrutalWorkers => "new workers, **brutally**".into(),
            Self::Replaced => "replaced after its requests".into(),
            Self::BrutallyReplaced => "replaced **at once**".into(),
            Self::Pause => "pause, or resume".into(),
            Self::Stop(code) => format!("graceful stop, exit {code}"),
            Self::Kill(code) => format!("**quick** stop, exit {code}"),
            Self::Dies => "**killed by the signal**".into(),
        }
    }

    /// Whether the server can be used for another trial afterwards.
    pub fn ends_the_server(self) -> bool {
        matches!(self, Self::Stop(_) | Self::Kill(_) | Self::Dies)
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub send: Stimulus,
    /// An option that makes a difference.
    pub option: Option<(&'static str, &'static str)>,
    pub uwsgi: Effect,
    pub uwgate: Effect,
    pub remark: &'static str,
}

const fn claim(send: Stimulus, uwsgi: Effect, uwgate: Effect) -> Claim {
    Claim {
        send,
        option: None,
        uwsgi,
        uwgate,
        remark: "",
    }
}

impl Claim {
    const fn with(self, key: &'static str) -> Self {
        Self {
            option: Some((key, "true")),
            ..self
        }
    }

    const fn remark(self, remark: &'static str) -> Self {
        Self { remark, ..self }
    }
}

use Effect::*;
use Stimulus::*;

/// uWSGI's words, which are ours too.
const COUNTERS: &str = "workers total requests";

#[rustfmt::skip]
pub const SIGNALS: &[Claim] = &[
    claim(ToMaster(Signal::HUP), Reload, Reload),
    claim(ToMaster(Signal::HUP), Stop(0), Stop(0)).with("exit-on-reload"),
    claim(ToMaster(Signal::TERM), BrutalReload, Stop(0)).remark("what every supervisor means by it"),
    claim(ToMaster(Signal::TERM), Kill(0), Stop(0)).with("die-on-term"),
    claim(ToMaster(Signal::INT), Kill(0), Kill(0)).remark("uwgate leaves running requests `reload-mercy` (2 seconds)"),
    claim(ToMaster(Signal::QUIT), Kill(0), Kill(0)),
    claim(ToMaster(Signal::QUIT), BrutalReload, Kill(0)).with("die-on-term"),
    claim(ToMaster(Signal::USR1), Says(COUNTERS), Says(COUNTERS)).remark("the configuration as well"),
    claim(ToMaster(Signal::USR2), Dies, Says("SIGUSR2: ---")).remark("what each worker is doing"),
    claim(ToMaster(Signal::TSTP), Pause, Pause),
    claim(ToMaster(Signal::ALARM), Dies, Nothing),
    claim(ToMaster(Signal::PIPE), Nothing, Nothing),
    claim(ToMaster(Signal::WINCH), Nothing, Nothing),
    claim(ToMaster(Signal::URG), Nothing, Nothing),
    // First of these, as a worker that uWSGI has respawned has its master's handler.
    claim(ToWorker(Signal::QUIT), BrutallyReplaced, Replaced).remark("in uWSGI one that was respawned before takes all others along"),
    claim(ToWorker(Signal::HUP), Replaced, Replaced),
    claim(ToWorker(Signal::TERM), BrutallyReplaced, Replaced),
    claim(ToWorker(Signal::INT), BrutallyReplaced, Replaced),
    claim(ToWorker(Signal::USR1), Says("requests:"), Says("requests:")),
    claim(ToWorker(Signal::USR2), Says("*** backtrace of"), Says("SIGUSR2: ---")),
    claim(ToWorker(Signal::ALARM), BrutallyReplaced, Nothing),
    claim(ToWorker(Signal::WINCH), Nothing, Nothing),
    claim(Alone(Signal::HUP), Stop(30), Stop(30)),
    claim(Alone(Signal::TERM), Kill(30), Stop(30)),
    claim(Alone(Signal::INT), Kill(30), Stop(30)),
    claim(Alone(Signal::QUIT), Dies, Stop(30)),
    claim(Alone(Signal::USR1), Says("requests:"), Says("requests:")),
    claim(Alone(Signal::USR2), Says("*** backtrace of"), Says("SIGUSR2: ---")),
    claim(Alone(Signal::ALARM), Dies, Nothing),
];

#[rustfmt::skip]
pub const FIFO: &[Claim] = &[
    claim(Fifo('0'), Says("active master fifo is now"), Says("active master fifo is now")).remark("`1` to `9` likewise: the pipe of that slot is read from now on"),
    claim(Fifo('+'), Nothing, Nothing).remark("with `cheaper`: one worker more"),
    claim(Fifo('-'), Nothing, Nothing).remark("with `cheaper`: one worker less"),
    claim(Fifo('B'), Says("[broodlord] instance not governed by an Emperor"), Says("'B' has no effect")),
    claim(Fifo('c'), Workers, Workers).remark("one after the other"),
    claim(Fifo('E'), Nothing, Says("'E' has no effect")),
    claim(Fifo('l'), Nothing, Nothing).remark("reopens log files, if there are any"),
    claim(Fifo('L'), Nothing, Nothing).remark("rotates log files, if there are any"),
    claim(Fifo('p'), Pause, Pause),
    claim(Fifo('P'), Says("writing pidfile to"), Says("writing pidfile to")),
    claim(Fifo('q'), Stop(0), Stop(0)),
    claim(Fifo('Q'), Kill(0), Kill(0)),
    claim(Fifo('r'), Reload, Reload),
    claim(Fifo('R'), BrutalReload, BrutalReload),
    claim(Fifo('s'), Says(COUNTERS), Says(COUNTERS)),
    claim(Fifo('S'), Says("subscriptions blocked"), Says("'S' has no effect")),
    claim(Fifo('w'), Workers, Workers),
    claim(Fifo('W'), BrutalWorkers, BrutalWorkers),
    claim(Fifo('x'), Nothing, Says("unknown command 'x' ignored")).remark("and every other letter"),
    claim(Fifo('\n'), Nothing, Nothing).remark("so `echo` may be used"),
];
