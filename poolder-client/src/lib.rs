//! The Poolder client: what a producer and an operator need.
//!
//! | file | what |
//! |---|---|
//! | `client` | the handle that all share |
//! | `enqueue` | one enqueue, with whatever differs from the defaults |
//! | `call` | enqueue a job and wait for its result |
//! | `results` | results and progress of jobs, cancelling them |
//! | `waiters` | who waits for which job, and the hints that wake them |
//! | `inspect` | look into a queue, and put right what is wrong there |
//! | `fleet` | which queues and nodes there are, pause and resume |
//!
//! Users take it from the `poolder` facade.

mod batcher;
mod call;
mod cast;
mod client;
mod enqueue;
mod fleet;
mod group;
mod inspect;
mod known;
mod pool;
mod results;
mod schedule;
mod schedules;
mod waiters;

pub use batcher::{BatchEntry, BatcherHandle, Bulk, Listed, Many, One, Push};
pub use call::Call;
pub use cast::{Cast, PoolCall};
pub use client::Client;
pub use enqueue::Enqueue;
pub use group::Group;
pub use inspect::Inspector;
pub use pool::{PoolClient, PoolSlot};
pub use schedule::NewSchedule;
pub use schedules::Schedules;
