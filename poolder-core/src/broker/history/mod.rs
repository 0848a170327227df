//! The history of a namespace in Redis. All its keys share the hash tag of the roster, so that a
//! flush is one script in one Redis slot however many queues a node serves.
//!
//! | file | what it does |
//! |---|---|
//! | `flush` | adds the counts of a node to the frame of the minute |
//! | `frames` | reads frames |
//! | `read` | reads the history of kinds |
//! | `depths` | reads what a sample of the queues has |
//! | `gauges` | takes samples of the queues, and reads them |
//! | `roll` | makes the frames of longer periods of those of shorter ones |
//! | `errors` | reads groups of equal errors |
//! | `mutes` | mutes groups of equal errors |
//! | `deploys` | records when each deploy was seen first |
//! | `log` | adds to logs, and reads their pages |
//! | `journal` | records what happens to nodes and partitions |
//! | `audit` | records who has changed what |

mod audit;
pub(super) mod deploys;
mod depths;
mod errors;
pub(super) mod flush;
mod frames;
mod gauges;
mod journal;
mod log;
mod mutes;
mod read;
mod roll;

/// The most series of a frame; the counts of further ones are added up in one.
const MAX_SERIES: usize = 512;
