//! Queues and jobs as operators see them: plain values, read at one moment.
//!
//! The inspector of a client returns them, and a [`Filter`] chooses among jobs. All of them
//! implement `Serialize`, for dashboards and logs.
//!
//! ```
//! use poolder_core::view::Filter;
//!
//! let failed: Filter = "kind=mail.* attempt>=3".parse()?;
//! assert!(!failed.is_any());
//! # Ok::<(), poolder_core::Error>(())
//! ```

mod cursor;
mod filter;
mod item;
mod json;
mod kept;
mod listing;
mod page;
mod patch;
mod queue;
mod serialize;

use std::time::Duration;

use serde::Serialize;

use crate::job::{
    Error, Failure, Handle, Headers, JobId, JobState, Lane, Policy, RawJob, Timestamp, TraceParent,
    UniqueKey, UniqueMode, as_millis,
};
use crate::policy::{Attempt, Counters, ErrorId};
use crate::stored::{BEHIND, Envelope, since};

pub use cursor::Cursor;
pub(crate) use cursor::{After, numbers};
pub use filter::Filter;
pub(crate) use json::edit;
pub use json::to_json;
pub use kept::{KeptJob, KeptState};
pub use listing::Listing;
pub use page::Page;
pub use patch::merge_patch;
pub use queue::{
    COUNTERS, LaneView, LeaderView, PartitionView, QueueState, QueueView, Unreachable,
};

/// The state of a job at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JobView {
    /// The id of the job and the place where it was found.
    pub handle: Handle,
    /// The state of the job.
    pub state: JobState,
    /// The lane that holds the job, or the lane that it goes to when it is due or revived.
    pub lane: Lane,
    /// The time at which a ready job entered its lane, a running job was claimed, a scheduled or
    /// retrying job is due, a dead job died, or a finished job ended. Of a job that waits in a group of
    /// a limited queue it is the time at which its id was made.
    pub at: Timestamp,
    /// The node that runs the job, that buried it, or on which it ended.
    pub node: Option<String>,
    /// How a finished job that is kept has ended; `None` for another job.
    pub end: Option<JobEnd>,
    /// The counters of the job.
    pub counters: Counters,
    /// True when a request to cancel the job has not yet been carried out.
    pub cancelling: bool,
    pub(crate) failure: Option<Failure>,
    pub(crate) content: Content,
}

/// How a finished job has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JobEnd {
    /// How long its last attempt ran. In JSON `took_ms`.
    #[serde(rename = "took_ms", serialize_with = "as_millis")]
    pub took: Duration,
    /// Why it was cancelled; `None` for a job that is done.
    pub reason: Option<String>,
}

/// The stored content of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Job(Envelope),
    /// A plain entry, written by another client: its joined text, by which scripts recognize it,
    /// and the job that it stands for.
    Plain(Vec<u8>, Envelope),
    /// The bytes of an entry that is not a job.
    Raw(Vec<u8>),
    /// The beginning of a stored job that is too large to be read.
    Beginning(Vec<u8>),
}

impl JobView {
    /// Returns the id of the job. The handle has another one where two jobs of one id wait for their
    /// time, or are dead: the handle of each means this one job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.envelope().map_or(self.handle.job, Envelope::id)
    }

    /// Returns the kind of the job; `None` for an entry that is not a job.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.envelope().map(Envelope::kind)
    }

    /// Returns the number of the attempt that the job waits for, runs, or died of, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        match self.state {
            JobState::Dead => self.counters.failures.max(1),
            _ => self.counters.failures.saturating_add(1),
        }
    }

    /// Returns the policy of the job; the default for an entry that is not a job.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.envelope().map_or_else(Policy::default, Envelope::policy)
    }

    /// Returns the policy that is stored with the job; `None` for a job to which the policy of its
    /// pool or the default applies, and for an entry that is not a job.
    #[must_use]
    pub fn own_policy(&self) -> Option<Policy> {
        self.envelope()?.own_policy()
    }

    /// Returns the hash of the key by which the slot of the job is picked in a pool of the mode
    /// [`Phash`](crate::policy::dispatch::Mode::Phash); `None` for an entry that is not a job.
    #[must_use]
    pub fn key(&self) -> Option<u64> {
        self.envelope().map(Envelope::key)
    }

    /// Returns the group of its queue that the job was given; `None` for a job without one, and for
    /// an entry that is not a job. A queue without limits ignores it.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.envelope().and_then(Envelope::group)
    }

    /// Returns the time after which the job does not start, by the server's clock; `None` once an
    /// attempt of it has begun, and for a job that does not expire.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.envelope().and_then(Envelope::expires_at).filter(|_| !self.counters.has_begun())
    }

    /// Returns the headers of the job; none for an entry that is not a job.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        static NONE: Headers = Headers::new();
        self.envelope().map_or(&NONE, Envelope::headers)
    }

    /// Returns the trace context with which the job was sent.
    #[must_use]
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.envelope().and_then(Envelope::trace_parent)
    }

    /// Returns the failure of which the job died, or else its last failure.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref().or(self.counters.last_failure.as_ref())
    }

    /// Returns the id of the group of equal errors to which [`JobView::failure`] belongs; `None`
    /// for a job that has not failed, and for an entry that is not a job.
    #[must_use]
    pub fn error(&self) -> Option<ErrorId> {
        Some(ErrorId::of(self.kind()?, self.failure()?))
    }

    /// Returns the attempts that failed or crashed, the first one first: the first seven and the
    /// last seven. A revived job keeps them.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.counters.attempts()
    }

    /// Returns the stored payload; `None` for an entry that is not a job.
    #[must_use]
    pub fn payload(&self) -> Option<RawJob<'_>> {
        self.envelope().map(Envelope::raw_job)
    }

    /// Returns the payload as JSON, for display, as [`to_json`] does.
    ///
    /// # Errors
    /// [`Error::is_codec`] as for [`to_json`], and for an entry that is not a job.
    pub fn payload_json(&self) -> Result<serde_json::Value, Error> {
        match &self.content {
            Content::Job(envelope) | Content::Plain(_, envelope) => to_json(envelope.raw_job()),
            Content::Raw(_) | Content::Beginning(_) => {
                Err(Error::codec("the entry is not a job, see its raw bytes"))
            }
        }
    }

    /// Returns the bytes of an entry that is not a job; `None` for a job.
    #[must_use]
    pub fn raw(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Raw(bytes) | Content::Beginning(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the key of a unique job; `None` for another job. A job does not hold its key after
    /// its start, where its rule ends then, nor when it is dead.
    #[must_use]
    pub fn unique_key(&self) -> Option<UniqueKey> {
        self.envelope().and_then(Envelope::unique_key)
    }

    /// Returns when the key of a unique job is free again; `None` for another job.
    #[must_use]
    pub fn unique_mode(&self) -> Option<UniqueMode> {
        self.envelope().and_then(Envelope::unique_mode)
    }

    /// Returns whether the job waits behind the one that holds its unique key. [`JobView::at`] is then
    /// the latest time that there is.
    #[must_use]
    pub fn waits_behind(&self) -> bool {
        self.state == JobState::Scheduled && self.at == BEHIND
    }

    /// Returns the key and the generation of a unique job as scripts compare them with the record of
    /// the key; no bytes for another job.
    pub(crate) fn held_key(&self) -> (Vec<u8>, Vec<u8>) {
        let key = self.unique_key().map(|key| key.as_bytes().to_vec());
        key.map(|key| (key, since(self.id(), &self.counters))).unwrap_or_default()
    }

    /// Returns the retention of the completion record; `None` when none is written.
    pub(crate) fn completion_kept(&self) -> Option<Duration> {
        self.envelope().and_then(Envelope::completion_kept)
    }

    pub(crate) fn envelope(&self) -> Option<&Envelope> {
        match &self.content {
            Content::Job(envelope) | Content::Plain(_, envelope) => Some(envelope),
            Content::Raw(_) | Content::Beginning(_) => None,
        }
    }
}

impl From<&JobView> for Handle {
    fn from(view: &JobView) -> Self {
        view.handle.clone()
    }
}
