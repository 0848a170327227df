//! A tick of a schedule, as stored in the job that was enqueued for it.

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
