//! Addressed pools: slots of the fleet, each leased to one process at a time. Imports the layers
//! that `sources` may import, and no other source.
//!
//! | file | what it does |
//! |---|---|
//! | `assign` | decides which slots this node shall hold, by rendezvous hashing over the nodes that serve the pool |
//! | `holder` | holds a slot: acquires it, serves it, releases it |
//! | `serve` | claims, runs and settles jobs, one at a time |
//! | `progress` | remembers which jobs are claimed and done, and which must be settled before the next starts |
//! | `settle` | applies settlements under the lease |
//! | `run_job` | runs one job, interrupts it, cancels it |
//! | `acquire` | acquires and releases the lease of a slot |
//! | `rescue` | takes back the jobs that the last holder left |
//! | `slot_context` | the facts about a slot that all of these share, and when it is to be released |

mod acquire;
pub(crate) mod assign;
mod holder;
mod progress;
mod rescue;
mod run_job;
mod serve;
mod settle;
mod slot_context;
