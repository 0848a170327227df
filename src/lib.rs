//! Poolder: a work queue for Rust fleets on Redis.
//!
//! Web handlers enqueue typed jobs; worker processes on any host claim them from Redis Streams.
//! Retries and delays wait in sorted sets. A job survives `kill -9`, restarts and failovers: it
//! runs at least once, so make handlers safe to repeat.
//!
//! ```no_run
//! use poolder::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Job)]
//! #[job(kind = "email.welcome", queue = "mail", attempts = 5)]
//! struct Welcome { user: u64 }
//!
//! async fn welcome(job: Welcome, cx: Context) {
//!     println!("welcome, user {} (attempt {})", job.user, cx.attempt());
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), poolder::Error> {
//!     let client = Client::from_env().await?;
//!     client.enqueue(Welcome { user: 7 }).await?;
//!     Node::builder(client)
//!         .pool(Pool::new("mail").size(10).worker(worker_fn(welcome)))
//!         .run()
//!         .await
//! }
//! ```
//!
//! # Where to begin
//!
//! | to | use | guide in `docs/` |
//! |---|---|---|
//! | describe a job | [`Job`](trait@Job), [`Policy`], [`Backoff`], [`Unique`] | `jobs.md`, `retries.md`, `unique.md` |
//! | enqueue it | [`Client::enqueue`], [`Client::enqueue_many`], [`EnqueueOptions`], [`Receipt`] | `operating.md`, `identity.md` |
//! | run it | [`worker_fn`], [`Worker`], [`Context`], [`Outcome`], [`Pool`], [`Node`] | `handlers.md`, `middleware.md` |
//! | wait for its result | [`Client::call`], [`JobClient::wait`] | `operating.md` |
//! | keep jobs of a key in order | [`Mode::Phash`], [`Client::pool`] | `pools.md` |
//! | run it again and again | [`Scheduler`], [`Crontab`], [`Client::schedules`] | `scheduling.md` |
//! | gather entries into one job | [`Batcher`], [`Client::batcher`] | `batching.md` |
//! | look at jobs and change them | [`Client::job`], [`Client::inspect`], [`Filter`] | `operating.md` |
//! | see why something stands still | [`JobClient::explain`], [`Client::doctor`], [`Client::status`] | `explain.md`, `doctor.md` |
//! | test an application | `poolder::testing` | `testing.md` |
//!
//! # Builders and values
//!
//! A [`Node`] and a [`Tasker`] run: they are made by a builder, `Node::builder(client)…run()` and
//! `Tasker::builder(name)…build()?`, whose last call checks the settings. A [`Pool`], a [`Batcher`],
//! a [`Scheduler`] and a [`Crontab`] are values that describe a part of a node: `Pool::new(name)…`
//! has no last call, and the node checks them when it starts. Settings of the same name mean the
//! same everywhere: `size` is a number of slots, `queue` a queue, `policy` the retries and the limit
//! of an attempt, and a time that may be unlimited takes `None`.
//!
//! # Features
//!
//! This package only re-exports the items of `poolder-core`, `poolder-client`, `poolder-worker`
//! and `poolder-macros`.
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `macros` | yes | `derive(Job)`; with `worker` also the attributes `pool`, `batcher` and `scheduler` |
//! | `worker` | yes | nodes, pools, batchers, schedulers and taskers; implies `schedules` |
//! | `schedules` | with `worker` | the schedules of a queue, cron expressions and time zones |
//! | `tls` | no | encrypted connections: `rediss://` URLs |
//! | `otel` | no | trace contexts of OpenTelemetry, from the sender to the attempt |
//! | `metrics` | no | the counts of a node for the recorder of the `metrics` crate; implies `worker` |
//! | `testing` | no | tests of applications: `poolder::testing`; implies `worker` |
//!
//! A process that only sends jobs needs `macros` alone, and then compiles neither the worker nor
//! the rules of time zones: `default-features = false, features = ["macros"]`.

/// The items that most programs need: `use poolder::prelude::*;`.
///
/// It has no `Result` and no `Error`. Beside an explicit `use anyhow::{Context, Result};` the
/// context of a job is `poolder::Context`.
pub mod prelude {
    pub use poolder_client::Client;
    pub use poolder_core::Outcome::{self, Cancel, Done, Snooze, StopPool, StopSlot};
    pub use poolder_core::broker::RetryPlacement;
    pub use poolder_core::policy::dispatch::Mode;
    pub use poolder_core::{Backoff, BoxError, Job, Lane, Policy, Unique, Verdict};
    #[cfg(feature = "schedules")]
    pub use poolder_core::{Missed, Overlap};
    #[cfg(feature = "macros")]
    pub use poolder_macros::Job;
    #[cfg(feature = "worker")]
    pub use poolder_worker::{
        Batch, BatchWorker, Batcher, Context, Crontab, Middleware, Next, Node, Periodic, Pool,
        Return, Scheduler, State, Tasker, Then, Worker, worker_fn,
    };
}

pub use poolder_client::{
    Action, BatchEntry, BatcherHandle, BatcherView, BlastRadius, Budget, Bulk, BulkChange,
    BulkReport, Call, Cast, Check, Client, Diagnosis, Drain, Enqueue, EnqueueMany,
    EnqueueMiddleware, EnqueueOptions, Explanation, Export, ExportSums, FailureRates, Finding,
    FleetStatus, Flow, Import, ImportReport, Inspector, JobClient, JobResult, JobWait, KeyHolder,
    KeyedJob, LargestGroups, LimitsHandle, Listed, Many, Matches, MuteErrors, NamespaceMetrics,
    Neighbour, NewError, NodeCrash, Observed, ObservedNode, ObservedQueue, One, Outgoing, PoolCall,
    PoolClient, PoolSet, PoolSlot, Pop, Push, QueueLoad, QueueMemory, QueueStatus, Repair,
    ServedQueue, SetCast, Severity, Why, attention,
};
#[cfg(feature = "schedules")]
pub use poolder_client::{NewSchedule, PutSchedule, Schedules, SetStatus};
pub use poolder_core::broker::{
    Ahead, BatchOptions, BatchState, BatcherSums, BatcherTotals, Cancellation, Config, DeployMark,
    Durability, Ended, GroupCursor, GroupLimits, GroupPage, GroupState, GroupView, KeyView,
    Latency, NodeInfo, NodeKind, NodeOrder, NodeView, OpenBatch, PoolView, Popped, PreparedJob,
    QueueLimits, Rate, Receipt, RetryPlacement, SavedView, SealedBatch, ServerView, Sighting,
    SlotView, Stored, When,
};
#[cfg(feature = "schedules")]
pub use poolder_core::broker::{Declaration, Declared, ScheduleInfo};
pub use poolder_core::history::{
    Actor, AttemptCounts, AuditEntry, AuditFilter, AuditOutcome, AuditRecord, ErrorGroup, ErrorId,
    ErrorSample, History, HistoryPoint, HistoryRange, HistorySeries, HistoryStep, JournalEntry,
    JournalEvent, JournalFilter, JournalRecord, LogId, LogPage, Mute, QueueGauges, QueueHistory,
    QueuePoint, TimeStats,
};
pub use poolder_core::policy::dispatch::{self, Mode};
pub use poolder_core::view::{
    Cursor, Filter, JobEnd, JobView, KeptJob, KeptState, LaneView, LeaderView, Listing, Page,
    PartitionView, QueueState, QueueView, Unreachable,
};
pub use poolder_core::{
    Attempt, Backoff, BoxError, Callback, Cause, Completion, Counters, Envelope, Error, ErrorKind,
    Failure, Format, Handle, Headers, Job, JobId, JobState, Lane, Limited, MAX_PAYLOAD,
    OnDuplicate, Outcome, Partition, Place, Policy, QueueName, RawJob, RunOutcome, Tick, Timestamp,
    TraceParent, Unique, UniqueKey, UniqueMode, Verdict, payload,
};
#[cfg(feature = "schedules")]
pub use poolder_core::{
    Expression, InvalidTiming, Missed, Overlap, Schedule, ScheduleRun, ScheduleRunEnd, Status,
    TickPlan, Timing, Zone, ZoneData,
};
#[cfg(feature = "macros")]
pub use poolder_macros::Job;
#[cfg(all(feature = "macros", feature = "worker"))]
pub use poolder_macros::{batcher, pool, scheduler};
#[cfg(all(feature = "otel", feature = "worker"))]
pub use poolder_worker::TraceStyle;
#[cfg(feature = "worker")]
pub use poolder_worker::{
    Batch, BatchWorker, Batcher, Component, Context, Crontab, DeadJob, ErrorHandler, Execution,
    ExecutionError, Handler, HandlerError, HandlerFuture, Health, Interruption, IntoOutcome,
    IntoThen, Middleware, Next, Node, NodeBuilder, NodeHandle, NodePhase, NodeStatus, Periodic,
    Pool, PoolStatus, Queue, Result, Return, Scheduler, State, StateType, Tasker, TaskerBuilder,
    Then, WhenFull, Worker, WorkerFn, worker_fn,
};

/// Tests of applications: a queue without a server, a private server with nodes that start, stop
/// and are killed, and stored jobs that later versions must read. Behind the feature `testing`.
///
/// A test hands the client of a [`TestQueue`](testing::TestQueue) to the code of the application,
/// and looks at what was enqueued:
///
/// ```
/// use poolder::prelude::*;
/// use poolder::testing::{TestQueue, assert_enqueued, refute_enqueued};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(kind = "welcome", queue = "mail")]
/// struct Welcome { user: u64 }
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(kind = "charge", queue = "payments")]
/// struct Charge { cents: u64 }
///
/// async fn sign_up(client: &Client, user: u64) -> Result<(), poolder::Error> {
///     client.enqueue(Welcome { user }).await?;
///     Ok(())
/// }
///
/// #[tokio::main(flavor = "current_thread")] // #[tokio::test]
/// async fn main() {
///     let queue = TestQueue::new();
///     sign_up(queue.client(), 7).await.unwrap();
///     assert_enqueued!(queue, Welcome { user } if *user == 7);
///     refute_enqueued!(queue, Charge { .. });
/// }
/// ```
///
/// | to | use |
/// |---|---|
/// | see what was enqueued | [`assert_enqueued!`](testing::assert_enqueued), [`refute_enqueued!`](testing::refute_enqueued) |
/// | run one attempt, and see its fate | [`QueueNode::perform`](testing::QueueNode::perform), [`Run`](testing::Run), [`Fate`](testing::Fate) |
/// | work the queue off | [`QueueNode::drain`](testing::QueueNode::drain), [`Sums`](testing::Sums) |
/// | use a real server and real nodes | [`TestServer`](testing::TestServer), [`TestNode`](testing::TestNode) |
/// | keep stored jobs readable | [`assert_payload_compatible!`](testing::assert_payload_compatible) |
#[cfg(feature = "testing")]
pub mod testing {
    pub use poolder_worker::testing::{
        Drain, Fate, Perform, QueueNode, Run, Sums, TestNode, TestQueue, TestServer, UntilIdle,
    };
    pub use poolder_worker::{assert_enqueued, assert_payload_compatible, refute_enqueued};
}

/// Items that the macros name in a user's code; no part of the public interface.
#[doc(hidden)]
pub use poolder_core::__private;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/handlers.md")]
struct Handlers;

#[cfg(doctest)]
#[doc = include_str!("../docs/jobs.md")]
struct Jobs;

#[cfg(doctest)]
#[doc = include_str!("../docs/retries.md")]
struct Retries;

#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;

#[cfg(doctest)]
#[doc = include_str!("../docs/operating.md")]
struct Operating;

#[cfg(doctest)]
#[doc = include_str!("../docs/doctor.md")]
struct Doctor;

#[cfg(doctest)]
#[doc = include_str!("../docs/export.md")]
struct ExportGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/explain.md")]
struct Explain;

#[cfg(doctest)]
#[doc = include_str!("../docs/history.md")]
struct HistoryGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/batching.md")]
struct Batching;

#[cfg(doctest)]
#[doc = include_str!("../docs/middleware.md")]
struct MiddlewareGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/scheduling.md")]
struct Scheduling;

#[cfg(doctest)]
#[doc = include_str!("../docs/logs.md")]
struct Logs;

#[cfg(doctest)]
#[doc = include_str!("../docs/limits.md")]
struct LimitsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/unique.md")]
struct UniqueGuide;

#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/testing.md")]
struct Testing;

#[cfg(doctest)]
#[doc = include_str!("../docs/tracing.md")]
struct TracingGuide;
