//! What the runner and a contender say to each other.
//!
//! A contender is a process of its own, so that its CPU time can be told from the runner's. It is
//! started with an [`Order`] as JSON in its only argument, prepares (connects, fills a backlog) and
//! prints `ready`; the runner notes what the server has done so far and writes `go`; the contender
//! works and prints `done` and a [`Report`] as JSON; the runner notes the server's figures again
//! and ends the process. What a contender cannot do it answers with `not-run` and the reason.

mod meter;
pub mod peer;

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};

pub use meter::{Lateness, Meter, Stopwatch};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Enqueue `jobs` one at a time, `concurrency` callers at once.
    Enqueue,
    /// Enqueue `jobs` by whatever bulk call there is.
    Bulk,
    /// Store `backlog` jobs first, then work on `jobs` of them with `concurrency` slots.
    Drain,
    /// Callers that enqueue one at a time, and a worker, at once; `concurrency` of each.
    Both,
    /// The same, enqueueing in bulk.
    BothBulk,
    /// One job every 20 ms on an idle system.
    Pickup,
    /// `jobs` enqueued one after another, each due `delay_ms` later; `backlog` more wait for long.
    Delayed,
    /// `jobs` that are all due at the same moment.
    DelayedAtOnce,
    /// As `Drain`, every job fails once and is retried as soon as the contender allows.
    Retry,
    /// A worker of `queues` queues without a job, for `seconds`.
    Idle,
    /// `backlog` schedules that tick each second, spread over it, for `seconds`.
    Ticks,
    /// The same, all at one instant.
    TicksAtOnce,
    /// As `Ticks`, beside a leader that is told to go, or killed when `running` is 1.
    Takeover,
    /// A worker of a queue with `backlog` schedules of which none ticks, for `seconds`; it leads,
    /// unless `running` is 1.
    Schedules,
    /// Store `jobs` ready jobs before `ready`, for the memory they take. Nothing runs.
    StoreReady,
    /// The same with jobs that are due in a day.
    StoreDelayed,
    /// Push `jobs` entries into a batcher of that `limit` one at a time, `concurrency` callers.
    Push,
    /// The same in bulk.
    PushBulk,
    /// Seal `jobs` lists of `backlog` entries each, one after another.
    Seal,
    /// Let `jobs` lists be sealed by their timeout of `delay_ms`.
    Timeout,
}

/// What a contender is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub work: Work,
    /// The server. It is empty and private.
    pub url: String,
    /// How many jobs.
    pub jobs: u64,
    /// How many slots, or callers at once.
    pub concurrency: usize,
    /// The size of a payload in bytes, about.
    pub payload: usize,
    /// How long a handler takes, in ms; 0 returns at once.
    pub handler_ms: u64,
    /// How many jobs are stored beforehand.
    pub backlog: u64,
    /// How far ahead delayed jobs are due, in ms.
    pub delay_ms: u64,
    /// How many jobs run beside, for as long as it takes.
    pub running: usize,
    /// How many queues.
    pub queues: usize,
    /// For how long, where it is not the jobs that end it.
    pub seconds: u64,
    /// How many entries a batch has.
    pub limit: u32,
    /// Which of several processes this is; the first one fills.
    pub process: usize,
}

/// What a contender measured itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// How many jobs.
    pub jobs: u64,
    /// From the first job to the last.
    pub seconds: f64,
    /// Latencies in ms, where the work is about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// Percentiles in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// A contender's end of the conversation.
#[derive(Debug)]
pub struct Run {
    /// What it is asked to do.
    pub order: Order,
}

impl Run {
    /// Reads the order from the command line's last argument.
    ///
    /// # Panics
    /// Without one: nobody but the runner starts a contender.
    #[must_use]
    pub fn begin() -> Self {
        let argument = std::env::args().next_back().unwrap_or_default();
        let order = serde_json::from_str(&argument).expect("an order in the last argument");
        Self { order }
    }

    /// Says that all is prepared, and waits for the start.
    pub fn ready(&self) {
        say("ready");
        hear("go");
    }

    /// Reports, waits for the end, and ends the process.
    pub fn done(&self, report: &Report) -> ! {
        say(&format!("done {}", serde_json::to_string(report).unwrap_or_default()));
        hear("stop");
        std::process::exit(0)
    }

    /// Says why there is nothing to measure, and ends the process.
    pub fn not_run(&self, reason: &str) -> ! {
        say(&format!("not-run {}", reason.replace('\n', " ")));
        std::process::exit(0)
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A runner that is gone hears nothing, and `hear` ends the process.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn hear(wanted: &str) {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) if line.trim() == wanted => {}
        _ => std::process::exit(1),
    }
}

/// A payload's text: the same for everybody, about that many bytes once it is written.
#[must_use]
pub fn text(payload: usize) -> String {
    const FILLING: &str = "Poolder carries a job ";
    let bytes = payload.saturating_sub(24).max(1);
    let mut text = FILLING.repeat(bytes.div_ceil(FILLING.len()));
    text.truncate(bytes);
    text
}

/// The job that every contender of serde's world carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    /// Which one it is.
    pub n: u64,
    /// Filling.
    pub data: String,
}

impl Payload {
    /// The n-th job of that size.
    #[must_use]
    pub fn new(n: u64, payload: usize) -> Self {
        Self { n, data: text(payload) }
    }
}
