//! Counters over time: what is counted of each kind of job, and the form in which it is stored; and
//! the logs of what has happened.
//!
//! Nodes add their counts to the frame of the minute; a client reads them as a [`History`] over a
//! [`HistoryRange`], the samples of queues as a [`QueueHistory`], and the logs in a [`LogPage`].
//!
//! Pure; imports [`policy`](crate::policy) and [`view`](crate::view).
//!
//! | file | holds |
//! |---|---|
//! | `buckets` | the buckets into which times are counted |
//! | `sums` | the counters of one kind in a process |
//! | `counts` | the stored counters of one series in one frame |
//! | `frames` | the periods of the frames, and for how long they are kept |
//! | `series` | the history of a kind as an operator sees it |
//! | `gauges` | how many jobs of a queue waited, ran and were dead |
//! | `errors` | groups of equal errors |
//! | `mute` | mutes of groups of equal errors |
//! | `log` | the ids and the pages of logs |
//! | `journal` | what has happened to nodes and partitions |
//! | `audit` | who has changed what |

mod audit;
mod buckets;
mod counts;
mod errors;
mod frames;
mod gauges;
mod journal;
mod log;
mod mute;
mod series;
mod sums;

pub use audit::{Actor, AuditEntry, AuditFilter, AuditOutcome, AuditRecord};
pub use buckets::{BUCKETS, bucket, bucket_end};
pub use counts::Counts;
pub use errors::{ErrorGroup, ErrorSample};
pub use frames::{HistoryRange, HistoryStep, Period};
pub use gauges::{QueueGauges, QueueHistory, QueuePoint};
pub use journal::{JournalEntry, JournalEvent, JournalFilter, JournalRecord};
pub use log::{LogId, LogPage};
pub use mute::Mute;
pub use series::{AttemptCounts, History, HistoryPoint, HistorySeries, TimeStats};
pub(crate) use series::{SeriesName, read_name};
pub use sums::{AttemptEnd, KindSums};

pub use crate::policy::ErrorId;
