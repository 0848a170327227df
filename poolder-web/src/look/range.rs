//! The ranges of the history that a page may show.

use std::time::Duration;

use poolder_core::history::HistoryRange;

/// A range of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Range {
    Quarter,
    #[default]
    Hour,
    EightHours,
    ThreeDays,
    SixWeeks,
}

impl Range {
    pub(crate) const ALL: [Self; 5] =
        [Self::Quarter, Self::Hour, Self::EightHours, Self::ThreeDays, Self::SixWeeks];

    /// Returns the range of a name in a query, or an hour.
    pub(crate) fn of(name: &str) -> Self {
        Self::ALL.into_iter().find(|range| range.name() == name).unwrap_or_default()
    }

    /// Returns the name of the range in a query.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::EightHours => "8h",
            Self::ThreeDays => "3d",
            Self::SixWeeks => "6w",
        }
    }

    /// Returns the range as a person says it.
    pub(crate) fn said(self) -> &'static str {
        match self {
            Self::Quarter => "15 min",
            Self::Hour => "1 h",
            Self::EightHours => "8 h",
            Self::ThreeDays => "3 days",
            Self::SixWeeks => "6 weeks",
        }
    }

    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|range| *range == self).unwrap_or(0)
    }

    pub(crate) fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Quarter => 900,
            Self::Hour => 3_600,
            Self::EightHours => 8 * 3_600,
            Self::ThreeDays => 3 * 86_400,
            Self::SixWeeks => 42 * 86_400,
        })
    }

    pub(crate) fn read(self) -> HistoryRange {
        HistoryRange::last(self.length())
    }

    /// Returns how long a reading of this range is kept: an hour changes with each flush of a node,
    /// six weeks do not.
    pub(super) fn kept(self) -> Duration {
        Duration::from_secs(if self.length() <= Self::Hour.length() { 5 } else { 30 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_the_names_of_queries() {
        for range in Range::ALL {
            assert_eq!(Range::of(range.name()), range);
            assert_eq!(Range::ALL[range.index()], range);
            assert!(range.read().periods() <= 504, "{range:?}");
        }
        assert_eq!(Range::of("a year"), Range::Hour);
    }
}
