//! The child processes that faults hit: this program again, with its instructions as JSON in an
//! argument.

mod book;
mod handler;
mod producer;
mod worker;

use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use book::{Book, Page};

use crate::beside::Beside;
use crate::{batches, extremes, keys, limits, uniques};

/// The first argument of a child process.
pub(crate) const WORD: &str = "child";

/// The instructions of a child process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Instructions {
    /// A node with one pool.
    Worker(Worker),
    /// A program that enqueues.
    Producer(Producer),
    /// A program that pushes entries of batches.
    Pusher(batches::Pusher),
    /// A program that casts jobs of keys.
    Caster(keys::Caster),
    /// A program that enqueues jobs of a limited queue.
    Feeder(limits::Feeder),
    /// A program that makes calls with extreme settings.
    Caller(extremes::Caller),
    /// A program that enqueues unique jobs.
    Sender(uniques::Sender),
}

/// The instructions of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub(crate) common: Common,
    pub(crate) slots: usize,
    /// The time in ms that the node may drain before it releases its jobs.
    pub(crate) shutdown_millis: u64,
    /// Callbacks that concern no job sometimes never return.
    pub(crate) hangs: bool,
    /// The other load that the node serves.
    pub(crate) beside: Beside,
}

/// The instructions of a producer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Producer {
    pub(crate) common: Common,
    pub(crate) seed: u64,
    /// The number of its first job.
    pub(crate) first: u64,
    /// The number of its jobs.
    pub(crate) count: u64,
    /// The number of jobs per second.
    pub(crate) rate: f64,
    /// The average time of a job, in ms.
    pub(crate) millis: u64,
    /// One in this many jobs kills its process.
    pub(crate) killers: u64,
    /// The ways to enqueue; empty for all of them.
    pub(crate) ways: Vec<crate::ledger::How>,
    /// The ends of jobs; empty for all of them.
    pub(crate) acts: Vec<crate::job::Act>,
    /// The number of replicas that must have a job before it counts as stored.
    pub(crate) replicas: u32,
}

/// The settings that every child needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Common {
    pub(crate) url: String,
    pub(crate) namespace: String,
    /// The folder of the ledger.
    pub(crate) ledger: PathBuf,
    /// The name without the incarnation, such as `node-2` or `producer-1`.
    pub(crate) name: String,
    /// The number of processes started under this name, this one included.
    pub(crate) incarnation: u32,
    /// The guard that is left out; empty for none.
    pub(crate) mutation: String,
    /// The number of queues over which the jobs are distributed.
    pub(crate) queues: usize,
}

impl Common {
    /// Returns the name of this process, with its incarnation.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.name, self.incarnation)
    }

    /// Returns the ledger file of this process.
    pub(crate) fn file(&self) -> PathBuf {
        self.ledger.join(format!("{}.jsonl", self.full_name()))
    }

    pub(crate) fn client(&self) -> Result<poolder::Client, poolder::Error> {
        poolder::Client::new(poolder::Config::new(&self.url).namespace(&self.namespace))
    }
}

impl Instructions {
    /// Returns the settings that every child needs.
    pub(crate) fn common(&mut self) -> &mut Common {
        match self {
            Self::Worker(instructions) => &mut instructions.common,
            Self::Producer(instructions) => &mut instructions.common,
            Self::Pusher(instructions) => &mut instructions.common,
            Self::Caster(instructions) => &mut instructions.common,
            Self::Feeder(instructions) => &mut instructions.common,
            Self::Caller(instructions) => &mut instructions.common,
            Self::Sender(instructions) => &mut instructions.common,
        }
    }
}

/// Runs as the JSON says.
pub(crate) fn run(instructions: &str) -> Result<(), String> {
    let instructions: Instructions =
        serde_json::from_str(instructions).map_err(|error| error.to_string())?;
    end_with_parent();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        match instructions {
            Instructions::Worker(instructions) => worker::run(instructions).await,
            Instructions::Producer(instructions) => producer::run(instructions).await,
            Instructions::Pusher(instructions) => batches::run(instructions).await,
            Instructions::Caster(instructions) => keys::run(instructions).await,
            Instructions::Feeder(instructions) => limits::run(instructions).await,
            Instructions::Caller(instructions) => extremes::run(instructions).await,
            Instructions::Sender(instructions) => uniques::run(instructions).await,
        }
    })
}

/// Ends this process when its parent ends: the parent holds the other end of standard input.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = vec![];
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(4);
    });
}
