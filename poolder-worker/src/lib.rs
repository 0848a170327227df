//! The Poolder worker: it claims jobs from Redis and runs them. Applications use it through the
//! `poolder` facade.
//!
//! A [`Node`] is a process that runs jobs. It has [`Pool`]s, each with workers for the jobs of one
//! queue; a worker is a function ([`worker_fn`]) or a type ([`Worker`]).
//!
//! ```no_run
//! use poolder_client::Client;
//! use poolder_core::{Error, Job};
//! use poolder_worker::{Context, Node, Pool, worker_fn};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Welcome { user: u64 }
//!
//! impl Job for Welcome {
//!     const KINDS: &'static [&'static str] = &["email.welcome"];
//!     const QUEUE: &'static str = "mail";
//! }
//!
//! async fn welcome(job: Welcome, cx: Context) {
//!     println!("welcome, user {} (attempt {})", job.user, cx.attempt());
//! }
//!
//! # async fn f() -> Result<(), Error> {
//! let client = Client::from_env().await?;
//! Node::builder(client).pool(Pool::new("mail").size(10).worker(worker_fn(welcome))).run().await
//! # }
//! ```
//!
//! | for | use |
//! |---|---|
//! | an attempt: its job, its end, what surrounds it | [`Context`], [`Return`], [`State`], [`Middleware`] |
//! | recurring jobs | [`Scheduler`], [`Periodic`], [`Crontab`] |
//! | batches of gathered entries | [`Batcher`], [`BatchWorker`], [`Batch`] |
//! | a node that runs | [`NodeHandle`], [`Health`], [`NodeStatus`] |
//! | bounded concurrency without Redis | [`Tasker`] |
//!
//! The folders are layers. Each imports only those above it in this table.
//!
//! | folder | contents |
//! |---|---|
//! | `process` | the state of this process: liveness, commands of operators, limits |
//! | `observe` | what a node shows: health, status, and the listener that tells them |
//! | `run` | workers, slots and pools: one attempt at a job, from decoding to its settlement |
//! | `services` | background services: heartbeat, leader, promoter, rescuer, pruner and others |
//! | `sources` | the three ways in which a job reaches `run`: shared, addressed, broadcast |
//! | `node` | composition: a node, the pools it runs, its handle and its shutdown |
//! | `batcher` | a pool whose jobs are batches of gathered entries |
//! | `scheduler` | recurring jobs and their code, and schedules declared in code |
//! | `tasker` | bounded concurrency inside one process, without Redis; imports `run` only |
//! | `testing` | tests of applications; behind the feature of that name, imports all others |
//!
//! `batcher`, `scheduler` and `tasker` do not import one another.

mod batcher;
mod node;
mod observe;
mod process;
mod run;
mod scheduler;
mod services;
mod sources;
mod tasker;
#[cfg(feature = "testing")]
pub mod testing;

pub use batcher::{Batch, BatchWorker, Batcher};
pub use node::builder::{Component, Node, NodeBuilder};
pub use node::handle::NodeHandle;
pub use node::queue::Queue;
pub use observe::health::{Health, NodePhase};
pub use observe::status::{NodeStatus, PoolStatus};
pub use run::context::{Context, Interruption};
pub use run::dead_job::DeadJob;
pub use run::error_handler::ErrorHandler;
pub use run::handler::{Handler, HandlerFuture};
pub use run::into_outcome::{HandlerError, IntoOutcome, Return};
pub use run::middleware::{Middleware, Next};
pub use run::pool::Pool;
pub use run::state::{State, StateType};
#[cfg(feature = "otel")]
pub use run::trace_style::TraceStyle;
pub use run::worker::{Result, Worker};
pub use run::worker_fn::{WorkerFn, worker_fn};
pub use scheduler::{Crontab, IntoThen, Periodic, Scheduler, Then};
pub use tasker::{Execution, ExecutionError, Tasker, TaskerBuilder, WhenFull};
