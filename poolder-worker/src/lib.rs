//! The Poolder worker: what runs jobs.
//!
//! | file | what |
//! |---|---|
//! | `worker` | the trait users implement, and `worker_fn` |
//! | `context` | what a handler can ask and say |
//! | `middleware` | what wraps every attempt |
//! | `slot` | one attempt, from decoding to its fate, as a pipeline |
//! | `pool` | slots that serve a queue |
//! | `batcher` | a pool whose jobs are batches of gathered entries |
//! | `claimer` | free slots → claims → settlements |
//! | `node` | the process: start, services, the order of shutdown |
//! | `scheduler` | code whose jobs recur, and schedules declared in code |
//! | `vitals` | what the parts of a node tell each other |
//! | `orders` | what operators ordered for a partition |
//! | `desk` | where slots lay down what they have finished |
//! | `tasker` | bounded concurrency inside one process, no Redis |
//! | `services` | heartbeat, leader, promoter, scheduler, rescuer, pruner, orders |
//!
//! Users take these from the `poolder` facade.

mod batcher;
mod claimer;
mod context;
mod desk;
mod erased;
mod guard;
mod middleware;
mod node;
mod orders;
mod pool;
mod scheduler;
mod services;
mod slot;
mod tasker;
mod vitals;
mod worker;

pub use batcher::{Batch, BatchWorker, Batcher};
pub use context::{Context, Interruption};
pub use middleware::{Middleware, Next};
pub use node::{Component, Node, NodeBuilder};
pub use pool::Pool;
pub use scheduler::{Crontab, IntoThen, Periodic, Scheduler, Then};
pub use tasker::{Execution, Interrupted, Tasker, TaskerBuilder, WhenFull};
pub use worker::{Result, Worker, WorkerFn, worker_fn};
