//! Sends jobs to a queue or to a slot of a pool, with or without waiting for the result. Every way
//! to send takes its options from [`EnqueueOptions`].

mod builder;
mod call;
mod cast;
pub(crate) mod choices;
mod encode;
mod many;
pub(crate) mod name_hint;
pub(crate) mod options;
mod pool;
mod publish;

pub use builder::Enqueue;
pub use call::Call;
pub use cast::{Cast, PoolCall};
#[cfg(feature = "schedules")]
pub(crate) use encode::encode;
pub use many::EnqueueMany;
pub use options::EnqueueOptions;
pub use pool::{PoolClient, PoolSlot};
