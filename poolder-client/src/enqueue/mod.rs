//! Sends jobs to a queue or to a slot of a pool, with or without waiting for the result.

mod builder;
mod call;
mod cast;
mod encode;
mod pool;

pub use builder::Enqueue;
pub use call::Call;
pub use cast::{Cast, PoolCall};
pub(crate) use encode::encode;
pub use pool::{PoolClient, PoolSlot};
