//! How many workers run: `cheaper`, and who decides.

/// How many workers run.
#[derive(Clone, Debug, PartialEq)]
pub struct Cheaper {
    /// Fewest workers that run; 0: all of them, always.
    pub cheaper: u32,
    /// How many run at first.
    pub cheaper_initial: Option<u32>,
    /// Who decides.
    pub cheaper_algo: CheaperAlgo,
    /// How many are started at a time.
    pub cheaper_step: u32,
    /// Seconds; with `backlog`, connections.
    pub cheaper_overload: u32,
    /// Seconds before `spare2` stops a worker.
    pub cheaper_idle: u32,
    /// Bytes that all workers together may use before none is started; 0 is no limit.
    pub cheaper_rss_limit_soft: u64,
    /// Bytes that all workers together may use before one is stopped; 0 is no limit.
    pub cheaper_rss_limit_hard: u64,
    /// Percent of busyness above which workers are started.
    pub cheaper_busyness_max: u32,
    /// Percent of busyness below which one may be stopped.
    pub cheaper_busyness_min: u32,
    /// Quiet periods before one is stopped.
    pub cheaper_busyness_multiplier: u32,
    /// Added to the multiplier after a stop that was a mistake.
    pub cheaper_busyness_penalty: u32,
    /// Say in the log what is seen.
    pub cheaper_busyness_verbose: bool,
    /// Waiting connections beyond which emergency workers are started.
    pub cheaper_busyness_backlog_alert: u32,
    /// The multiplier while emergency workers run.
    pub cheaper_busyness_backlog_multiplier: u32,
    /// Emergency workers started at a time.
    pub cheaper_busyness_backlog_step: u32,
    /// Seconds with waiting connections beyond which emergency workers are started.
    pub cheaper_busyness_backlog_nonzero: u32,
    /// No worker runs until somebody connects.
    pub cheap: bool,
    /// Seconds without a request after which no worker runs until somebody connects; 0 is never.
    pub idle: u32,
    /// With `idle`: end the instance instead.
    pub die_on_idle: bool,
}

impl Default for Cheaper {
    fn default() -> Self {
        Self {
            cheaper: 0,
            cheaper_initial: None,
            cheaper_algo: CheaperAlgo::Spare,
            cheaper_step: 1,
            cheaper_overload: 3,
            cheaper_idle: 10,
            cheaper_rss_limit_soft: 0,
            cheaper_rss_limit_hard: 0,
            cheaper_busyness_max: 50,
            cheaper_busyness_min: 25,
            cheaper_busyness_multiplier: 10,
            cheaper_busyness_penalty: 2,
            cheaper_busyness_verbose: false,
            cheaper_busyness_backlog_alert: 33,
            cheaper_busyness_backlog_multiplier: 3,
            cheaper_busyness_backlog_step: 1,
            cheaper_busyness_backlog_nonzero: 60,
            cheap: false,
            idle: 0,
            die_on_idle: false,
        }
    }
}

/// `cheaper-algo`: who decides how many workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheaperAlgo {
    /// Keeps about one worker free.
    Spare,
    /// Keeps `cheaper` workers free.
    Spare2,
    /// Looks at the listen queue.
    Backlog,
    /// Keeps the average busyness between two marks.
    Busyness,
    /// The operator.
    Manual,
}
