//! The Poolder worker: what runs jobs.
//!
//! | file | what |
//! |---|---|
//! | `worker` | the trait users implement, and `worker_fn` |
//! | `context` | what a handler can ask and say |
//! | `middleware` | what wraps every attempt |
//! | `slot` | one attempt, from decoding to its fate, as a pipeline |
//! | `pool` | slots that serve a queue: what is said of them |
//! | `mould` | what the slots of a pool have in common, and how more are made |
//! | `sinks` | named callbacks |
//! | `pools` | the pools of a running node |
//! | `addressed` | slots of the fleet, each leased to one process; broadcast |
//! | `batcher` | a pool whose jobs are batches of gathered entries |
//! | `claimer` | free slots → claims → settlements |
//! | `node` | the process: start, services, the order of shutdown |
//! | `scheduler` | code whose jobs recur, and schedules declared in code |
//! | `handle` | what can be asked of a running node |
//! | `commons` | what the pools of a node share |
//! | `process` | the layer below all: liveness, commands of operators, the limit of turns |
//! | `desk` | where slots lay down what they have finished |
//! | `tasker` | bounded concurrency inside one process, no Redis |
//! | `services` | heartbeat, leader, promoter, scheduler, rescuer, pruner, orders |
//!
//! Users take these from the `poolder` facade.

mod addressed;
mod batcher;
mod claimer;
mod commons;
mod context;
mod desk;
mod erased;
mod guard;
mod handle;
mod middleware;
mod mould;
mod node;
mod pool;
mod pools;
mod process;
mod scheduler;
mod services;
mod sinks;
mod slot;
mod tasker;
mod worker;

pub use batcher::{Batch, BatchWorker, Batcher};
pub use context::{Context, Interruption};
pub use handle::NodeHandle;
pub use middleware::{Middleware, Next};
pub use node::{Component, Node, NodeBuilder};
pub use pool::Pool;
pub use pools::PoolStatus;
pub use scheduler::{Crontab, IntoThen, Periodic, Scheduler, Then};
pub use tasker::{Execution, Interrupted, Tasker, TaskerBuilder, WhenFull};
pub use worker::{Result, Worker, WorkerFn, worker_fn};
