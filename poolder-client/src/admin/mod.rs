//! Operator's view of a fleet: reads its state and changes it.

mod check;
mod explain;
mod fleet;
mod inspector;
mod pool_set;
mod words;

pub use check::Check;
pub use explain::{Explanation, Why};
pub use inspector::Inspector;
pub use pool_set::{PoolSet, SetCast};
