//! The job of a run. Seed and number determine its end and its duration.

use poolder::Job;
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The name of the first queue of a run.
pub(crate) const QUEUE: &str = "storm";

/// Returns the name of a queue; that of queue 0 is [`QUEUE`].
pub(crate) fn queue(number: u64) -> String {
    if number == 0 { QUEUE.to_owned() } else { format!("{QUEUE}-{number}") }
}

/// Returns true for a partition, written `queue.0`, of one of these queues.
pub(crate) fn is_plain(partition: &str) -> bool {
    partition.starts_with(QUEUE)
}

/// A job of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Job)]
#[job(kind = "torture.step", queue = "storm", attempts = 4, backoff = "300ms", timeout = "60s")]
pub(crate) struct Step {
    /// The number of the job, unique in a run.
    pub(crate) seq: u64,
    /// The end of the job.
    pub(crate) act: Act,
    /// The time that the job takes, in ms.
    pub(crate) millis: u64,
}

/// The end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// The job succeeds.
    Done,
    /// The job succeeds and has a result.
    Result,
    /// The job fails this many times, then succeeds.
    Fail(u32),
    /// The job panics once, then succeeds.
    Panic,
    /// The job snoozes once, then succeeds.
    Snooze,
    /// The job cancels itself.
    Cancel,
    /// The job always fails, and is buried after its attempts.
    Doomed,
    /// The job kills its process each time, and is buried for that.
    Killer,
}

impl Act {
    /// Returns true when the job is completed in the end.
    pub(crate) fn completes(self) -> bool {
        !matches!(self, Self::Cancel | Self::Doomed | Self::Killer)
    }

    /// Returns true when the job dies in the end.
    pub(crate) fn dies(self) -> bool {
        matches!(self, Self::Doomed | Self::Killer)
    }
}

/// Returns the job with this number, which takes `millis` on average. One in `killers` jobs kills
/// its process; none if that is 0.
pub(crate) fn step(seed: u64, seq: u64, millis: u64, killers: u64) -> Step {
    let mut random = Random::new(seed ^ seq.wrapping_mul(0xD6E8_FEB8_6659_FD93), 2);
    let act = match random.between(0, 999) {
        0..600 => Act::Done,
        600..850 => Act::Result,
        850..930 => Act::Fail(u32::try_from(random.between(1, 2)).unwrap_or(1)),
        930..950 => Act::Panic,
        950..980 => Act::Snooze,
        980..990 => Act::Cancel,
        990..993 => Act::Doomed,
        _ => Act::Done,
    };
    let act = if killers > 0 && seq % killers == killers / 2 { Act::Killer } else { act };
    Step { seq, act, millis: random.between(millis / 6, millis * 11 / 6) }
}
