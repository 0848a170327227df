//! The frames of the history: hashes with the counters of all series in one period.

use std::time::Duration;

use serde::Serialize;

use crate::job::Timestamp;

/// The length of the periods of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub enum HistoryStep {
    /// A minute; kept for 8 hours.
    Minute,
    /// Ten minutes; kept for 3 days.
    TenMinutes,
    /// Two hours; kept for 6 weeks.
    TwoHours,
}

impl HistoryStep {
    /// All steps, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::TenMinutes, Self::TwoHours];

    /// Returns the length of a period.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::TenMinutes => Duration::from_secs(600),
            Self::TwoHours => Duration::from_secs(7_200),
        }
    }

    /// Returns how long the periods are kept.
    #[must_use]
    pub const fn kept(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(8 * 3_600),
            Self::TenMinutes => Duration::from_secs(3 * 24 * 3_600),
            Self::TwoHours => Duration::from_secs(42 * 24 * 3_600),
        }
    }

    /// Returns the letter in the keys of the frames.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Minute => 'm',
            Self::TenMinutes => 't',
            Self::TwoHours => 'q',
        }
    }

    /// Returns the next shorter step, of whose periods one of this step is made.
    #[must_use]
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Minute => None,
            Self::TenMinutes => Some(Self::Minute),
            Self::TwoHours => Some(Self::TenMinutes),
        }
    }

    const fn millis(self) -> i64 {
        self.length().as_millis() as i64
    }
}

/// One period of a history: the time from a multiple of a step up to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    step: HistoryStep,
    /// The number of periods since 1970.
    number: i64,
}

impl Period {
    /// Returns the period in which a time lies.
    #[must_use]
    pub fn of(step: HistoryStep, time: Timestamp) -> Self {
        Self { step, number: time.millis().div_euclid(step.millis()) }
    }

    /// Returns the length of the period.
    #[must_use]
    pub const fn step(self) -> HistoryStep {
        self.step
    }

    /// Returns the number of the period, counted from 1970.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.number
    }

    /// Returns the start.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(self.number.saturating_mul(self.step.millis()))
    }

    /// Returns the end, which is the start of the next period.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.after(1).start()
    }

    /// Returns the period that lies this many periods later.
    #[must_use]
    pub const fn after(self, periods: i64) -> Self {
        Self { step: self.step, number: self.number.saturating_add(periods) }
    }

    /// Returns the periods of the next shorter step of which this one is made; none for a minute.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        let finer = self.step.finer();
        let count = finer.map_or(0, |finer| self.step.millis() / finer.millis());
        let first = finer.map(|finer| Self::of(finer, self.start()));
        (0..count).filter_map(move |part| first.map(|first| first.after(part)))
    }
}

/// The part of the history that a read covers: a number of periods up to now.
///
/// ```
/// use std::time::Duration;
/// use poolder_core::history::{HistoryRange, HistoryStep};
///
/// let hour = HistoryRange::last(Duration::from_secs(3_600));
/// assert_eq!((hour.step(), hour.periods()), (HistoryStep::Minute, 60));
/// let week = HistoryRange::last(Duration::from_secs(7 * 24 * 3_600));
/// assert_eq!((week.step(), week.periods()), (HistoryStep::TwoHours, 84));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryRange {
    step: HistoryStep,
    periods: u32,
}

impl HistoryRange {
    /// Returns the range from this long ago until now, in the shortest periods that are kept for so
    /// long. At least one period, and at most six weeks.
    #[must_use]
    pub fn last(time: Duration) -> Self {
        let step = HistoryStep::ALL.into_iter().find(|step| time <= step.kept());
        Self::of(step.unwrap_or(HistoryStep::TwoHours), time)
    }

    /// Returns the range from this long ago until now in periods of this length: at least one
    /// period, and at most as many as are kept.
    #[must_use]
    pub fn of(step: HistoryStep, time: Duration) -> Self {
        let time = time.min(step.kept()).max(step.length());
        let periods = time.as_millis().div_ceil(step.length().as_millis());
        Self { step, periods: u32::try_from(periods).unwrap_or(u32::MAX) }
    }

    /// Returns the length of the periods.
    #[must_use]
    pub const fn step(self) -> HistoryStep {
        self.step
    }

    /// Returns the number of periods; the last one is not over yet.
    #[must_use]
    pub const fn periods(self) -> u32 {
        self.periods
    }

    /// Returns the periods at a time, the earliest first.
    pub(crate) fn until(self, now: Timestamp) -> impl DoubleEndedIterator<Item = Period> {
        let last = Period::of(self.step, now);
        (1 - i64::from(self.periods)..=0).map(move |back| last.after(back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_made_of_shorter_ones() {
        let time = Timestamp::from_millis(1_700_000_123_456);
        let two_hours = Period::of(HistoryStep::TwoHours, time);
        let parts: Vec<Period> = two_hours.parts().collect();
        assert_eq!((parts.len(), parts[0].start()), (12, two_hours.start()));
        assert_eq!(parts[11].end(), two_hours.end());
        assert!(parts.windows(2).all(|pair| pair[0].end() == pair[1].start()));
        assert_eq!(parts[0].parts().count(), 10);
        assert_eq!(Period::of(HistoryStep::Minute, time).parts().count(), 0);
        let before = Period::of(HistoryStep::Minute, Timestamp::from_millis(-1));
        assert_eq!((before.number(), before.end().millis()), (-1, 0));
        let last = Period::of(HistoryStep::Minute, Timestamp::from_millis(i64::MAX));
        assert!(last.after(i64::MAX).start() >= last.start(), "no time is too late");
    }

    #[test]
    fn a_range_has_at_least_one_period_and_no_more_than_are_kept() {
        let periods = |range: HistoryRange| (range.step(), range.periods());
        assert_eq!(periods(HistoryRange::last(Duration::ZERO)), (HistoryStep::Minute, 1));
        assert_eq!(periods(HistoryRange::last(Duration::from_secs(61))), (HistoryStep::Minute, 2));
        assert_eq!(
            periods(HistoryRange::last(HistoryStep::Minute.kept())),
            (HistoryStep::Minute, 480)
        );
        assert_eq!(
            periods(HistoryRange::last(Duration::from_secs(86_400))),
            (HistoryStep::TenMinutes, 144)
        );
        assert_eq!(periods(HistoryRange::last(Duration::MAX)), (HistoryStep::TwoHours, 504));
        assert_eq!(
            periods(HistoryRange::of(HistoryStep::Minute, Duration::MAX)),
            (HistoryStep::Minute, 480)
        );
        let now = Timestamp::from_millis(1_700_000_123_456);
        let all: Vec<_> = HistoryRange::last(Duration::from_secs(180)).until(now).collect();
        assert_eq!((all.len(), all[2]), (3, Period::of(HistoryStep::Minute, now)));
        assert_eq!(all[0].after(2), all[2]);
    }
}
