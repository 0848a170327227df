//! The outcome of an attempt that met a limit of another system.

use std::fmt;
use std::time::Duration;

/// The longest time for which a group or a queue is held.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The outcome of an attempt that met a limit of another system, such as an API that has answered
/// 429: the job goes back before the others of its group, and nothing of its group, or of its queue,
/// starts for a while. No attempt is counted.
///
/// A handler returns it as its error, or as [`Outcome::Limited`](crate::Outcome::Limited). On a queue
/// without limits the job is snoozed for the time.
///
/// ```
/// use std::time::Duration;
/// use poolder_core::{BoxError, Limited, Outcome};
///
/// fn answered(status: u16, retry_after: Duration) -> Result<Outcome, BoxError> {
///     match status {
///         429 => Err(Limited::group(retry_after).into()),
///         _ => Ok(Outcome::Done),
///     }
/// }
/// # assert!(answered(429, Duration::from_secs(30)).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limited {
    /// The time for which the group or the queue is held.
    pub wait: Duration,
    /// True when the whole queue is held, false for the group of the job.
    pub is_queue: bool,
    /// How often the attempts of a job may end like this; then it counts as a failure.
    pub at_most: u32,
}

impl Limited {
    /// Holds the group of the job for this time, at most a day.
    #[must_use]
    pub fn group(wait: Duration) -> Self {
        Self { wait: wait.min(LONGEST), is_queue: false, at_most: 100 }
    }

    /// Holds the whole queue for this time, at most a day.
    #[must_use]
    pub fn queue(wait: Duration) -> Self {
        Self { is_queue: true, ..Self::group(wait) }
    }

    /// Sets how often the attempts of a job may end like this one after another. The next one counts
    /// as a failed attempt. Default 100.
    #[must_use]
    pub fn at_most(self, times: u32) -> Self {
        Self { at_most: times, ..self }
    }
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = if self.is_queue { "queue" } else { "group" };
        write!(f, "a limit was met: the {held} of the job is held for {:?}", self.wait)
    }
}

impl std::error::Error for Limited {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_a_day_at_most_and_says_what_is_held() {
        let queue = Limited::queue(Duration::MAX).at_most(3);
        assert_eq!((queue.wait, queue.is_queue, queue.at_most), (LONGEST, true, 3));
        let group = Limited::group(Duration::from_secs(30));
        assert_eq!(group.to_string(), "a limit was met: the group of the job is held for 30s");
        assert!(queue.to_string().contains("queue"));
    }
}
