//! The protocol between the runner and a contender.
//!
//! A contender is a separate process, so that its CPU time can be told from the runner's. It is
//! started with an [`Order`] as JSON in its only argument, prepares (connects, fills a backlog) and
//! prints `ready`. The runner records the server's figures and writes `go`. The contender works and
//! prints `done` and a [`Report`] as JSON. The runner records the server's figures again and ends
//! the process. A contender that does not support the work answers with `not-run` and the reason.

mod meter;
pub mod peer;

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};

pub use meter::{Lateness, Meter, Stopwatch};

/// The work to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Enqueue `jobs` one at a time, `concurrency` callers at once.
    Enqueue,
    /// As `Enqueue`, each job with an id of its own that is stored once.
    EnqueueIdempotent,
    /// As `Enqueue`, each job with a unique key of its own.
    EnqueueUnique,
    /// As `EnqueueUnique`, all with one key: all but the first are duplicates.
    EnqueueDuplicate,
    /// As `Enqueue`, jobs of `groups` groups of a limited queue.
    EnqueueGroups,
    /// Enqueue `jobs` with the contender's bulk call.
    Bulk,
    /// Store `backlog` jobs first, then work on `jobs` of them with `concurrency` slots.
    Drain,
    /// As `Drain`, jobs of `groups` groups of a limited queue; `running` other groups are full.
    DrainGroups,
    /// Enqueue one at a time and work at the same time, with `concurrency` callers and
    /// `concurrency` slots.
    Both,
    /// As `Both`, enqueueing in bulk.
    BothBulk,
    /// One job every 20 ms on an idle system.
    Pickup,
    /// Enqueue `jobs` one after another, each due `delay_ms` later; `backlog` more wait for long.
    Delayed,
    /// Enqueue `jobs` that are all due at the same moment.
    DelayedAtOnce,
    /// Work on `jobs` that are enqueued at an even rate, some hundred in each second.
    Paced,
    /// As `Paced`, and keep the finished jobs.
    PacedKept,
    /// As `Drain`, but every job fails once and is retried as soon as the contender allows.
    Retry,
    /// Run a worker of `queues` queues without a job, for `seconds`.
    Idle,
    /// Run `nodes` idle nodes; enqueue `jobs` one at a time, each after the one before has ended.
    Herd,
    /// As `Herd`, but enqueue at the rate that keeps half of all slots busy.
    HerdBusy,
    /// Run `backlog` schedules that tick each second, spread over it, for `seconds`.
    Ticks,
    /// As `Ticks`, but all schedules tick at one instant.
    TicksAtOnce,
    /// As `Ticks`, beside a leader that is stopped, or killed when `running` is 1.
    Takeover,
    /// Run a worker of a queue with `backlog` schedules of which none ticks, for `seconds`. The
    /// worker leads, unless `running` is 1.
    Schedules,
    /// Store `jobs` ready jobs before `ready`, to measure the memory they take. Nothing runs.
    StoreReady,
    /// As `StoreReady`, jobs of `groups` groups of a limited queue.
    StoreGroups,
    /// As `StoreReady`, with jobs that are due in a day.
    StoreDelayed,
    /// Push `jobs` entries into a batcher of this `limit` one at a time, with `concurrency`
    /// callers.
    Push,
    /// As `Push`, in bulk.
    PushBulk,
    /// Seal `jobs` lists of `backlog` entries each, one after another.
    Seal,
    /// Let `jobs` lists be sealed by their timeout of `delay_ms`.
    Timeout,
    /// Read the overview of large queues `jobs` times: of one with `backlog` dead and as many due
    /// jobs and ten times as many ready ones, and of an addressed pool.
    LookOverview,
    /// As `LookOverview`, pages of all listings.
    LookPage,
    /// As `LookOverview`, searches that find nothing.
    LookSearch,
    /// As `LookOverview`, one job: by its id alone, or its place in line.
    LookFind,
    /// As `LookOverview`, each command of the program in turn.
    LookCommand,
}

/// The instructions for a contender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The work to measure.
    pub work: Work,
    /// The URL of the server, which is empty and private.
    pub url: String,
    /// The number of jobs.
    pub jobs: u64,
    /// The number of slots, or of concurrent callers.
    pub concurrency: usize,
    /// The approximate size of a payload in bytes.
    pub payload: usize,
    /// The time that a handler takes, in ms; 0 returns at once.
    pub handler_ms: u64,
    /// The number of jobs stored beforehand.
    pub backlog: u64,
    /// The delay of delayed jobs, in ms.
    pub delay_ms: u64,
    /// The number of jobs that run beside the measured ones and do not end.
    pub running: usize,
    /// The number of queues.
    pub queues: usize,
    /// The number of nodes, each with connections of its own, for work that measures a fleet.
    pub nodes: usize,
    /// The duration in s, for work that does not end with its jobs.
    pub seconds: u64,
    /// The number of entries in a batch; the most jobs of each group that run at a time, 0 for any.
    pub limit: u32,
    /// The number of groups of a limited queue.
    pub groups: u64,
    /// The index of this process among several; process 0 fills the backlog.
    pub process: usize,
}

/// The figures that a contender measured itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// The number of jobs.
    pub jobs: u64,
    /// The time from the first job to the last, in s.
    pub seconds: f64,
    /// Latencies in ms, for work that measures them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The CPU time in µs that the server used for the fleet itself, in as long as the work took.
    #[serde(default)]
    pub idle_us: f64,
    /// The time of the longest command at the server, in ms, for work that measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_ms: Option<f64>,
    /// The most round trips of a job, for work that counts them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trips: Option<f64>,
    /// The memory of a job at the server, in bytes, for work that measures it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<f64>,
}

/// Percentiles in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// The contender's side of the protocol.
#[derive(Debug)]
pub struct Run {
    /// The instructions for this run.
    pub order: Order,
}

impl Run {
    /// Reads the order from the last argument of the command line.
    ///
    /// # Panics
    /// Panics without a valid order: only the runner starts a contender.
    #[must_use]
    pub fn begin() -> Self {
        let argument = std::env::args().next_back().unwrap_or_default();
        let order = serde_json::from_str(&argument).expect("an order in the last argument");
        Self { order }
    }

    /// Reports that all is prepared, and waits for the start.
    pub fn ready(&self) {
        say("ready");
        hear("go");
    }

    /// Sends the report, waits for the end of the run, and exits.
    pub fn done(&self, report: &Report) -> ! {
        say(&format!("done {}", serde_json::to_string(report).unwrap_or_default()));
        hear("stop");
        std::process::exit(0)
    }

    /// Reports why the work cannot be measured, and exits.
    pub fn not_run(&self, reason: &str) -> ! {
        say(&format!("not-run {}", reason.replace('\n', " ")));
        std::process::exit(0)
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A write error is ignored: when the runner has ended, `hear` exits.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn hear(wanted: &str) {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) if line.trim() == wanted => {}
        _ => std::process::exit(1),
    }
}

/// Returns the text of a payload, the same for all contenders. Encoded, the payload has about
/// `payload` bytes.
#[must_use]
pub fn text(payload: usize) -> String {
    const FILLING: &str = "Poolder carries a job ";
    let bytes = payload.saturating_sub(24).max(1);
    let mut text = FILLING.repeat(bytes.div_ceil(FILLING.len()));
    text.truncate(bytes);
    text
}

/// The job of every contender written in Rust.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    /// The number of the job.
    pub n: u64,
    /// Text that fills the payload to its size.
    pub data: String,
}

impl Payload {
    /// Returns job `n`, with a payload of about `payload` bytes.
    #[must_use]
    pub fn new(n: u64, payload: usize) -> Self {
        Self { n, data: text(payload) }
    }
}
