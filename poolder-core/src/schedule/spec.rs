//! A schedule: which job, when, and what to do when a tick was missed or the last job still runs.

use std::time::Duration;

use poolder_cron::{MAX_SPAN, Timing, Zone};
use serde::{Deserialize, Serialize};

use crate::job::{Error, Lane, Timestamp, check_name, clamped_millis};
use crate::stored::Envelope;

/// A job that recurs. Its queue is the one it is stored with; its policy travels in the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// When it ticks.
    pub timing: Timing,
    /// Whose clocks the timing is about. Default UTC.
    pub zone: Zone,
    /// The job that each tick enqueues, under an id of its own.
    pub job: Envelope,
    /// The lane in which the jobs wait. Default [`Lane::Normal`].
    pub lane: Lane,
    /// What happens to ticks that nobody was there to publish. Default [`Missed::One`].
    pub missed: Missed,
    /// What happens when a tick comes while the job of an earlier one is still under way. Default
    /// [`Overlap::Allow`].
    pub overlap: Overlap,
    /// Each tick comes up to this much later. How much is derived from the schedule's name and
    /// stays the same, so that schedules with one expression spread and each keeps its rhythm.
    /// Default zero.
    pub jitter: Duration,
    /// No tick before this moment; an interval starts with a tick at it.
    pub start: Option<Timestamp>,
    /// No tick after this moment.
    pub end: Option<Timestamp>,
}

/// What happens to ticks that could not be published in time, since no node served the queue or
/// the server was away.
///
/// Ticks are never published twice, whatever the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Missed {
    /// They are dropped. A tick counts as missed when it is more than 30 s late: a change of
    /// leaders takes less.
    #[serde(rename = "s")]
    Skip,
    /// The latest one is made up for, however late; the others are dropped.
    #[default]
    #[serde(rename = "o")]
    One,
    /// All are made up for, in order.
    #[serde(rename = "a")]
    All {
        /// But no more than this many, the newest: 1 to [`Missed::MOST`].
        most: u32,
        /// And none that is later than this.
        within: Duration,
    },
}

impl Missed {
    /// The most ticks that can be made up for at a time.
    pub const MOST: u32 = 10_000;
    /// How late a tick may be before it counts as missed.
    pub const GRACE: Duration = Duration::from_secs(30);
}

/// What happens when a tick comes while the job of an earlier one is still under way: waiting,
/// running, or between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Overlap {
    /// Its job is enqueued all the same.
    #[default]
    #[serde(rename = "a")]
    Allow,
    /// The tick is dropped, and counted.
    #[serde(rename = "s")]
    Skip,
    /// Its job is enqueued as soon as the earlier one has ended. One waits at most, that of the
    /// newest tick; those it replaces are dropped, and counted.
    #[serde(rename = "q")]
    QueueOne,
}

/// A job that recurs is read with each of its ticks.
const MAX_JOB: usize = 64 * 1024;

impl Schedule {
    /// The schedule of a job, with the defaults.
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

    /// Says whether the schedule can be kept.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an interval, jitter, window or lane that cannot be, or an end
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

    /// The first tick after a moment, or `None` when there is none any more. An interval counts
    /// from `origin`, or from the start of the schedule where it has one.
    #[must_use]
    pub fn next(&self, origin: Timestamp, after: Timestamp) -> Option<Timestamp> {
        let (mut origin, mut after) = (origin.millis(), after.millis());
        if let Some(start) = self.start {
            let start = start.millis();
            // The origin itself is no tick, but the start is one.
            if let Timing::Every(interval) = self.timing {
                origin = start.saturating_sub(clamped_millis(interval));
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
/// [`Error::is_invalid`] when it is not.
pub fn check_schedule_name(name: &str) -> Result<(), Error> {
    check_name("schedule name", name, 128, "_-.:/")
}
