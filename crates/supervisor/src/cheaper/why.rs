//! Why the number of workers changes, in words for the log.

use std::fmt;

/// The reason for a start or a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There were fewer than the minimum.
    Minimum {
        /// The minimum.
        min: u32,
    },
    /// The operator said so.
    Wished,
    /// Nobody was free.
    AllBusy {
        /// Workers that took requests.
        workers: u32,
        /// For so long.
        seconds: u32,
    },
    /// Too few were free.
    FewFree {
        /// So many shall be.
        wanted: u32,
    },
    /// More were free than needed.
    Free {
        /// So many, rounded down.
        free: u32,
        /// Of so many.
        workers: u32,
        /// For so long.
        seconds: u32,
    },
    /// Connections waited to be accepted.
    Queue {
        /// So many.
        waiting: u32,
    },
    /// Some connections waited all the time.
    QueueForLong {
        /// For so long.
        seconds: u32,
    },
    /// The average busyness was above or below its mark.
    Busyness {
        /// In percent.
        percent: u32,
    },
    /// All together use too much memory.
    Memory {
        /// So many bytes.
        rss: u64,
        /// Of so many.
        limit: u64,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minimum { min } => write!(f, "at least {min} shall run (cheaper)"),
            Self::Wished => f.write_str("as the operator wished"),
            Self::AllBusy { workers, seconds } => {
                write!(f, "all of {workers} were busy for {seconds} seconds")
            }
            Self::FewFree { wanted } => write!(f, "fewer than {wanted} were free"),
            Self::Free {
                free,
                workers,
                seconds,
            } => write!(f, "{free} of {workers} were free for {seconds} seconds"),
            Self::Queue { waiting } => write!(f, "{waiting} connections waited"),
            Self::QueueForLong { seconds } => {
                write!(f, "connections waited for {seconds} seconds")
            }
            Self::Busyness { percent } => write!(f, "average busyness is at {percent}%"),
            Self::Memory { rss, limit } => write!(
                f,
                "all together use {} MiB (cheaper-rss-limit-hard = {limit})",
                rss >> 20
            ),
        }
    }
}
