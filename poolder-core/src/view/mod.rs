//! Queues and jobs as operators see them: plain values, read at one moment.

mod cursor;
mod item;
mod json;
mod serialize;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::job::{
    Error, Failure, Handle, Headers, JobId, JobState, Lane, Partition, Policy, RawJob, Timestamp,
    TraceParent,
};
use crate::policy::{Attempt, Counters};
use crate::stored::Envelope;

pub(crate) use cursor::After;
pub use cursor::Cursor;
pub(crate) use json::edit;
pub use json::to_json;

/// The state of a partition of a queue at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueView {
    /// The partition.
    pub partition: Partition,
    /// The time of the view, by the server's clock.
    pub now: Timestamp,
    /// The time at which the queue was paused, since when nothing is claimed; `None` when it is not
    /// paused.
    pub paused: Option<Timestamp>,
    /// The lanes, the best first.
    pub lanes: Vec<LaneView>,
    /// The number of jobs that wait until they are due, including those that wait for a retry.
    pub due: u64,
    /// The number of jobs in `due` that wait for a retry.
    pub retrying: u64,
    /// The time at which the next job or timer in `due` is due; `None` when there is none.
    pub next_due: Option<Timestamp>,
    /// The number of dead jobs.
    pub dead: u64,
    /// The number of stored cancellations. Each stays until its job has ended; that of an id which
    /// is derived from a name stays for 7 days, since other jobs may have the id.
    pub pending_cancels: u64,
    /// The leader of the partition, which promotes, rescues and prunes; `None` when there is none.
    pub leader: Option<LeaderView>,
    /// The counters of the partition by name: `completed`, `retried`, `buried`, `cancelled`, …
    pub counters: BTreeMap<String, u64>,
}

/// The state of a lane at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LaneView {
    /// The lane.
    pub lane: Lane,
    /// The number of jobs that wait for a free slot.
    pub ready: u64,
    /// The number of jobs that nodes have claimed.
    pub running: u64,
    /// The time at which the first waiting job entered the lane; `None` when no job waits.
    pub oldest: Option<Timestamp>,
}

/// The leader of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeaderView {
    /// The name of the node.
    pub node: String,
    /// The term of the leader, counted from 1.
    pub term: u64,
    /// The end of the lease, unless the node renews it.
    pub until: Timestamp,
}

impl QueueView {
    /// Returns the number of jobs that wait for a free slot, in all lanes.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.ready).sum()
    }

    /// Returns the number of jobs that nodes have claimed, in all lanes.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.running).sum()
    }

    /// Returns how long the first waiting job of all lanes has been in its lane.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        let first = self.lanes.iter().filter_map(|lane| lane.oldest).min();
        first.map(|oldest| self.now.since(oldest))
    }

    /// Returns the view of a lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> LaneView {
        let none = LaneView { lane, ready: 0, running: 0, oldest: None };
        self.lanes.iter().copied().find(|view| view.lane == lane).unwrap_or(none)
    }

    /// Returns a counter, 0 when it was never counted.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

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
    /// retrying job is due, or a dead job died.
    pub at: Timestamp,
    /// The node that runs the job, or that buried it.
    pub node: Option<String>,
    /// The counters of the job.
    pub counters: Counters,
    /// True when a request to cancel the job has not yet been carried out.
    pub cancelling: bool,
    pub(crate) failure: Option<Failure>,
    pub(crate) content: Content,
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
            Content::Raw(_) => Err(Error::codec("the entry is not a job, see its raw bytes")),
        }
    }

    /// Returns the bytes of an entry that is not a job; `None` for a job.
    #[must_use]
    pub fn raw(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Raw(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the retention of the completion record; `None` when none is written.
    pub(crate) fn completion_kept(&self) -> Option<Duration> {
        self.envelope().and_then(Envelope::completion_kept)
    }

    pub(crate) fn envelope(&self) -> Option<&Envelope> {
        match &self.content {
            Content::Job(envelope) | Content::Plain(_, envelope) => Some(envelope),
            Content::Raw(_) => None,
        }
    }
}

impl From<&JobView> for Handle {
    fn from(view: &JobView) -> Self {
        view.handle.clone()
    }
}

/// A page of a listing of jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The jobs of the page.
    pub jobs: Vec<JobView>,
    /// The cursor of the next page; `None` when this was the last page.
    pub next: Option<Cursor>,
}

impl Page {
    /// Returns the cursor of the next page after those jobs of this page were removed from the
    /// listing for which `gone` is true. `gone` has one element per job of the page.
    #[must_use]
    pub fn next_without(&self, gone: &[bool]) -> Option<Cursor> {
        let After::Time(at, seen) = self.next.as_ref()?.0 else { return self.next.clone() };
        let left = self.jobs.iter().zip(gone).filter(|(job, gone)| **gone && job.at.millis() == at);
        Some(Cursor(After::Time(at, seen.saturating_sub(left.count() as u64))))
    }
}
