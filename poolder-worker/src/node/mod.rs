//! Composition of a node: its builder, the start and stop of its pools and services, and changes to
//! its pools while it runs. Imports `process`, `run`, `services` and `sources`.

pub(crate) mod builder;
pub(crate) mod declarations;
pub(crate) mod handle;
pub(crate) mod pools;
pub(crate) mod queue;
mod queue_check;
mod running_node;
mod running_pool;
mod signals;
mod start;
