//! The job of a run. Seed and number determine its end and its duration.

use std::time::Duration;

use poolder::{Backoff, Job, Policy};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bad::Bad;
use crate::random::Random;

/// The number of attempts of most jobs.
const ATTEMPTS: u32 = 4;
/// The timeout of most jobs, and of those that wait for it.
const TIMEOUT: Duration = Duration::from_secs(60);
const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The number of the job, unique in a run.
    pub(crate) seq: u64,
    /// The end of the job.
    #[serde(deserialize_with = "readable")]
    pub(crate) act: Act,
    /// The time that the job takes, in ms.
    pub(crate) millis: u64,
}

impl Job for Step {
    const KINDS: &'static [&'static str] = &["torture.step"];
    const QUEUE: &'static str = QUEUE;

    fn policy(&self) -> Option<Policy> {
        let (attempts, timeout) = match self.act {
            Act::Bad(Bad::TimeoutBomb) => (ATTEMPTS, SHORT_TIMEOUT),
            Act::Bad(bad) => (bad.attempts().unwrap_or(ATTEMPTS), TIMEOUT),
            _ => (ATTEMPTS, TIMEOUT),
        };
        let backoff = Backoff::Fixed(Duration::from_millis(300));
        Some(Policy::default().attempts(attempts).backoff(backoff).timeout(timeout))
    }
}

/// Reads the end of a job, and panics for [`Bad::Unreadable`].
fn readable<'de, D: Deserializer<'de>>(from: D) -> Result<Act, D::Error> {
    let act = Act::deserialize(from)?;
    assert!(act != Act::Bad(Bad::Unreadable), "this job cannot be read");
    Ok(act)
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
    /// The handler misbehaves.
    Bad(Bad),
}

impl Act {
    /// Returns true when the job is completed in the end.
    pub(crate) fn completes(self) -> bool {
        !self.dies() && !self.is_cancelled()
    }

    /// Returns true when the job dies in the end.
    pub(crate) fn dies(self) -> bool {
        match self {
            Self::Doomed | Self::Killer => true,
            Self::Bad(bad) => bad.dies(),
            _ => false,
        }
    }

    /// Returns true when the job is cancelled in the end.
    pub(crate) fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancel | Self::Bad(Bad::CancelBomb))
    }

    /// Returns the number of the attempt after which the job dies, when it dies of its failures.
    pub(crate) fn last_attempt(self) -> Option<u32> {
        match self {
            Self::Doomed => Some(ATTEMPTS),
            Self::Bad(bad) => bad.last_attempt(),
            _ => None,
        }
    }
}

/// One in this many jobs has a `handle_error` that never returns. It comes early, as it keeps its
/// slot for half a minute each time that it is started.
const HANGING: u64 = 2_500;
const FIRST_HANGING: u64 = 50;

/// Returns the job with this number, which takes `millis` on average. One in `killers` jobs kills
/// its process; none if that is 0.
pub(crate) fn step(seed: u64, seq: u64, millis: u64, killers: u64) -> Step {
    let mut random = Random::new(seed ^ seq.wrapping_mul(0xD6E8_FEB8_6659_FD93), 2);
    let act = match random.between(0, 999) {
        0..570 => Act::Done,
        570..600 => Act::Bad(random.pick(Bad::QUICK)),
        600..850 => Act::Result,
        850..930 => Act::Fail(u32::try_from(random.between(1, 2)).unwrap_or(1)),
        930..950 => Act::Panic,
        950..980 => Act::Snooze,
        980..990 => Act::Cancel,
        990..993 => Act::Doomed,
        _ => Act::Done,
    };
    let act = if seq % HANGING == FIRST_HANGING { Act::Bad(Bad::JudgeHangs) } else { act };
    let act = if killers > 0 && seq % killers == killers / 2 { Act::Killer } else { act };
    Step { seq, act, millis: random.between(millis / 6, millis * 11 / 6) }
}
