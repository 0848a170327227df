//! What runs in the processes that are tormented: this program again, told by one word of JSON
//! what it is.

mod book;
mod producer;
mod worker;

use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use book::{Book, Page};

use crate::beside::Beside;
use crate::{batches, keys};

/// The word by which the program knows that it is a child.
pub(crate) const WORD: &str = "child";

/// What a child is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Orders {
    /// A node with one pool.
    Worker(Worker),
    /// A program that enqueues.
    Producer(Producer),
    /// One that pushes entries of batches.
    Pusher(batches::Pusher),
    /// One that casts jobs of keys.
    Caster(keys::Caster),
}

/// A node's orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub(crate) common: Common,
    pub(crate) slots: usize,
    /// How long it may drain before it hands its jobs back.
    pub(crate) shutdown_millis: u64,
    /// What it serves besides.
    pub(crate) beside: Beside,
}

/// A producer's orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Producer {
    pub(crate) common: Common,
    pub(crate) seed: u64,
    /// Its jobs have the numbers from here on …
    pub(crate) first: u64,
    /// … so many of them.
    pub(crate) count: u64,
    /// So many a second.
    pub(crate) rate: f64,
    /// How long a job takes, on average.
    pub(crate) millis: u64,
    /// One in so many jobs kills its process.
    pub(crate) killers: u64,
    /// The ways to enqueue; empty for all of them.
    pub(crate) ways: Vec<crate::ledger::How>,
    /// What jobs do; empty for everything.
    pub(crate) acts: Vec<crate::job::Act>,
    /// So many replicas must have a job before it counts as stored.
    pub(crate) replicas: u32,
}

/// What every child must know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Common {
    pub(crate) url: String,
    pub(crate) namespace: String,
    /// The folder of the ledger.
    pub(crate) ledger: PathBuf,
    /// `node-2`, `producer-1`.
    pub(crate) name: String,
    /// Which process of that name it is, from 1.
    pub(crate) incarnation: u32,
    /// The guard that is left out; empty for none.
    pub(crate) mutation: String,
    /// Among so many queues the jobs are dealt out.
    pub(crate) queues: usize,
}

impl Common {
    /// The name of this process.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.name, self.incarnation)
    }

    /// Its file of the ledger.
    pub(crate) fn file(&self) -> PathBuf {
        self.ledger.join(format!("{}.jsonl", self.full_name()))
    }

    pub(crate) fn client(&self) -> Result<poolder::Client, poolder::Error> {
        poolder::Client::new(poolder::Config::new(&self.url).namespace(&self.namespace))
    }
}

impl Orders {
    /// What every child must know.
    pub(crate) fn common(&mut self) -> &mut Common {
        match self {
            Self::Worker(orders) => &mut orders.common,
            Self::Producer(orders) => &mut orders.common,
            Self::Pusher(orders) => &mut orders.common,
            Self::Caster(orders) => &mut orders.common,
        }
    }
}

/// Runs as what the JSON says.
pub(crate) fn run(orders: &str) -> Result<(), String> {
    let orders: Orders = serde_json::from_str(orders).map_err(|error| error.to_string())?;
    end_with_parent();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        match orders {
            Orders::Worker(orders) => worker::run(orders).await,
            Orders::Producer(orders) => producer::run(orders).await,
            Orders::Pusher(orders) => batches::run(orders).await,
            Orders::Caster(orders) => keys::run(orders).await,
        }
    })
}

/// Whoever started us holds the other end of our standard input for as long as it lives.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = vec![];
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(4);
    });
}
