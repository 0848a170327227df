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
//! | [`Completion`] | how it ended, for whoever waits |
//! | [`view`] | what an operator sees |
//! | [`Schedule`], [`Timing`], [`Missed`], [`Overlap`] | what recurs, and when |
//! | [`decide`](decide::decide) | what becomes of a job when its claim ends |
//! | [`pick`](dispatch::pick) | which slot of an addressed pool a job goes to |
//!
//! The mechanism is [`broker`]: the way to Redis, one file per verb. Users take all of this from
//! the `poolder` facade.

pub mod broker;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
mod job;
#[doc(hidden)]
pub mod mutation;
pub mod policy;
mod schedule;
mod stored;
pub mod view;

pub use job::{
    Backoff, BoxError, Callback, Cause, EntryId, Error, Failure, Format, Handle, Job, JobId, Lane,
    MAX_PAYLOAD, Outcome, Partition, Place, Policy, QueueName, RawJob, State, Tick, Timestamp,
    Verdict, batcher_of, check_kind, payload,
};
pub use policy::Counters;
pub use poolder_cron::{Timing, Zone};
pub use schedule::{Missed, Overlap, Schedule, Status, TickPlan, check_schedule_name};
pub use stored::{Claim, Completion, Entry, Envelope, Undecodable, variant};

/// What code written by the macros refers to; no part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::stored::variant;
    pub use crate::{Backoff, Error, Job, JobId, Policy, RawJob, payload};
    pub use serde::{Serialize, de::DeserializeOwned};
}
