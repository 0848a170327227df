//! Examines a set-up for faults: facts are read with bounded reads, then pure functions judge them.
//!
//! | file | content |
//! |---|---|
//! | `diagnosis` | the result |
//! | `facts`, `read` | the facts, and their reads |
//! | `observe` | the state that the rules of attention look at |
//! | `server`, `queue`, `partition` | further faults |
//! | `repair` | repairs |

mod diagnosis;
mod facts;
mod observe;
mod partition;
mod queue;
mod read;
mod repair;
mod server;

pub use diagnosis::{Diagnosis, QueueMemory};
pub(in crate::admin) use facts::{PartitionSeen, QueueFacts};
pub(in crate::admin) use observe::observed;
