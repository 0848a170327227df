//! The layer that runs jobs: workers, slots, and the mailbox between slots and their claimer. It
//! does not know from where the jobs come. Imports `process`.

pub(crate) mod about;
mod answers;
mod attempt_stop;
mod broken;
pub(crate) mod callbacks;
pub(crate) mod context;
pub(crate) mod dead_job;
pub(crate) mod engine;
pub(crate) mod erased;
pub(crate) mod error_handler;
pub(crate) mod events;
mod given_up;
pub(crate) mod guard;
pub(crate) mod handler;
mod handler_wait;
pub(crate) mod into_outcome;
mod last_call;
pub(crate) mod mailbox;
pub(crate) mod middleware;
pub(crate) mod panic_place;
pub(crate) mod pool;
pub(crate) mod pool_spec;
pub(crate) mod published;
pub(crate) mod settlements;
pub(crate) mod single_slot;
pub(crate) mod slot;
pub(crate) mod slot_set;
mod slot_workers;
mod span;
pub(crate) mod state;
#[cfg(feature = "otel")]
pub(crate) mod trace_style;
pub(crate) mod turn;
mod unique_start;
mod unknown_kinds;
pub(crate) mod worker;
pub(crate) mod worker_fn;
