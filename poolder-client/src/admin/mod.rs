//! Looking at a fleet and changing it, as operators do.

mod fleet;
mod inspector;
mod pool_set;

pub use inspector::Inspector;
pub use pool_set::PoolSet;
