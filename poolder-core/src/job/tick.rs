//! One tick of a schedule, as its job carries it.

use serde::{Deserialize, Serialize};

use crate::job::Timestamp;

/// The tick of a schedule for which a job was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    #[serde(rename = "n")]
    schedule: String,
    /// Milliseconds.
    #[serde(rename = "t")]
    at: i64,
    /// No other job of the schedule may run beside it.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    alone: bool,
}

impl Tick {
    pub(crate) fn new(schedule: &str, at: Timestamp, alone: bool) -> Self {
        Self { schedule: schedule.to_owned(), at: at.millis(), alone }
    }

    /// The name of the schedule.
    #[must_use]
    pub fn schedule(&self) -> &str {
        &self.schedule
    }

    /// The time for which it was planned. The job may have been enqueued later, and may run later
    /// still: work that is about a period should take the period from here, not from the clock.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// The schedule must be told when the job has ended.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }
}
