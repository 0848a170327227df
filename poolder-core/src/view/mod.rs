//! What an operator sees of a queue: plain values, as of one moment.

mod cursor;
mod json;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::job::{
    Error, Failure, Handle, JobId, Lane, Partition, Policy, RawJob, State, Timestamp,
};
use crate::policy::Counters;
use crate::stored::Envelope;

pub(crate) use cursor::After;
pub use cursor::Cursor;
pub use json::to_json;

/// A queue's partition at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// Which one.
    pub partition: Partition,
    /// The server's clock.
    pub now: Timestamp,
    /// Since when nothing is claimed, if it is paused.
    pub paused: Option<Timestamp>,
    /// Its lanes, best served first.
    pub lanes: Vec<LaneView>,
    /// How many wait for their time, those that failed before included.
    pub due: u64,
    /// How many of those wait for another attempt.
    pub retrying: u64,
    /// When the next is due.
    pub next_due: Option<Timestamp>,
    /// How many are kept among the dead.
    pub dead: u64,
    /// Commands to cancel that were not carried out yet.
    pub pending_cancels: u64,
    /// Who promotes, rescues and prunes here.
    pub leader: Option<LeaderView>,
    /// What has happened so far: `completed`, `retried`, `buried`, `cancelled`, …
    pub counters: BTreeMap<String, u64>,
}

/// A lane at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneView {
    /// Which one.
    pub lane: Lane,
    /// Jobs that wait for a free slot.
    pub ready: u64,
    /// Jobs that slots have.
    pub running: u64,
    /// Since when the first of those that wait is in the lane.
    pub oldest: Option<Timestamp>,
}

/// Who leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderView {
    /// The node.
    pub node: String,
    /// Which reign this is, from 1.
    pub term: u64,
    /// Until when, unless it is renewed.
    pub until: Timestamp,
}

impl QueueView {
    /// Jobs that wait for a free slot.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.ready).sum()
    }

    /// Jobs that slots have.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.running).sum()
    }

    /// How long the first of those that wait for a slot has waited in its lane.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        let first = self.lanes.iter().filter_map(|lane| lane.oldest).min();
        first.map(|oldest| self.now.since(oldest))
    }

    /// A lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> LaneView {
        let none = LaneView { lane, ready: 0, running: 0, oldest: None };
        self.lanes.iter().copied().find(|view| view.lane == lane).unwrap_or(none)
    }

    /// A counter, 0 when it never counted.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

/// A job at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// Names it, and says where it was.
    pub handle: Handle,
    /// What it does.
    pub state: State,
    /// The lane it is in, or goes to when its time has come.
    pub lane: Lane,
    /// Ready: since when it is in its lane. Running: since when. Scheduled and retrying: until
    /// when. Dead: since when.
    pub at: Timestamp,
    /// The node that runs it, or that buried it.
    pub node: Option<String>,
    /// What has happened to it.
    pub counters: Counters,
    /// True when it was ordered to stop, or never to run, and has not ended yet.
    pub cancelling: bool,
    pub(crate) failure: Option<Failure>,
    pub(crate) content: Content,
}

/// What is stored of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Job(Envelope),
    /// An entry in another client's words: its text, to know it again, and the job it stands for.
    Plain(Vec<u8>, Envelope),
    /// Not a job.
    Raw(Vec<u8>),
}

impl JobView {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.handle.job
    }

    /// Its kind; `None` for an entry that is no job.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.envelope().map(Envelope::kind)
    }

    /// Which attempt it waits for, runs, or died of, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        match self.state {
            State::Dead => self.counters.failures.max(1),
            _ => self.counters.failures.saturating_add(1),
        }
    }

    /// The policy it travels with.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.envelope().map_or_else(Policy::default, Envelope::policy)
    }

    /// Why it died, or why its last attempt failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref().or(self.counters.last_failure.as_ref())
    }

    /// The payload as it is stored; `None` for an entry that is no job.
    #[must_use]
    pub fn payload(&self) -> Option<RawJob<'_>> {
        self.envelope().map(Envelope::raw_job)
    }

    /// The payload for reading: MessagePack is shown as JSON, bytes as numbers.
    ///
    /// # Errors
    /// [`Error::is_codec`] when it cannot be read, or is nested deeper than 64 levels; or for an
    /// entry that is no job.
    pub fn payload_json(&self) -> Result<serde_json::Value, Error> {
        match &self.content {
            Content::Job(envelope) | Content::Plain(_, envelope) => to_json(envelope.raw_job()),
            Content::Raw(_) => Err(Error::codec("it is no job, see its raw bytes")),
        }
    }

    /// What stands in the place of a job, when it is none.
    #[must_use]
    pub fn raw(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Raw(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// For how long its end is kept, when somebody waits for it.
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

/// Some of many jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// Where to go on; `None` when this was the last page.
    pub next: Option<Cursor>,
}

impl Page {
    /// Where to go on when those of its jobs that `gone` marks have left the list meanwhile.
    #[must_use]
    pub fn next_without(&self, gone: &[bool]) -> Option<Cursor> {
        let After::Time(at, seen) = self.next.as_ref()?.0 else { return self.next.clone() };
        let left = self.jobs.iter().zip(gone).filter(|(job, gone)| **gone && job.at.millis() == at);
        Some(Cursor(After::Time(at, seen.saturating_sub(left.count() as u64))))
    }
}
