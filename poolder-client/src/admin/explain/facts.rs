//! The facts from which a job is explained, as plain values.

use std::time::Duration;

use poolder_core::broker::Rate;
use poolder_core::history::ErrorId;
use poolder_core::{EntryId, JobId, JobState, Lane, Timestamp, UniqueKey, UniqueMode};

/// Everything that was read about a job that was found.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The server's clock.
    pub(super) now: Timestamp,
    pub(super) job: JobSeen,
    pub(super) queue: QueueSeen,
    /// The nodes whose description names the queue.
    pub(super) nodes: Vec<NodeSeen>,
    /// The lane of the job.
    pub(super) lane: LaneSeen,
    /// The jobs before it in its lane, and whether they were counted; of a job that is ready.
    pub(super) ahead: Option<(u64, bool)>,
    /// The group in which it waits, on a limited queue.
    pub(super) group: Option<GroupSeen>,
    /// The job of the queue or slot that has run for the longest time.
    pub(super) longest: Option<OtherJob>,
    /// The node that runs the job.
    pub(super) runner: Option<RunnerSeen>,
    /// The slot of the job, in an addressed pool.
    pub(super) slot: Option<SlotSeen>,
    /// The list of a batch job.
    pub(super) batch: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct JobSeen {
    pub(super) id: JobId,
    pub(super) state: JobState,
    pub(super) lane: Lane,
    /// As [`JobView::at`](poolder_core::view::JobView::at).
    pub(super) at: Timestamp,
    pub(super) entry: Option<EntryId>,
    pub(super) node: Option<String>,
    /// `None` for an entry that is not a job.
    pub(super) kind: Option<(String, u16)>,
    pub(super) attempt: u32,
    pub(super) failures: u32,
    pub(super) crashes: u32,
    pub(super) deliveries: u64,
    pub(super) cancelling: bool,
    /// As [`JobView::expires_at`](poolder_core::view::JobView::expires_at).
    pub(super) expires_at: Option<Timestamp>,
    /// The policy that is stored with the job, as far as it matters: attempts and timeout.
    pub(super) policy: Option<(u32, Option<Duration>)>,
    pub(super) key: Option<u64>,
    /// The key of a unique job, and who holds it.
    pub(super) unique: Option<UniqueSeen>,
    pub(super) failure: Option<String>,
    /// The group of equal errors to which the failure belongs.
    pub(super) error: Option<ErrorId>,
    /// The units done and in total that the handler reported.
    pub(super) progress: Option<(u64, u64)>,
}

#[derive(Debug, Clone)]
pub(super) struct UniqueSeen {
    pub(super) key: UniqueKey,
    pub(super) mode: UniqueMode,
    /// The job that holds the key; `None` when it is free.
    pub(super) holder: Option<JobId>,
    /// True for a job that waits behind the holder.
    pub(super) is_behind: bool,
}

#[derive(Debug, Clone)]
pub(super) struct GroupSeen {
    pub(super) name: String,
    /// The number of jobs of the group that wait before this one, at most: some may have been
    /// removed.
    pub(super) before: u64,
    pub(super) running: u64,
    pub(super) limit: Option<u32>,
    pub(super) paused: Option<Timestamp>,
    pub(super) queue_running: u64,
    pub(super) queue_limit: Option<u32>,
    /// The number of groups that may start a job.
    pub(super) turns: u64,
    /// The rate of the group, and the time at which its next job may start, if it may not now.
    pub(super) rate: Option<Rate>,
    pub(super) later: Option<Timestamp>,
    /// The same of the queue.
    pub(super) queue_rate: Option<Rate>,
    pub(super) queue_later: Option<Timestamp>,
    /// Until when the group and the queue are held.
    pub(super) held: Option<Timestamp>,
    pub(super) queue_held: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) struct QueueSeen {
    pub(super) paused: Option<Timestamp>,
    /// The leader of the queue, or the holder of the slot, which has its duties.
    pub(super) leader: Option<String>,
    /// The lanes in the order of [`Lane::ALL`]: ready and running jobs, and the time at which the
    /// first ready one entered.
    pub(super) lanes: Vec<(u64, u64, Option<Timestamp>)>,
}

impl QueueSeen {
    pub(super) fn running(&self) -> u64 {
        self.lanes.iter().map(|(_, running, _)| running).sum()
    }

    pub(super) fn of(&self, lane: Lane) -> (u64, u64, Option<Timestamp>) {
        self.lanes.get(lane.index()).copied().unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub(super) struct NodeSeen {
    pub(super) name: String,
    pub(super) silent: Duration,
    pub(super) is_silent: bool,
    /// The slots for the queue.
    pub(super) slots: u64,
    /// The kinds with the highest version of each; `None` when the node does not say.
    pub(super) kinds: Option<Vec<(String, u16)>>,
}

#[derive(Debug, Clone)]
pub(super) struct LaneSeen {
    pub(super) is_stream: bool,
    pub(super) has_group: bool,
    /// The number of consumers of the group, and the shortest time for which one was idle.
    pub(super) consumers: u64,
    pub(super) idle: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(super) struct OtherJob {
    pub(super) id: JobId,
    pub(super) kind: String,
    pub(super) key: Option<u64>,
    pub(super) node: Option<String>,
    /// The time at which it was claimed, or entered its lane.
    pub(super) since: Timestamp,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RunnerSeen {
    /// The last beat; `None` when the roster does not have the node.
    pub(super) beat: Option<Timestamp>,
    pub(super) marked: Option<Timestamp>,
    /// The time since the last command of its consumer.
    pub(super) idle: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(super) struct SlotSeen {
    pub(super) index: u16,
    pub(super) pool_stopped: bool,
    pub(super) size: u16,
    /// The number of slots in service.
    pub(super) tail: u16,
    /// False while slots still run jobs from before the last resize.
    pub(super) open: bool,
    /// True for a pool whose jobs of one key run in order.
    pub(super) is_keyed: bool,
    pub(super) stopped: bool,
    pub(super) holder: Option<String>,
    pub(super) holder_seen: Option<RunnerSeen>,
    pub(super) hold: Option<Timestamp>,
    pub(super) held: Option<EntryId>,
    pub(super) edge: Option<EntryId>,
    /// The job that is next to run, when it is not the job itself, and no job runs.
    pub(super) front: Option<OtherJob>,
}
