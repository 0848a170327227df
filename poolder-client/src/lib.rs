//! The Poolder client, for producers and operators.
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
//!
//! Applications use it through the `poolder` facade.

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

pub use admin::{
    Action, BlastRadius, Budget, BulkChange, BulkReport, Check, Diagnosis, Drain, Explanation,
    FailureRates, Finding, FleetStatus, Flow, Inspector, KeyHolder, KeyedJob, Matches,
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
