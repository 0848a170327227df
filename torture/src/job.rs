//! The job of a run, and what each of them shall do: a function of the seed and its number.

use poolder::Job;
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The queue of a run.
pub(crate) const QUEUE: &str = "storm";

/// A queue's name: the first is [`QUEUE`].
pub(crate) fn queue(number: u64) -> String {
    if number == 0 { QUEUE.to_owned() } else { format!("{QUEUE}-{number}") }
}

/// True for a partition, `queue.0`, of one of these queues.
pub(crate) fn is_plain(partition: &str) -> bool {
    partition.starts_with(QUEUE)
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Job)]
#[job(kind = "torture.step", queue = "storm", attempts = 4, backoff = "300ms", timeout = "60s")]
pub(crate) struct Step {
    /// Its number, unique in a run.
    pub(crate) seq: u64,
    /// How it ends.
    pub(crate) act: Act,
    /// How long it takes.
    pub(crate) millis: u64,
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// It is done.
    Done,
    /// It is done and has a result.
    Result,
    /// It fails so many times, then is done.
    Fail(u32),
    /// It panics once, then is done.
    Panic,
    /// It waits once, then is done.
    Snooze,
    /// It cancels itself.
    Cancel,
    /// It fails always, and is buried after its attempts.
    Doomed,
    /// It kills its process each time, and is buried for it.
    Killer,
}

impl Act {
    /// True when the job ends by being completed.
    pub(crate) fn completes(self) -> bool {
        !matches!(self, Self::Cancel | Self::Doomed | Self::Killer)
    }

    /// True when it ends among the dead.
    pub(crate) fn dies(self) -> bool {
        matches!(self, Self::Doomed | Self::Killer)
    }
}

/// The job with this number, taking `millis` on average. One in `killers` kills its process; none
/// for 0.
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
