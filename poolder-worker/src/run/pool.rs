//! A pool: slots that serve one queue, competing for its jobs or addressed one by one.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder_core::broker::{KeepFinished, RetryPlacement};
use poolder_core::policy::dispatch::{MAX_SLOTS, Mode};
use poolder_core::{Error, Partition, Policy, QueueName, check_kind};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::callbacks::Sinks;
use super::dead_job::{DeadHook, DeadJob, dead_hook};
use super::erased::DynWorker;
use super::middleware::{DynMiddleware, Middleware};
use super::pool_spec::{KindPlace, PoolSpec};
use super::state::States;
#[cfg(feature = "otel")]
use super::trace_style::TraceStyle;
use super::worker::{Result, Worker};

/// How many nodes wait for a job at the same time, unless a pool sets it.
const MAX_WAITING: u16 = 8;

/// The parts that a node gives to all its pools.
#[derive(Clone, Default)]
pub(crate) struct NodeWide {
    /// The middleware, outside of that of the pools.
    pub(crate) chain: Vec<Arc<dyn DynMiddleware>>,
    /// The hooks that are told of dead jobs, beside those of the pools.
    pub(crate) hooks: Vec<DeadHook>,
    /// The state that handlers share, unless their pool has a value of the same type.
    pub(crate) states: States,
}

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
    size: u16,
    mode: Mode,
    workers: Vec<Box<dyn DynWorker>>,
    queue_is_named: bool,
    chain: Vec<Arc<dyn DynMiddleware>>,
    sinks: Sinks,
    hooks: Vec<DeadHook>,
    states: States,
    policy: Option<Policy>,
    retry_placement: Option<RetryPlacement>,
    #[cfg(feature = "otel")]
    trace_style: TraceStyle,
    hibernate_after: Option<Duration>,
    handover_timeout: Duration,
    keep_finished: Option<KeepFinished>,
    wait_permits: u16,
    sets: Vec<String>,
}

impl Pool {
    /// Creates a pool for the queue of this name. Its size is four slots per core unless it is set.
    #[must_use]
    pub fn new(queue: impl Into<String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            queue: queue.into(),
            size: u16::try_from(4 * cores).unwrap_or(MAX_SLOTS).min(MAX_SLOTS),
            mode: Mode::Shared,
            workers: vec![],
            queue_is_named: false,
            chain: vec![],
            sinks: Sinks::default(),
            hooks: vec![],
            states: States::default(),
            policy: None,
            retry_placement: None,
            #[cfg(feature = "otel")]
            trace_style: TraceStyle::default(),
            hibernate_after: None,
            handover_timeout: Duration::from_secs(3),
            keep_finished: None,
            wait_permits: MAX_WAITING,
            sets: vec![],
        }
    }

    /// Sets the number of slots, 1 to 10,000: in the whole fleet for an addressed pool, in this
    /// process for a shared or broadcast one.
    #[must_use]
    pub fn size(mut self, size: u16) -> Self {
        self.size = size;
        self
    }

    /// Sets how jobs find their slots. Default [`Mode::Shared`]: all slots compete. In an addressed
    /// mode each slot is leased to one process at a time, and all processes must set the same size.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Adds a worker. Each kind can have one worker in a pool.
    #[must_use]
    pub fn worker<W: Worker>(mut self, worker: W) -> Self {
        self.workers.push(Box::new(worker));
        self
    }

    /// Says that each sender of a job names the queue of this pool, as a scheduler does, so that the
    /// queue of the job's type does not matter.
    pub(crate) fn queue_is_named(mut self) -> Self {
        self.queue_is_named = true;
        self
    }

    /// Adds a worker whose kinds are known only at run time.
    #[must_use]
    pub(crate) fn dyn_worker(mut self, worker: Box<dyn DynWorker>) -> Self {
        self.workers.push(worker);
        self
    }

    /// Adds a middleware; the first added is the outermost. That of the node
    /// ([`NodeBuilder::middleware`](crate::NodeBuilder::middleware)) is outside of all of these.
    #[must_use]
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.chain.push(Arc::new(middleware));
        self
    }

    /// Registers a callback, which receives the arguments that outcomes pass to its name: see
    /// [`Outcome::callback`](poolder_core::Outcome::callback).
    ///
    /// ```
    /// # use poolder_worker::Pool;
    /// let pool = Pool::new("mail").callback("push", |(channel, text): (String, String)| async move {
    ///     println!("{channel}: {text}");
    ///     Ok(())
    /// });
    /// # let _ = pool;
    /// ```
    #[must_use]
    pub fn callback<A, F, R>(mut self, name: &str, sink: F) -> Self
    where
        A: DeserializeOwned,
        F: Fn(A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        self.sinks.add(name, sink);
        self
    }

    /// Adds a hook that is told of each job of the pool that is buried: after its last attempt, by
    /// a verdict, for crashing, or since it cannot be read or settled. The hook is called at least
    /// once, in this process or in another one whose pool has a hook, also when the process that
    /// buried the job dies at that moment; it may be called more than once. It has 30 s. A hook
    /// that fails, panics or does not return is called again after a minute, then after twice the
    /// time each, up to an hour, 10 times in all. All nodes of a pool should have the same hooks: a
    /// burial by a node without any is not reported. A job that was revived or deleted meanwhile is
    /// left out, and so are the copies of a broadcast pool, which the server does not keep.
    ///
    /// ```
    /// # use poolder_worker::{DeadJob, Pool};
    /// let pool = Pool::new("mail").on_dead(|dead: DeadJob| async move {
    ///     eprintln!("{} {:?} died: {}", dead.id(), dead.kind(), dead.reason());
    ///     Ok(())
    /// });
    /// # let _ = pool;
    /// ```
    #[must_use]
    pub fn on_dead<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(DeadJob) -> R + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        self.hooks.push(dead_hook(hook));
        self
    }

    /// Gives the pool a value of shared state, which its handlers find by its type: functions take
    /// it as an argument [`State<T>`](crate::State), all others ask [`Context::state`]. It comes
    /// before a value of the same type of the node: see
    /// [`NodeBuilder::state`](crate::NodeBuilder::state). A pool can have one value of each type.
    ///
    /// [`Context::state`]: crate::Context::state
    #[must_use]
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.add(value);
        self
    }

    /// Sets the policy for jobs that bring none of their own: how often they are tried, how long
    /// they wait in between, and how long they may take.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets where a job of an addressed pool waits for its next attempt. Default:
    /// [`RetryPlacement::BlockSlot`] for [`Mode::Phash`], so that keys keep their order, otherwise
    /// [`RetryPlacement::Reschedule`].
    #[must_use]
    pub fn retry_placement(mut self, placement: RetryPlacement) -> Self {
        self.retry_placement = Some(placement);
        self
    }

    /// Sets how the span of an attempt is connected with the span that has sent the job. Default
    /// [`TraceStyle::Link`]: each attempt begins a trace of its own, with a link to the sender.
    #[cfg(feature = "otel")]
    #[must_use]
    pub fn trace_style(mut self, style: TraceStyle) -> Self {
        self.trace_style = style;
        self
    }

    /// Sets after how long without a job a slot hibernates: it calls `handle_hibernate` and drops
    /// its workers with all they hold. Its next job runs on fresh workers, after `handle_init`.
    /// `None`, the default, stands for never.
    #[must_use]
    pub fn hibernate_after(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.hibernate_after = idle.into();
        self
    }

    /// Sets how long the job of an addressed slot may go on when the slot moves to another process;
    /// then the job is cancelled and released. Default 3 s.
    #[must_use]
    pub fn handover_timeout(mut self, longest: Duration) -> Self {
        self.handover_timeout = longest;
        self
    }

    /// Sets how many nodes of the fleet wait at the server for a job of a shared pool at the same
    /// time, 8 unless set. Each node that waits makes every enqueue a little more expensive for the
    /// server. The other nodes with free slots rest, look for jobs now and then, and are woken when
    /// jobs come that those that wait have no slots for. While the fleet has no more nodes than
    /// this, all of them wait. All nodes should set the same number, at least 1.
    ///
    /// ```
    /// # use poolder_worker::Pool;
    /// let pool = Pool::new("mail").wait_permits(16);
    /// # let _ = pool;
    /// ```
    #[must_use]
    pub fn wait_permits(mut self, nodes: u16) -> Self {
        self.wait_permits = nodes;
        self
    }

    /// Keeps the last `count` jobs of the pool that were done or cancelled by their handlers, each for
    /// `age`, with their payloads, so that operators can look at them. In an addressed pool each slot
    /// keeps so many. Default none. At most 10,000 jobs can be kept, and none of more than 16 KiB.
    ///
    /// A node writes them once a second, up to 500 and 1 MiB: of more, those that end first in each
    /// second are kept. A job whose node dies in that second is not kept, nor one that an operator
    /// cancels while it waits. Results are kept by themselves.
    ///
    /// ```
    /// # use {std::time::Duration, poolder_worker::Pool};
    /// let _pool = Pool::new("mail").keep_finished(1_000, Duration::from_secs(86_400));
    /// ```
    #[must_use]
    pub fn keep_finished(mut self, count: u32, age: Duration) -> Self {
        self.keep_finished = Some(KeepFinished { count, age });
        self
    }

    /// Puts the pool into a set of pools, so that it can be addressed together with the other pools
    /// of the set.
    #[must_use]
    pub fn join_set(mut self, set: impl Into<String>) -> Self {
        self.sets.push(set.into());
        self
    }

    /// Checks the pool, and works out which worker runs which kind. `node` has the parts that the
    /// pool shares with the other pools of its node.
    pub(crate) fn plan(self, node: &NodeWide) -> Result<PoolPlan, Error> {
        let queue = QueueName::new(&self.queue)?;
        self.states.check(&format!("pool {queue}"))?;
        let mut states = self.states;
        states.extend(&node.states);
        check_size(&queue, self.size)?;
        let mut kinds = HashMap::new();
        for (at, worker) in self.workers.iter().enumerate() {
            for kind in worker.kinds() {
                check_kind(kind)?;
                let place = KindPlace { worker: at, index: kinds.len() };
                if kinds.insert(*kind, place).is_some() {
                    return Err(Error::invalid(format!(
                        "pool {queue}: kind {kind:?} has two workers, it can have one"
                    )));
                }
            }
            self.sinks.check(queue.as_str(), worker.callbacks())?;
            let needed_by = format!("pool {queue}: the worker of {:?}", worker.kinds());
            states.check_all(&needed_by, worker.states())?;
        }
        if kinds.is_empty() {
            return Err(Error::invalid(format!(
                "pool {queue} has no worker: add one with .worker(…)"
            )));
        }
        if let Some(policy) = &self.policy {
            policy.check()?;
        }
        if self.hibernate_after == Some(Duration::ZERO) {
            return Err(Error::invalid(format!(
                "pool {queue}: hibernate_after is 0: its slots would never keep their state"
            )));
        }
        if self.wait_permits == 0 {
            return Err(Error::invalid(format!(
                "pool {queue}: wait_permits is 0: no node would wait for jobs"
            )));
        }
        if let Some(keep) = &self.keep_finished {
            keep.check()?;
        }
        let keyed = if self.mode == Mode::Phash {
            RetryPlacement::BlockSlot
        } else {
            RetryPlacement::Reschedule
        };
        let workers = self.workers.iter().filter(|_| !self.queue_is_named);
        let homes = workers.filter_map(|worker| Some((worker.kinds(), worker.home()?))).collect();
        let spec = PoolSpec {
            queue,
            mode: self.mode,
            kinds,
            versions: self.workers.iter().map(|worker| worker.version()).collect(),
            homes,
            chain: node.chain.iter().cloned().chain(self.chain).collect(),
            sinks: self.sinks,
            hooks: node.hooks.iter().cloned().chain(self.hooks).collect(),
            states: Arc::new(states),
            policy: self.policy,
            retry_placement: self.retry_placement.unwrap_or(keyed),
            #[cfg(feature = "otel")]
            trace_style: self.trace_style,
            hibernate_after: self.hibernate_after,
            handover_timeout: self.handover_timeout,
            keep_finished: self.keep_finished,
            wait_permits: self.wait_permits,
            prototypes: Mutex::new(self.workers),
            stop: Notify::new(),
        };
        Ok(PoolPlan { size: self.size, sets: self.sets, spec: Arc::new(spec) })
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("queue", &self.queue)
            .field("size", &self.size)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Checks that a pool may have this number of slots.
pub(crate) fn check_size(queue: &QueueName, size: u16) -> Result<(), Error> {
    if size == 0 || size > MAX_SLOTS {
        return Err(Error::invalid(format!(
            "pool {queue}: size {size} is not allowed: use 1 to {MAX_SLOTS} slots"
        )));
    }
    Ok(())
}

/// A pool that was checked and can be started.
#[derive(Clone)]
pub(crate) struct PoolPlan {
    pub(crate) size: u16,
    pub(crate) sets: Vec<String>,
    pub(crate) spec: Arc<PoolSpec>,
}

impl PoolPlan {
    /// Returns the first partition of the queue; a shared pool has no other.
    pub(crate) fn partition(&self) -> Partition {
        Partition::first(self.spec.queue.clone())
    }
}
