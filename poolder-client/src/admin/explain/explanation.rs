//! The answer to the question why a job does not run.

use std::fmt;

use poolder_core::{JobId, JobState, QueueName, Timestamp};
use serde::Serialize;

use crate::admin::check::Check;

/// The reason why a job runs, waits, has ended, or does not run, with all that was looked at on the
/// way; made by [`JobClient::explain`](crate::JobClient::explain). As text it has a line for the
/// verdict and one for each check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The subject: `job <id> of queue <name>`, or a list of a batcher.
    pub subject: String,
    /// The queue; `None` when only an id is known.
    pub queue: Option<QueueName>,
    /// The job; `None` for entries that gather in a list.
    pub job: Option<JobId>,
    /// The state of the job; `None` when it was not found.
    pub state: Option<JobState>,
    /// The reason, for a program.
    pub verdict: Why,
    /// The reason, as a sentence.
    pub reason: String,
    /// The time at which this reason ends, as far as it is known. Where the reason says `about`, an
    /// estimate.
    pub until: Option<Timestamp>,
    /// The thing that a person can do about it; `None` when there is nothing to do but to wait.
    pub hint: Option<String>,
    /// The checks, in their order. The first that is not ok is the reason.
    pub checks: Vec<Check>,
}

impl Explanation {
    /// Returns true when the job does not run until a person acts.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.verdict.is_stuck()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.subject)?;
        writeln!(f, "{}: {}", self.verdict, self.reason)?;
        if let Some(hint) = &self.hint {
            writeln!(f, "hint: {hint}")?;
        }
        self.checks.iter().try_for_each(|check| writeln!(f, "  {check}"))
    }
}

/// The reason why a job runs, waits, has ended, or does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// The job was not found, and left no record.
    NotFound,
    /// The job is done.
    Done,
    /// The job was cancelled and has ended.
    Cancelled,
    /// The time is over within which the job had to start: it is cancelled when it is claimed.
    Expired,
    /// The job is dead: it runs again when a person revives it.
    Dead,
    /// The job runs.
    Running,
    /// The job runs on a node that is silent or dead, and will be rescued.
    OnSilentNode,
    /// A request to cancel the job is being carried out.
    Stopping,
    /// The job waits for the time for which it was enqueued.
    Scheduled,
    /// The job waits for its next attempt.
    Retrying,
    /// The job was put off by its handler, or by a node that has no worker for it.
    Snoozed,
    /// The job waits behind the one that holds its unique key.
    BehindUnique,
    /// The job is due, and no leader moves it to its lane.
    Overdue,
    /// The entries gather in a list that is not full, and whose time is not up.
    Gathering,
    /// The queue is paused.
    Paused,
    /// No living node serves the queue.
    Unserved,
    /// No living node of the queue has a worker for the kind and version of the job.
    UnknownKind,
    /// The whole pool is stopped.
    PoolStopped,
    /// The slot of the job is stopped.
    SlotStopped,
    /// No node holds the slot of the job.
    SlotFree,
    /// The holder of the slot is silent or dead.
    HolderGone,
    /// A retry in front blocks the slot until its time.
    Held,
    /// The pool was resized, and slots still run jobs from before.
    Resizing,
    /// Another job of the same key is before it in the slot.
    SameKey,
    /// The job is a suspect, of which a node runs one at a time.
    Suspect,
    /// Other jobs are before it.
    BehindOthers,
    /// The group of the job is paused.
    GroupPaused,
    /// As many jobs of its group run as the limit of the group allows.
    GroupFull,
    /// As many jobs of its queue run as the limit of the queue allows.
    QueueFull,
    /// As many jobs of its group have started as the rate of the group allows.
    GroupRate,
    /// As many jobs of its queue have started as the rate of the queue allows.
    QueueRate,
    /// Its group is held, since an attempt met a limit of another system.
    GroupHeld,
    /// Its queue is held, since an attempt met a limit of another system.
    QueueHeld,
    /// All slots are busy.
    SlotsBusy,
    /// Nothing is in its way: it starts at any moment.
    Next,
    /// Nothing is in its way, and still it does not start.
    Unclear,
}

impl Why {
    /// Returns the reason as a word, as it is serialized.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Dead => "dead",
            Self::Running => "running",
            Self::OnSilentNode => "on_silent_node",
            Self::Stopping => "stopping",
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Snoozed => "snoozed",
            Self::BehindUnique => "behind_unique",
            Self::Overdue => "overdue",
            Self::Gathering => "gathering",
            Self::Paused => "paused",
            Self::Unserved => "unserved",
            Self::UnknownKind => "unknown_kind",
            Self::PoolStopped => "pool_stopped",
            Self::SlotStopped => "slot_stopped",
            Self::SlotFree => "slot_free",
            Self::HolderGone => "holder_gone",
            Self::Held => "held",
            Self::Resizing => "resizing",
            Self::SameKey => "same_key",
            Self::Suspect => "suspect",
            Self::BehindOthers => "behind_others",
            Self::GroupPaused => "group_paused",
            Self::GroupFull => "group_full",
            Self::QueueFull => "queue_full",
            Self::GroupRate => "group_rate",
            Self::QueueRate => "queue_rate",
            Self::GroupHeld => "group_held",
            Self::QueueHeld => "queue_held",
            Self::SlotsBusy => "slots_busy",
            Self::Next => "next",
            Self::Unclear => "unclear",
        }
    }

    /// Returns true when the job does not run until a person acts.
    #[must_use]
    pub fn is_stuck(self) -> bool {
        matches!(
            self,
            Self::Dead
                | Self::Overdue
                | Self::Paused
                | Self::GroupPaused
                | Self::Unserved
                | Self::UnknownKind
                | Self::PoolStopped
                | Self::SlotStopped
                | Self::SlotFree
                | Self::Unclear
        )
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
