//! The core of Poolder: what a job is, what becomes of it, and the only door to Redis.
//!
//! The upper half is pure: no I/O, no clock, no Redis. The lower half is the mechanism.
//!
//! | pure | |
//! |---|---|
//! | [`Job`], [`JobId`], [`RawJob`] | a typed job, and a payload whose type is not known yet |
//! | [`QueueName`], [`Lane`], [`Partition`] | where jobs wait |
//! | [`Policy`], [`Backoff`] | when a failed job runs again |
//! | [`Outcome`], [`Verdict`], [`Failure`] | what a handler says |
//! | [`Envelope`], [`Counters`] | the stored form, and a job's history |
//! | [`Handle`] | where to look for a job |
//! | [`End`] | how it ended, for whoever waits |
//! | [`view`] | what an operator sees |
//! | [`Schedule`], [`Timing`], [`Missed`], [`Overlap`] | what recurs, and when |
//! | [`decide`](decide::decide) | what becomes of a job when its claim ends |
//! | [`pick`](dispatch::pick) | which slot of an addressed pool a job goes to |
//!
//! The mechanism is [`broker`]: the way to Redis, one file per verb. Users take all of this from
//! the `poolder` facade.

pub mod broker;
mod counters;
pub mod decide;
pub mod dispatch;
mod end;
mod envelope;
mod error;
#[cfg(test)]
mod golden;
mod handle;
#[cfg(test)]
mod hostile;
mod job;
mod keys;
#[doc(hidden)]
pub mod mutation;
mod outcome;
mod queue;
mod retry;
mod schedule;
mod scripts;
mod state;
mod time;
pub mod variant;
pub mod view;
mod wire;

pub use counters::Counters;
pub use end::End;
pub use envelope::{Envelope, MAX_PAYLOAD};
pub use error::{BoxError, Error};
pub use handle::{Handle, Place};
pub use job::{Format, Job, JobId, RawJob, check_kind, payload};
pub use outcome::{Callback, Cause, Failure, Outcome, Verdict};
pub use poolder_cron::{Timing, Zone};
pub use queue::{Lane, Partition, QueueName};
pub use retry::{Backoff, Policy};
pub use schedule::{Missed, Overlap, Plan, Schedule, Status, Tick, check_schedule_name};
pub use state::State;
pub use time::Timestamp;
pub use wire::{Claim, Entry, EntryId, Undecodable};

/// What code written by the macros refers to; no part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::{Backoff, Error, Job, JobId, Policy, RawJob, payload, variant};
    pub use serde::{Serialize, de::DeserializeOwned};
}
