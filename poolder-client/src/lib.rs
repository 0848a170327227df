//! The Poolder client: what a producer and an operator need.
//!
//! | module | holds |
//! |---|---|
//! | `state` | what all clones of a client share |
//! | `batcher` | entries for a batcher: pushed, looked at, taken out |
//! | `client` | the handle that all others are made from |
//! | `enqueue` | sending a job, to a queue or to a slot, with or without waiting for its result |
//! | `results` | results and progress of jobs; cancelling them |
//! | `schedules` | the schedules of a queue |
//! | `admin` | queues and nodes: looked at, paused, repaired |
//!
//! Users take it from the `poolder` facade.

mod admin;
mod batcher;
mod client;
mod enqueue;
mod results;
mod schedules;
mod state;

pub use admin::{Inspector, PoolSet};
pub use batcher::{BatchEntry, BatcherHandle, Bulk, Listed, Many, One, Push};
pub use client::Client;
pub use enqueue::{Call, Cast, Enqueue, PoolCall, PoolClient, PoolSlot};
pub use schedules::{NewSchedule, Schedules};
