//! The facts from which a diagnosis is made, as plain values.

use std::time::Duration;

use poolder_core::broker::{LaneFacts, Membership, PartitionFacts};
use poolder_core::{JobId, Partition, QueueName, Timestamp};

/// A queue.
#[derive(Debug, Clone)]
pub(in crate::admin) struct QueueFacts {
    pub(in crate::admin) queue: QueueName,
    /// True for a pool whose slots have holders, and need no leader.
    pub(in crate::admin) is_addressed: bool,
    /// True for a queue with limits.
    pub(in crate::admin) is_limited: bool,
    /// The groups that are paused, and since when, the longest first.
    pub(in crate::admin) paused_groups: Vec<(String, Timestamp)>,
    /// The time of a pause.
    pub(in crate::admin) paused: Option<Timestamp>,
    /// The kinds and versions of the jobs that were looked at, and how many of each.
    pub(in crate::admin) kinds: Vec<((String, u16), u64)>,
    /// The largest payload that was looked at.
    pub(in crate::admin) largest: Option<(JobId, usize)>,
    pub(in crate::admin) partitions: Vec<PartitionSeen>,
}

/// A partition: of an addressed pool a slot.
#[derive(Debug, Clone)]
pub(in crate::admin) struct PartitionSeen {
    pub(in crate::admin) partition: Partition,
    pub(in crate::admin) ready: u64,
    pub(in crate::admin) running: u64,
    /// The time at which the first ready job entered its lane.
    pub(in crate::admin) oldest: Option<Timestamp>,
    pub(in crate::admin) due: u64,
    pub(in crate::admin) retrying: u64,
    pub(in crate::admin) suspects: u64,
    pub(in crate::admin) dead: u64,
    /// The number of dead jobs that were dropped, since there were too many.
    pub(in crate::admin) dropped: u64,
    pub(in crate::admin) leader: Option<String>,
    pub(in crate::admin) lanes: Vec<LaneFacts>,
    pub(in crate::admin) faults: PartitionFacts,
    /// The holder of the slot, and whether the roster knows it.
    pub(in crate::admin) holder: Option<(String, Membership)>,
    /// The consumers of the lanes, and whether the roster knows them.
    pub(in crate::admin) members: Vec<(String, Membership)>,
    /// The first running job.
    pub(in crate::admin) first_running: Option<RunningFacts>,
}

/// A job that runs.
#[derive(Debug, Clone)]
pub(in crate::admin) struct RunningFacts {
    pub(in crate::admin) id: JobId,
    pub(in crate::admin) node: String,
    pub(in crate::admin) since: Timestamp,
    /// The timeout that is stored with the job.
    pub(in crate::admin) timeout: Option<Duration>,
}
