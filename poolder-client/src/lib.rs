//! The Poolder client, for producers and operators: it sends jobs, waits for their results, and
//! looks at queues, jobs and nodes and changes them. Applications use it through the `poolder`
//! facade; a process that only sends jobs may use this crate alone.
//!
//! ```no_run
//! use poolder_client::Client;
//! use poolder_core::{Error, Job};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Welcome { user: u64 }
//!
//! impl Job for Welcome {
//!     const KINDS: &'static [&'static str] = &["email.welcome"];
//!     const QUEUE: &'static str = "mail";
//! }
//!
//! # async fn f() -> Result<(), Error> {
//! let client = Client::from_env().await?;
//! let receipt = client.enqueue(Welcome { user: 7 }).await?;
//! println!("{:?}", client.job(&receipt).state().await?);
//!
//! let now = client.inspect("mail").overview().await?;
//! println!("{} wait, {} run, {} died", now.ready(), now.running(), now.dead);
//! # Ok(()) }
//! ```
//!
//! All handles come from a [`Client`], and own a clone of it:
//!
//! | for | handle | from |
//! |---|---|---|
//! | one job | [`JobClient`] | [`Client::job`] |
//! | the jobs of a queue | [`Inspector`] | [`Client::inspect`] |
//! | a pool with addressed slots | [`PoolClient`] | [`Client::pool`] |
//! | a set of pools | [`PoolSet`] | [`Client::pool_set`] |
//! | a batcher | [`BatcherHandle`] | [`Client::batcher`] |
//! | the schedules of a queue | `Schedules` (feature `schedules`) | `Client::schedules` |
//!
//! The source is divided so:
//!
//! | module | holds |
//! |---|---|
//! | `http` | a small listener for probes and scrapes |
//! | `state` | state that all clones of a client share |
//! | `batcher` | entries of a batcher: pushed, listed, popped |
//! | `client` | the handle from which all other handles are made |
//! | `enqueue` | sending a job, to a queue or to a slot, with or without waiting for its result |
//! | `job` | one job: its state, result and progress; cancelled, rescheduled, revived, removed |
//! | `schedules` | the schedules of a queue (feature `schedules`) |
//! | `admin` | queues and nodes: inspected, paused, repaired |

mod admin;
mod batcher;
mod client;
mod enqueue;
#[doc(hidden)]
pub mod http;
mod job;
#[cfg(feature = "schedules")]
mod schedules;
mod state;

/// Times and numbers as a person says them, for programs that show what this crate returns.
#[doc(hidden)]
pub use admin::words;
pub use admin::{
    Action, BatcherView, BlastRadius, Budget, BulkChange, BulkReport, Check, Diagnosis, Drain,
    Explanation, Export, ExportSums, FailureRates, Finding, FleetStatus, Flow, Import,
    ImportReport, Inspector, KeyHolder, KeyedJob, LargestGroups, LimitsHandle, Matches, MuteErrors,
    NamespaceMetrics, Neighbour, NewError, NodeCrash, Observed, ObservedNode, ObservedQueue,
    PoolSet, QueueLoad, QueueMemory, QueueStatus, Repair, ServedQueue, SetCast, Severity, Why,
    attention,
};
pub use batcher::{BatchEntry, BatcherHandle, Bulk, Listed, Many, One, Pop, Push};
pub use client::Client;
pub use enqueue::{
    Call, Cast, Enqueue, EnqueueMany, EnqueueOptions, PoolCall, PoolClient, PoolSlot,
};
pub use job::{JobClient, JobResult, JobWait};
#[cfg(feature = "schedules")]
pub use schedules::{NewSchedule, PutSchedule, Schedules, SetStatus};
pub use state::enqueue_middleware::{EnqueueMiddleware, Outgoing};
