//! A schedule: its job, its timing, and its policies for missed ticks and overlapping jobs.

use std::fmt;
use std::time::Duration;

use poolder_cron::{MAX_SPAN, Timing, Zone};
use serde::{Deserialize, Serialize};

use crate::job::{Error, Lane, Timestamp, UniqueMode, check_name};
use crate::stored::Envelope;

/// A recurring job. The queue is that under which the schedule is stored; the policy is part of the
/// job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Schedule {
    /// The times at which the schedule ticks.
    pub timing: Timing,
    /// The time zone of the timing. Default UTC.
    pub zone: Zone,
    /// The job that each tick enqueues. Each tick gives the job another id.
    pub job: Envelope,
    /// The lane into which the jobs are enqueued. Default [`Lane::Normal`].
    pub lane: Lane,
    /// The policy for ticks that could not be published in time. Default [`Missed::One`].
    pub missed: Missed,
    /// The policy for a tick during which the job of an earlier tick has not yet ended. Default
    /// [`Overlap::Allow`].
    pub overlap: Overlap,
    /// The longest delay of a tick. The actual delay is derived from the name of the schedule and
    /// is the same for all its ticks, so that schedules with the same expression are spread in time
    /// and the intervals of each do not change. Default zero.
    pub jitter: Duration,
    /// The time before which there is no tick; an interval has its first tick at this time.
    pub start: Option<Timestamp>,
    /// The time after which there is no tick.
    pub end: Option<Timestamp>,
}

/// The policy for ticks that could not be published in time, because no node served the queue or
/// the server was not reachable.
///
/// A tick is never published twice under any policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Missed {
    /// Missed ticks are dropped. A tick counts as missed when it is more than 30 s late; a change
    /// of leaders takes less than that.
    #[serde(rename = "s")]
    Skip,
    /// The latest missed tick runs, however late it is; the earlier ones are dropped.
    #[default]
    #[serde(rename = "o")]
    One,
    /// All missed ticks run, in order, within two limits.
    #[serde(rename = "a")]
    All {
        /// The most missed ticks that run, 1 to [`Missed::MOST`]; the newest are chosen.
        most: u32,
        /// The lateness above which a missed tick is dropped.
        within: Duration,
    },
}

impl Missed {
    /// The upper limit of `most` in [`Missed::All`].
    pub const MOST: u32 = 10_000;
    /// The lateness above which [`Missed::Skip`] counts a tick as missed.
    pub const GRACE: Duration = Duration::from_secs(30);
}

impl fmt::Display for Missed {
    /// Writes `skip`, `one`, or `all:7:60000ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip => f.write_str("skip"),
            Self::One => f.write_str("one"),
            Self::All { most, within } => write!(f, "all:{most}:{}ms", within.as_millis()),
        }
    }
}

/// The policy for a tick during which the job of an earlier tick has not yet ended: that job waits,
/// runs, or is between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Overlap {
    /// The job of the tick is enqueued nevertheless.
    #[default]
    #[serde(rename = "a")]
    Allow,
    /// The tick is dropped and counted.
    #[serde(rename = "s")]
    Skip,
    /// The job of the tick is enqueued as soon as the earlier job has ended. At most one job waits
    /// for that, the job of the newest tick; the ticks that it replaces are dropped and counted.
    #[serde(rename = "q")]
    QueueOne,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Skip => "skip",
            Self::QueueOne => "queue-one",
        })
    }
}

/// The largest job of a schedule, in bytes. Each tick reads the job from Redis.
const MAX_JOB: usize = 64 * 1024;

impl Schedule {
    /// Creates a schedule of a job, with the defaults.
    #[must_use]
    pub fn new(timing: Timing, job: Envelope) -> Self {
        Self {
            timing,
            zone: Zone::UTC,
            job,
            lane: Lane::Normal,
            missed: Missed::default(),
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            start: None,
            end: None,
        }
    }

    /// Checks that all settings of the schedule are allowed.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an interval, jitter, window or lane that is not allowed, or an end
    /// before the start; [`Error::is_too_large`] for a job above 64 KiB.
    pub fn check(&self) -> Result<(), Error> {
        if let Timing::Every(interval) = self.timing {
            Timing::every(interval)?;
        }
        if matches!(self.lane, Lane::Front | Lane::Suspect) {
            return Err(Error::invalid(format!(
                "lane {} is Poolder's own: use high, normal or low",
                self.lane
            )));
        }
        let unique = self.job.unique_mode();
        if unique == Some(UniqueMode::Debounce) {
            return Err(Error::invalid(
                "a schedule decides when its jobs are due: they cannot be debounced",
            ));
        }
        if unique == Some(UniqueMode::KeepLast) {
            return Err(Error::invalid(
                "jobs of a schedule cannot keep the last one by their key: leave out the rule, and \
                 use Overlap::QueueOne, which does the same for the schedule",
            ));
        }
        if unique.is_some() && self.overlap == Overlap::QueueOne {
            return Err(Error::invalid(
                "unique jobs of a schedule cannot wait for each other: leave out the rule, or use \
                 Overlap::Skip",
            ));
        }
        if self.jitter > MAX_SPAN {
            return Err(Error::invalid("a jitter above 100 years is too long"));
        }
        if let Missed::All { most, within } = self.missed {
            let legal = (1..=Missed::MOST).contains(&most);
            if !legal || within.is_zero() || within > MAX_SPAN {
                return Err(Error::invalid(format!(
                    "missed ticks: at most {most} within {within:?} is not allowed: use 1 to {} \
                     within 1 ms to 100 years",
                    Missed::MOST
                )));
            }
        }
        if self.start.zip(self.end).is_some_and(|(start, end)| end < start) {
            return Err(Error::invalid("the schedule ends before it starts"));
        }
        let size = self.job.as_bytes().len();
        if size > MAX_JOB {
            return Err(Error::too_large(format!(
                "the job of a schedule has {size} bytes, the most is {MAX_JOB}: store the data \
                 elsewhere and schedule a reference to it"
            )));
        }
        Ok(())
    }

    /// Returns the first tick after `after`, or `None` when there are no more ticks. An interval
    /// counts from `origin`, or from the start of the schedule if it has one.
    #[must_use]
    pub fn next(&self, origin: Timestamp, after: Timestamp) -> Option<Timestamp> {
        let (mut origin, mut after) = (origin.millis(), after.millis());
        if let Some(start) = self.start {
            let start = start.millis();
            // The origin itself is not a tick, but the start is one.
            if let Timing::Every(interval) = self.timing {
                origin = (Timestamp::from_millis(start) - interval).millis();
            }
            after = after.max(start.saturating_sub(1));
        }
        let tick = Timestamp::from_millis(self.timing.next(self.zone, origin, after)?);
        (self.end.is_none_or(|end| tick <= end)).then_some(tick)
    }
}

/// Checks the name of a schedule: 1 to 128 ASCII letters, digits, `_`, `-`, `.`, `:` or `/`.
///
/// # Errors
/// [`Error::is_invalid`] when the name is empty, longer, or contains another character.
pub fn check_schedule_name(name: &str) -> Result<(), Error> {
    check_name("schedule name", name, 128, "_-.:/")
}
