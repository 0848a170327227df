//! Addressed pools: slots of the fleet, each leased to one process at a time. Imports the layers
//! that `sources` may import, and no other source.
//!
//! | file | what it does |
//! |---|---|
//! | `assign` | decides which slots this node shall hold, by rendezvous hashing over the nodes that serve the pool |
//! | `holder` | holds a slot: acquires it, serves it, releases it |
//! | `serve` | takes the steps of a slot: claims, runs and settles jobs, one at a time |
//! | `step` | lists the steps, and the facts that decide the next one |
//! | `progress` | decides the next step; asks neither the server nor a clock |
//! | `pending` | remembers which jobs are claimed and done, and which must be settled before the next starts |
//! | `pacing` | says how many jobs a poll claims, and how long to pause after a failed one |
//! | `known_lanes` | remembers the last ids of the lanes, and whether this node may hold unknown entries |
//! | `drain_reports` | says when to report the progress of a slot after a resize |
//! | `settle` | applies settlements under the lease |
//! | `relocate` | moves late jobs to the slot in which their key belongs |
//! | `retired` | finds late jobs in slots that are out of service |
//! | `left` | finds slots that this node has released, and that are its own again after a failover |
//! | `run_job` | runs one job, interrupts it, cancels it |
//! | `acquire` | acquires and releases the lease of a slot |
//! | `rescue` | takes back the jobs that the last holder left |
//! | `slot_context` | the facts about a slot that all of these share, and when it is to be released |

mod acquire;
pub(crate) mod assign;
mod drain_reports;
mod holder;
mod known_lanes;
mod left;
mod pacing;
mod pending;
mod progress;
mod relocate;
mod rescue;
mod retired;
mod run_job;
mod serve;
mod settle;
mod slot_context;
mod step;
