//! A tick of a schedule, as stored in the job that was enqueued for it, and the outcome of this job.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job::Timestamp;

/// The tick of a schedule for which a job was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    #[serde(rename = "n")]
    schedule: String,
    /// The planned time, in milliseconds since 1970.
    #[serde(rename = "t")]
    at: i64,
    /// True when no other job of the schedule may run at the same time.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    alone: bool,
}

impl Tick {
    pub(crate) fn new(schedule: &str, at: Timestamp, alone: bool) -> Self {
        Self { schedule: schedule.to_owned(), at: at.millis(), alone }
    }

    /// Returns the name of the schedule.
    #[must_use]
    pub fn schedule(&self) -> &str {
        &self.schedule
    }

    /// Returns the time for which the tick was planned. The job may have been enqueued later, and
    /// may run later still: work on a period of time should derive the period from this time, not
    /// from the clock.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// Returns true when no other job of the schedule may run at the same time. The settlement that
    /// ends the job must then free the schedule for its next job.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }
}

/// How the job of a schedule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// It is done.
    Completed,
    /// It died. A job that is revived later ends again.
    Dead,
    /// It was cancelled.
    Cancelled,
    /// It never ran: while it waited for an earlier job of the schedule, that of a later tick took
    /// its place.
    Replaced,
}

impl RunOutcome {
    /// Returns the letter of the stored form.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Completed => "c",
            Self::Dead => "d",
            Self::Cancelled => "x",
            Self::Replaced => "r",
        }
    }

    /// Returns the outcome of a letter.
    #[cfg(feature = "schedules")]
    pub(crate) fn of(letter: &str) -> Option<Self> {
        let all = [Self::Completed, Self::Dead, Self::Cancelled, Self::Replaced];
        all.into_iter().find(|outcome| outcome.letter() == letter)
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Replaced => "replaced",
        })
    }
}
