//! Counters over time: what is counted of each kind of job, and the form in which it is stored.
//! Pure; imports [`policy`](crate::policy).
//!
//! | file | holds |
//! |---|---|
//! | `buckets` | the buckets into which times are counted |
//! | `sums` | the counters of one kind in a process |
//! | `counts` | the stored counters of one series in one frame |
//! | `frames` | the periods of the frames, and for how long they are kept |
//! | `series` | the history of a kind as an operator sees it |
//! | `errors` | groups of equal errors |

mod buckets;
mod counts;
mod errors;
mod frames;
mod series;
mod sums;

pub use buckets::{BUCKETS, bucket, bucket_end};
pub use counts::Counts;
pub use errors::{ErrorGroup, ErrorId, ErrorSample};
pub use frames::{HistoryRange, HistoryStep, Period};
pub use series::{AttemptCounts, History, HistoryPoint, HistorySeries, TimeStats};
pub(crate) use series::{SeriesName, read_name};
pub use sums::{AttemptEnd, KindSums};
