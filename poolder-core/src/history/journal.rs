//! The journal: what has happened to the nodes and the partitions of a fleet.
//!
//! ```text
//! entry   field "e": JSON object of a JournalRecord
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::LogId;
use crate::job::{Timestamp, beginning};

/// The longest detail in bytes.
const MAX_DETAIL: usize = 300;

/// An event in the life of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JournalEvent {
    /// The first node of a deploy runs; the detail is the name of the deploy.
    Deploy,
    /// A node has entered the roster.
    NodeCame,
    /// A node has left the roster.
    NodeLeft,
    /// A node was silent for too long and was declared dead.
    NodeDied,
    /// A node leads a partition from now on.
    Leader,
    /// Jobs that a dead node held were taken back; the count says how many.
    Rescued,
    /// A job has become a suspect, since nodes have died while it ran.
    Suspect,
    /// A job was buried, since nodes keep dying while it runs.
    CrashBuried,
    /// A settlement changed nothing: the job had been taken back from the node, or settled before.
    SettlementRefused,
    /// A queue was paused by an operator.
    QueuePaused,
    /// A paused queue was resumed by an operator.
    QueueResumed,
    /// A pool was resized; the detail is the new number of slots.
    PoolResized,
    /// An addressed pool was stopped in the whole fleet.
    PoolStopped,
    /// A stopped addressed pool was started again.
    PoolStarted,
    /// The limits of a queue were set or changed; the detail says which.
    LimitsSet,
    /// The limits of a queue were ended.
    LimitsEnded,
    /// A group of a limited queue was paused by an operator.
    GroupPaused,
    /// A paused group was resumed by an operator.
    GroupResumed,
    /// Code no longer declares schedules that it declared before; the count says how many, the
    /// detail of which scheduler and by which deploy. They do not tick any more.
    ScheduleUndeclared,
    /// A group of equal errors was muted; the detail is its id, and for how long.
    ErrorMuted,
    /// The mute of a group of equal errors was ended by an operator; the detail is its id.
    ErrorUnmuted,
    /// Events that were not recorded, since there were too many at once; the count says how many.
    Lost,
}

impl fmt::Display for JournalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deploy => "deploy",
            Self::NodeCame => "node_came",
            Self::NodeLeft => "node_left",
            Self::NodeDied => "node_died",
            Self::Leader => "leader",
            Self::Rescued => "rescued",
            Self::Suspect => "suspect",
            Self::CrashBuried => "crash_buried",
            Self::SettlementRefused => "settlement_refused",
            Self::QueuePaused => "queue_paused",
            Self::QueueResumed => "queue_resumed",
            Self::PoolResized => "pool_resized",
            Self::PoolStopped => "pool_stopped",
            Self::PoolStarted => "pool_started",
            Self::LimitsSet => "limits_set",
            Self::LimitsEnded => "limits_ended",
            Self::GroupPaused => "group_paused",
            Self::GroupResumed => "group_resumed",
            Self::ScheduleUndeclared => "schedule_undeclared",
            Self::ErrorMuted => "error_muted",
            Self::ErrorUnmuted => "error_unmuted",
            Self::Lost => "lost",
        })
    }
}

/// The content of an entry of the journal. Fields that say nothing are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JournalRecord {
    /// The event.
    pub event: JournalEvent,
    /// The node of the event: the one that came, left, died, leads, or held the jobs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The node that has recorded the event, or the actor who has caused it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The partition; the queue for an event of a whole pool or queue, and `queue/group` for that of a
    /// group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub partition: String,
    /// The id of the job.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub job: String,
    /// The number of jobs or events.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u64,
    /// The rest, at most 300 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl JournalRecord {
    /// Creates the record of an event.
    #[must_use]
    pub fn new(event: JournalEvent) -> Self {
        let none = String::new;
        Self {
            event,
            node: none(),
            by: none(),
            partition: none(),
            job: none(),
            count: 0,
            detail: none(),
        }
    }

    /// Sets the node of the event.
    #[must_use]
    pub fn node(mut self, node: &str) -> Self {
        self.node = node.into();
        self
    }

    /// Sets the node that has recorded the event, or the actor who has caused it.
    #[must_use]
    pub fn by(mut self, by: &str) -> Self {
        self.by = by.into();
        self
    }

    /// Sets the partition, or the queue.
    #[must_use]
    pub fn partition(mut self, partition: impl fmt::Display) -> Self {
        self.partition = partition.to_string();
        self
    }

    /// Sets the job.
    #[must_use]
    pub fn job(mut self, job: impl fmt::Display) -> Self {
        self.job = job.to_string();
        self
    }

    /// Sets the number.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// Sets the detail, which is cut at 300 bytes.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = beginning(detail, MAX_DETAIL).into();
        self
    }
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// The id of the entry.
    pub id: LogId,
    /// When it was written, by the server's clock.
    pub at: Timestamp,
    /// The content.
    #[serde(flatten)]
    pub record: JournalRecord,
}

impl JournalEntry {
    /// Creates an entry of its id and its record.
    pub(crate) fn new(id: LogId, record: JournalRecord) -> Self {
        Self { id, at: id.at(), record }
    }
}

/// Selects entries of the journal; the default selects all. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalFilter {
    events: Vec<JournalEvent>,
    about: Option<String>,
    oldest: Option<LogId>,
}

impl JournalFilter {
    /// Selects this event; called several times, any of them.
    #[must_use]
    pub fn event(mut self, event: JournalEvent) -> Self {
        self.events.push(event);
        self
    }

    /// Selects what concerns the node, the partition or the job that contains this text.
    #[must_use]
    pub fn about(mut self, text: impl Into<String>) -> Self {
        self.about = Some(text.into());
        self
    }

    /// Selects what was written at this time or later.
    #[must_use]
    pub fn since(mut self, at: impl Into<Timestamp>) -> Self {
        self.oldest = self.oldest.max(Some(LogId::first_at(at.into())));
        self
    }

    /// Selects what was written after this entry.
    #[must_use]
    pub fn after(mut self, entry: LogId) -> Self {
        self.oldest = self.oldest.max(Some(entry.following()));
        self
    }

    /// Returns the lowest id that is selected.
    pub(crate) fn oldest(&self) -> Option<LogId> {
        self.oldest
    }

    /// Returns true when the record satisfies the conditions, apart from the times.
    pub(crate) fn is_satisfied_by(&self, record: &JournalRecord) -> bool {
        let names = [&record.node, &record.by, &record.partition, &record.job];
        (self.events.is_empty() || self.events.contains(&record.event))
            && self.about.as_ref().is_none_or(|text| names.iter().any(|name| name.contains(text)))
    }
}
