//! Looking at a fleet and changing it, as operators do.

mod fleet;
mod group;
mod inspector;

pub use group::Group;
pub use inspector::Inspector;
