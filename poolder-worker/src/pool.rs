//! A pool: slots that serve one queue, all competing for it with those of every other process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::{Error, Partition, QueueName, check_kind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::desk::{Desk, Work};
use crate::erased::DynWorker;
use crate::guard::guarded;
use crate::middleware::{DynMiddleware, Middleware};
use crate::slot::Slot;
use crate::vitals::Clock;
use crate::worker::Worker;

/// Slots that serve one queue.
///
/// ```
/// # use poolder_worker::{worker_fn, Context, Pool, Result};
/// # use poolder_core::{Job, Outcome};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user: u64 }
/// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
/// async fn welcome(_job: Welcome, _cx: Context) -> Result<Outcome> { Ok(Outcome::Done) }
///
/// let pool = Pool::new("mail").size(10).worker(worker_fn(welcome));
/// # let _ = pool;
/// ```
pub struct Pool {
    queue: String,
    size: usize,
    workers: Vec<Box<dyn DynWorker>>,
    chain: Vec<Arc<dyn DynMiddleware>>,
    hibernate_after: Option<Duration>,
}

impl Pool {
    /// A pool for the queue of this name. Its size is four slots per core unless it is set.
    #[must_use]
    pub fn new(queue: impl Into<String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            queue: queue.into(),
            size: 4 * cores,
            workers: vec![],
            chain: vec![],
            hibernate_after: None,
        }
    }

    /// Sets the number of slots in this process.
    #[must_use]
    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// Adds a worker. One kind has one worker in a pool.
    #[must_use]
    pub fn worker<W: Worker>(mut self, worker: W) -> Self {
        self.workers.push(Box::new(worker));
        self
    }

    /// Adds a worker whose kinds are known only at run time.
    #[must_use]
    pub(crate) fn dyn_worker(mut self, worker: Box<dyn DynWorker>) -> Self {
        self.workers.push(worker);
        self
    }

    /// After this long without a job a slot calls `handle_hibernate` and lets go of its workers
    /// and what they hold. Its next job finds fresh ones, after `handle_init`. Default: never.
    #[must_use]
    pub fn hibernate_after(mut self, idle: Duration) -> Self {
        self.hibernate_after = Some(idle);
        self
    }

    /// Adds a middleware; the first added is the outermost.
    #[must_use]
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.chain.push(Arc::new(middleware));
        self
    }

    /// Checks the pool, and works out which worker runs which kind.
    pub(crate) fn plan(self) -> Result<Plan, Error> {
        let queue = QueueName::new(&self.queue)?;
        if self.size == 0 || self.size > MAX_SIZE {
            return Err(Error::invalid(format!(
                "pool {queue}: size {} is not allowed: use 1 to {MAX_SIZE} slots",
                self.size
            )));
        }
        let mut kinds = HashMap::new();
        for (at, worker) in self.workers.iter().enumerate() {
            for kind in worker.kinds() {
                check_kind(kind)?;
                if kinds.insert(*kind, at).is_some() {
                    return Err(Error::invalid(format!(
                        "pool {queue}: kind {kind:?} has two workers, it can have one"
                    )));
                }
            }
        }
        if kinds.is_empty() {
            return Err(Error::invalid(format!(
                "pool {queue} has no worker: add one with .worker(…)"
            )));
        }
        Ok(Plan {
            partition: Partition::first(queue),
            size: self.size,
            versions: self.workers.iter().map(|worker| worker.version()).collect(),
            workers: self.workers,
            chain: self.chain.into(),
            hibernate_after: self.hibernate_after,
            kinds: Arc::new(kinds),
        })
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("queue", &self.queue).field("size", &self.size).finish()
    }
}

const MAX_SIZE: usize = 10_000;

/// A pool that can be started.
pub(crate) struct Plan {
    pub(crate) partition: Partition,
    pub(crate) size: usize,
    workers: Vec<Box<dyn DynWorker>>,
    versions: Vec<u16>,
    chain: Arc<[Arc<dyn DynMiddleware>]>,
    hibernate_after: Option<Duration>,
    kinds: Arc<HashMap<&'static str, usize>>,
}

/// A started pool, as the claimer sees it.
pub(crate) struct Slots {
    pub(crate) desk: Arc<Desk>,
    mailboxes: Vec<mpsc::Sender<Work>>,
    kinds: Arc<HashMap<&'static str, usize>>,
    versions: Vec<u16>,
    workers: Vec<Box<dyn DynWorker>>,
    tasks: JoinSet<()>,
}

impl Plan {
    /// Starts the slots.
    pub(crate) fn start(self, clock: &Arc<Clock>) -> Slots {
        let desk = Arc::new(Desk::default());
        let queue: Arc<str> = self.partition.queue.as_str().into();
        let mut tasks = JoinSet::new();
        let mailboxes = (0..self.size)
            .map(|index| {
                let (mailbox, work) = mpsc::channel(1);
                let slot = Slot {
                    index,
                    workers: self.workers.iter().map(|worker| worker.fresh()).collect(),
                    pristine: self.workers.iter().map(|worker| worker.fresh()).collect(),
                    kinds: Arc::clone(&self.kinds),
                    chain: Arc::clone(&self.chain),
                    desk: Arc::clone(&desk),
                    clock: Arc::clone(clock),
                    queue: Arc::clone(&queue),
                    hibernate_after: self.hibernate_after,
                    asleep: false,
                };
                tasks.spawn(slot.run(work));
                mailbox
            })
            .collect();
        let Self { workers, versions, kinds, .. } = self;
        Slots { desk, mailboxes, kinds, versions, workers, tasks }
    }
}

impl Slots {
    pub(crate) fn size(&self) -> usize {
        self.mailboxes.len()
    }

    /// True when a worker of this pool can run it.
    pub(crate) fn can_run(&self, kind: &str, version: u16) -> bool {
        self.kinds.get(kind).is_some_and(|at| version <= self.versions[*at])
    }

    /// Gives work to a slot that said it was free; gives it back when the slot is gone.
    pub(crate) fn give(&self, slot: usize, work: Work) -> Option<Work> {
        self.mailboxes[slot].try_send(work).err().map(mpsc::error::TrySendError::into_inner)
    }

    /// Tells every worker that all slots are ready.
    pub(crate) async fn announce_ready(&mut self) {
        for worker in &mut self.workers {
            if let Err(panic) = guarded(worker.pool_ready()).await {
                tracing::error!(panic, "handle_pool_ready");
            }
        }
    }

    /// Closes the mailboxes and waits for the slots to end; false when one did not in time.
    pub(crate) async fn stop(mut self, longest: Duration) -> bool {
        self.mailboxes.clear();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(longest, ended).await.is_ok()
    }
}
