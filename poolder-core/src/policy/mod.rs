//! Decisions: what becomes of a job when its claim ends, and which slot of an addressed pool a job
//! goes to.
//!
//! Pure; imports [`job`](crate::job) only.

mod counters;
pub mod decide;
pub mod dispatch;

pub use counters::Counters;
