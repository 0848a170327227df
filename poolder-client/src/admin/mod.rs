//! Operator's view of a fleet: reads its state and changes it.

mod action;
mod blast_radius;
mod bulk;
mod check;
mod explain;
mod fleet;
mod forecast;
mod inspector;
mod key_holder;
mod pool_set;
mod search;
mod sweep;
mod words;

pub use action::Action;
pub use blast_radius::{BlastRadius, Neighbour, NodeCrash};
pub use bulk::BulkChange;
pub use check::Check;
pub use explain::{Explanation, Why};
pub use forecast::{Drain, Flow};
pub use inspector::Inspector;
pub use key_holder::{KeyHolder, KeyedJob};
pub use pool_set::{PoolSet, SetCast};
pub use search::{Budget, Matches};
pub use sweep::BulkReport;
