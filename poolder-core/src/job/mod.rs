//! The basic types of all other modules: jobs, queues and lanes, outcomes, policies and errors.
//!
//! Pure; imports no other module of this crate.

mod error;
mod group;
mod handle;
mod headers;
mod host;
mod ids;
#[allow(clippy::module_inception, reason = "the trait has the name of the module")]
mod job;
mod limited;
mod named_ids;
mod outcome;
pub(crate) mod packed;
pub mod payload;
mod queue;
mod raw;
mod retry;
#[cfg(feature = "otel")]
pub mod spans;
mod state;
mod text;
mod tick;
mod time;
pub(crate) mod trace_parent;
mod unique;

pub use error::{BoxError, Error, ErrorKind};
pub use group::cost;
pub(crate) use group::{MAX_COST, check_group_name, check_stored_group};
pub use handle::{Handle, Place};
pub use headers::Headers;
pub use host::host;
pub(crate) use ids::Fields;
pub use ids::{EntryId, JobId};
pub(crate) use job::{BATCH_KIND, check_expires_in};
pub use job::{Job, batcher_of, check_kind};
pub use limited::Limited;
pub use outcome::{Callback, Cause, Failure, Outcome, Verdict};
pub use payload::MAX_PAYLOAD;
pub(crate) use payload::MAX_STORED;
pub(crate) use queue::check_name;
pub use queue::{Lane, Partition, QueueName};
pub use raw::{Format, RawJob};
pub use retry::{Backoff, Policy};
pub use state::JobState;
pub(crate) use text::{as_millis, beginning, deserialize_from_text, serialize_as_text};
pub use tick::{RunOutcome, Tick};
pub use time::Timestamp;
pub(crate) use time::{LONGEST, clamped_duration, clamped_millis};
pub use trace_parent::TraceParent;
pub use unique::{OnDuplicate, Unique, UniqueKey, UniqueMode};
