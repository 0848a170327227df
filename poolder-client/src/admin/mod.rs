//! Operator's view of a fleet: reads its state and changes it.

mod fleet;
mod inspector;
mod pool_set;

pub use inspector::Inspector;
pub use pool_set::{PoolSet, SetCast};
