//! The state of the test's queue: jobs, batches, schedules, and the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::job::{
    EntryId, Failure, JobId, Lane, OnDuplicate, Partition, Place, QueueName, RawJob, Timestamp,
    UniqueKey, UniqueMode,
};
use crate::policy::Counters;
use crate::policy::dispatch::Mode;
#[cfg(feature = "schedules")]
use crate::schedule::{ScheduleRun, StoredState};
use crate::stored::{Completion, Envelope};

/// The number of a job in the test's queue, from 1.
pub type JobNumber = u64;

/// The queue of a test, in memory. Its broker stores in it, and the test claims from it.
pub struct Captured {
    pub(super) state: Mutex<State>,
}

/// Answers the calls of a kind.
pub(super) type Answer = Arc<dyn Fn(RawJob<'_>) -> Completion + Send + Sync>;

/// Asks a running attempt to stop.
pub(super) type Interrupt = Box<dyn Fn() + Send>;

pub(super) struct State {
    pub(super) now: Timestamp,
    /// The jobs by their numbers, which count all jobs from 1 in the order of their enqueues.
    pub(super) jobs: BTreeMap<JobNumber, CapturedJob>,
    pub(super) last_number: JobNumber,
    /// Counts the moves of jobs, by which a lane is ordered.
    pub(super) last_move: u64,
    /// The ready jobs of each partition: lane, order in the lane, number.
    pub(super) ready: BTreeMap<Partition, BTreeSet<(usize, u64, JobNumber)>>,
    /// The waiting jobs: due time, order, number.
    pub(super) due: BTreeSet<(Timestamp, u64, JobNumber)>,
    /// The completion records, and when each ends.
    pub(super) records: HashMap<JobId, (Completion, Timestamp)>,
    pub(super) progress: HashMap<JobId, (u64, u64)>,
    /// The receipts of idempotent enqueues, and when each ends.
    pub(super) receipts: HashMap<(Partition, JobId), Timestamp>,
    /// The keys of unique jobs.
    pub(super) keys: HashMap<(Partition, UniqueKey), Holder>,
    pub(super) answers: BTreeMap<String, Answer>,
    /// The queues of which a node runs the jobs.
    pub(super) served: BTreeSet<QueueName>,
    pub(super) interrupts: BTreeMap<JobNumber, Interrupt>,
    pub(super) pools: BTreeMap<QueueName, (Mode, u16)>,
    pub(super) batchers: Batchers,
    #[cfg(feature = "schedules")]
    pub(super) schedules: Schedules,
}

/// A job of the test's queue.
#[derive(Debug, Clone)]
pub(super) struct CapturedJob {
    pub(super) partition: Partition,
    pub(super) envelope: Envelope,
    pub(super) counters: Counters,
    /// The lane that holds the job, or to which it goes.
    pub(super) lane: Lane,
    pub(super) at: JobPlace,
    /// When the job came to its place.
    pub(super) since: Timestamp,
    /// Its order among the jobs at its place.
    pub(super) order: u64,
    /// False for a job that the test runs without enqueueing it.
    pub(super) listed: bool,
    /// When the job was enqueued, and the time for which its enqueue asked.
    pub(super) enqueued: Timestamp,
    pub(super) asked: Option<Timestamp>,
    /// True for a job that each slot of a broadcast pool runs.
    pub(super) broadcast: bool,
    /// True when the job is to be cancelled once its attempt has ended.
    pub(super) cancelling: bool,
}

/// The job that holds a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) number: JobNumber,
    pub(super) mode: UniqueMode,
    /// When the job has taken the key, and the end of a window.
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    /// The job that waits behind it, and the time before which that one is not due.
    pub(super) behind: Option<(JobNumber, Option<Timestamp>)>,
}

/// The place of a job.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum JobPlace {
    Ready,
    /// Due at this time; true for a retry.
    Due(Timestamp, bool),
    Running,
    Dead(Failure),
    Ended(Completion),
}

impl Captured {
    pub(crate) fn new(now: Timestamp) -> Self {
        let state = State {
            now,
            jobs: BTreeMap::new(),
            last_number: 0,
            last_move: 0,
            ready: BTreeMap::new(),
            due: BTreeSet::new(),
            records: HashMap::new(),
            progress: HashMap::new(),
            receipts: HashMap::new(),
            keys: HashMap::new(),
            answers: BTreeMap::new(),
            served: BTreeSet::new(),
            interrupts: BTreeMap::new(),
            pools: BTreeMap::new(),
            batchers: Batchers::default(),
            #[cfg(feature = "schedules")]
            schedules: Schedules::default(),
        };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time of the clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state().now
    }

    /// Generates an id at the time of the clock.
    #[must_use]
    pub fn generate_id(&self) -> JobId {
        JobId::generate_at(self.now())
    }

    /// Answers the calls of these kinds from now on.
    pub fn answer(
        &self,
        kinds: &[&str],
        answer: impl Fn(RawJob<'_>) -> Completion + Send + Sync + 'static,
    ) {
        let (answer, mut state) = (Arc::new(answer), self.state());
        for kind in kinds {
            state.answers.insert((*kind).to_owned(), Arc::clone(&answer) as Answer);
        }
    }

    /// Notes that a node runs the jobs of these queues.
    pub fn serve(&self, queues: impl IntoIterator<Item = QueueName>) {
        self.state().served.extend(queues);
    }

    /// Notes the progress of a job.
    pub fn note_progress(&self, job: JobId, units: (u64, u64)) {
        self.state().progress.insert(job, units);
    }

    /// Returns the last progress of a job.
    #[must_use]
    pub fn progress(&self, job: JobId) -> Option<(u64, u64)> {
        self.state().progress.get(&job).copied()
    }

    /// Registers a pool, and returns the mode and the size that are registered.
    pub(crate) fn define_pool(&self, queue: &QueueName, mode: Mode, size: u16) -> (Mode, u16) {
        *self.state().pools.entry(queue.clone()).or_insert((mode, size))
    }

    pub(crate) fn pool(&self, queue: &QueueName) -> Option<(Mode, u16)> {
        self.state().pools.get(queue).copied()
    }
}

impl CapturedJob {
    /// Returns the id of the entry that holds the job.
    pub(super) fn entry(&self, number: JobNumber) -> EntryId {
        format!("{}-{number}", self.since.millis()).into()
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Captured")
            .field("now", &state.now)
            .field("jobs", &state.jobs.len())
            .finish_non_exhaustive()
    }
}

/// A job to be stored.
pub(crate) struct NewJob<'a> {
    pub(crate) partition: &'a Partition,
    pub(crate) lane: Lane,
    /// The time at which it is ready; `None` for at once.
    pub(crate) due: Option<Timestamp>,
    pub(crate) envelope: &'a Envelope,
    pub(crate) idempotent: Option<Duration>,
    pub(crate) on_duplicate: OnDuplicate,
    pub(crate) broadcast: bool,
}

/// The way in which a job was stored.
pub(crate) enum StoredJob {
    Ready(EntryId),
    Due(Timestamp),
    /// Behind the job that holds the unique key.
    Behind,
    Already,
    /// Not stored: another job holds the unique key.
    Stands {
        id: JobId,
        place: Option<Place>,
        replaced: bool,
    },
}

/// The changes to the entries of a batch that a settlement makes.
pub(crate) enum BatchChange<'a> {
    Keep(&'a str),
    Bury { part: &'a str, id: JobId, failure: &'a crate::job::Failure },
}

/// The partition and the name of a batcher.
pub(super) type Home = (Partition, String);

/// The batchers, their open lists, and the lists of the batches that were sealed.
#[derive(Default)]
pub(crate) struct Batchers {
    pub(super) rules: BTreeMap<Home, BatcherRules>,
    pub(super) open: BTreeMap<(Home, String), OpenList>,
    pub(super) last_generation: u64,
    pub(super) sealed: HashMap<JobId, SealedList>,
    /// The entries that attempts have set aside, by the job and the name of the part.
    pub(super) parts: HashMap<(JobId, String), Vec<Vec<u8>>>,
}

/// The rules of a batcher, as its declaration stores them.
#[derive(Debug, Clone)]
pub(crate) struct BatcherRules {
    pub(crate) revision: u32,
    /// The stored form of all options.
    pub(crate) text: String,
    /// The envelope of a batch job without payload.
    pub(crate) form: Envelope,
    pub(crate) limit: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_waiting: Option<u64>,
    pub(crate) max_groups: usize,
}

pub(super) struct OpenList {
    pub(super) generation: u64,
    pub(super) since: Timestamp,
    pub(super) due: Option<Timestamp>,
    pub(super) entries: VecDeque<Vec<u8>>,
}

pub(super) struct SealedList {
    pub(super) home: Home,
    pub(super) entries: Vec<Vec<u8>>,
    /// False for a list whose job is dead: its entries no longer wait.
    pub(super) waits: bool,
}

/// The schedules by their partition and name.
#[cfg(feature = "schedules")]
#[derive(Default)]
pub(crate) struct Schedules {
    pub(super) all: BTreeMap<(Partition, String), CapturedSchedule>,
    pub(super) last_revision: u64,
    /// The queues in which each owner has declared schedules.
    pub(super) owners: BTreeMap<String, BTreeSet<QueueName>>,
}

/// A schedule of the test's queue.
#[cfg(feature = "schedules")]
#[derive(Debug, Clone)]
pub(crate) struct CapturedSchedule {
    pub(crate) record: Vec<u8>,
    pub(crate) state: StoredState,
    pub(crate) next: Option<Timestamp>,
    /// The job that runs, if jobs of the schedule must not overlap.
    pub(crate) holder: Option<JobId>,
    /// The job that waits for its end.
    pub(crate) queued: Option<(Lane, Envelope)>,
    /// The last runs, the latest first.
    pub(crate) runs: Vec<ScheduleRun>,
}
