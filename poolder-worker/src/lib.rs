//! The Poolder worker: what runs jobs.
//!
//! | file | what |
//! |---|---|
//! | `pools` | the pools of a running node |
//! | `batcher` | a pool whose jobs are batches of gathered entries |
//! | `node` | the process: start, services, the order of shutdown |
//! | `scheduler` | code whose jobs recur, and schedules declared in code |
//! | `handle` | what can be asked of a running node |
//! | `process` | the layer below all: liveness, commands of operators, the limit of turns |
//! | `run` | workers, slots, pools: one attempt, from decoding to its fate |
//! | `tasker` | bounded concurrency inside one process, no Redis |
//! | `services` | heartbeat, leader, promoter, scheduler, rescuer, pruner, orders |
//! | `sources` | three ways in which a job reaches `run` |
//!
//! Users take these from the `poolder` facade.

mod batcher;
mod handle;
mod node;
mod pools;
mod process;
mod run;
mod scheduler;
mod services;
mod sources;
mod tasker;

pub use batcher::{Batch, BatchWorker, Batcher};
pub use handle::NodeHandle;
pub use node::{Component, Node, NodeBuilder};
pub use pools::PoolStatus;
pub use run::context::{Context, Interruption};
pub use run::middleware::{Middleware, Next};
pub use run::pool::Pool;
pub use run::worker::{Result, Worker, WorkerFn, worker_fn};
pub use scheduler::{Crontab, IntoThen, Periodic, Scheduler, Then};
pub use tasker::{Execution, Interrupted, Tasker, TaskerBuilder, WhenFull};
