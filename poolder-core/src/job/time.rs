//! Timestamps in milliseconds since 1970, as given by the server's clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::mutation::mutated;

/// A point in time, in milliseconds since 1970 UTC.
///
/// ```
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
/// use poolder_core::Timestamp;
///
/// let at = Timestamp::from(UNIX_EPOCH + Duration::from_secs(2));
/// assert_eq!(at.millis(), 2_000);
/// assert_eq!(SystemTime::from(at), UNIX_EPOCH + Duration::from_secs(2));
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates the timestamp `millis` milliseconds after 1970 (or before, when negative).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the time of this host's clock. Decisions that nodes must agree on use the server's
    /// clock instead.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns the milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Returns the time from `earlier` to this timestamp, or zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let distance = Duration::from_millis(at.0.unsigned_abs());
        if at.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(millis(later)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(millis(earlier)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// The longest duration that is stored, sent to the server or believed when it is read: ten years of
/// 365 days. A longer one counts as ten years, so that a time computed from it never overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Returns the milliseconds of a duration, at most those of [`LONGEST`].
pub(crate) fn clamped_millis(duration: Duration) -> i64 {
    millis(if mutated("ten-years") { duration } else { duration.min(LONGEST) })
}

/// Returns the duration of a stored number of milliseconds, at most [`LONGEST`].
pub(crate) fn clamped_duration(millis: u64) -> Duration {
    Duration::from_millis(millis).min(LONGEST)
}

/// Returns the milliseconds of a duration, at most `i64::MAX` (292 million years). A time since 1970
/// is longer than [`LONGEST`].
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_years_are_the_longest_duration_but_not_the_latest_time() {
        let ten_years = 315_360_000_000;
        assert_eq!(clamped_millis(Duration::MAX), ten_years);
        assert_eq!(clamped_duration(u64::MAX), LONGEST);
        assert_eq!(clamped_millis(clamped_duration(ten_years.unsigned_abs())), ten_years);
        assert_eq!(clamped_millis(Duration::from_millis(7)), 7);
        let late = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(Timestamp::from(SystemTime::from(late)), late);
        assert_eq!((late + Duration::MAX).millis(), i64::MAX);
    }
}
