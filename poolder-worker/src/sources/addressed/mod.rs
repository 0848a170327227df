//! Addressed pools: slots of the fleet, each leased to one process at a time. Imports what
//! `sources` may import, and no other source.
//!
//! | file | what it does |
//! |---|---|
//! | `assign` | decides which slots this node shall hold, by rendezvous hashing over the nodes that serve the pool |
//! | `holder` | holds one slot: acquires it, serves it, lets it go |
//! | `acquire` | takes the lease of a slot, and rescues the jobs that its last holder left |
//! | `serve` | claims, runs and settles jobs, one at a time |
//! | `progress` | remembers which jobs are claimed and done, and which must be settled before the next starts |
//! | `run_job` | runs one job, interrupts it, cancels it |

mod acquire;
pub(crate) mod assign;
mod holder;
mod progress;
mod run_job;
mod serve;
