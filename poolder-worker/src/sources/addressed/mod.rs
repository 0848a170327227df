//! Addressed pools: slots of the fleet, each leased to one process at a time. Imports the layers
//! that `sources` may import, and no other source.
//!
//! | file | what it does |
//! |---|---|
//! | `assign` | decides which slots this node shall hold, by rendezvous hashing over the nodes that serve the pool |
//! | `lifecycle` | acquires a slot, serves it, releases it |
//! | `holder` | holds the state of one slot, and when it is to be released |
//! | `acquire` | takes the lease of a slot, and rescues the jobs that its last holder left |
//! | `serve` | claims, runs and settles jobs, one at a time |
//! | `progress` | remembers which jobs are claimed and done, and which must be settled before the next starts |
//! | `run_job` | runs one job, interrupts it, cancels it |

mod acquire;
pub(crate) mod assign;
mod holder;
mod lifecycle;
mod progress;
mod run_job;
mod serve;
