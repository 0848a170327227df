//! Time zones: the mapping between wall clock times and instants.

use std::fmt;
use std::str::FromStr;

use chrono::{NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{OffsetName, Tz};

use crate::Invalid;

/// A time zone of the IANA database, such as `Europe/Berlin`. Default UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

/// Bounds the search for the edge of a gap or fold. No known gap or fold is longer than a day.
const MAX_CLOCK_CHANGE: TimeDelta = TimeDelta::hours(26);

/// The instants at which clocks show a wall clock time, in seconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instants {
    /// There is none: the clock was put forward past the time.
    Gap,
    /// There is one.
    Once(i64),
    /// There are two, since the clock was put back to before the time.
    Twice(i64, i64),
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// Returns the offset from UTC at a moment, such as `+02:00`. The text is empty for a moment
    /// out of range.
    #[must_use]
    pub fn offset(self, at_ms: i64) -> String {
        let local =
            chrono::DateTime::from_timestamp_millis(at_ms).map(|at| at.with_timezone(&self.0));
        local.map_or_else(String::new, |local| local.offset().fix().to_string())
    }

    /// Returns a moment as the zone's clocks show it: `2026-03-29 03:00:00 CEST`.
    #[must_use]
    pub fn show(self, at_ms: i64) -> String {
        let local =
            chrono::DateTime::from_timestamp_millis(at_ms).map(|at| at.with_timezone(&self.0));
        local.map_or_else(
            || format!("{at_ms} ms"),
            |local| {
                let name = local.offset().abbreviation().map(ToOwned::to_owned);
                let name = name.unwrap_or_else(|| local.offset().fix().to_string());
                format!("{} {name}", local.naive_local().format("%Y-%m-%d %H:%M:%S"))
            },
        )
    }

    /// Returns the names of all known zones.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// Returns the wall clock time at an instant in seconds; `None` when it is out of range.
    pub(crate) fn local(self, seconds: i64) -> Option<NaiveDateTime> {
        chrono::DateTime::from_timestamp(seconds, 0)
            .map(|at| at.with_timezone(&self.0).naive_local())
    }

    /// Returns the instants at which the clocks show a wall clock time.
    pub(crate) fn instants(self, local: NaiveDateTime) -> Instants {
        match self.0.from_local_datetime(&local) {
            chrono::LocalResult::None => Instants::Gap,
            chrono::LocalResult::Single(at) => Instants::Once(at.timestamp()),
            chrono::LocalResult::Ambiguous(a, b) => {
                let (a, b) = (a.timestamp(), b.timestamp());
                Instants::Twice(a.min(b), a.max(b))
            }
        }
    }

    /// Returns the first wall clock time after a gap, given a time inside the gap.
    pub(crate) fn gap_end(self, inside: NaiveDateTime) -> Option<NaiveDateTime> {
        self.edge(inside, 1, |at| at != Instants::Gap)
    }

    /// Returns the first wall clock time of a fold, given a time inside the fold. All times of a
    /// fold are shown twice.
    pub(crate) fn fold_start(self, inside: NaiveDateTime) -> Option<NaiveDateTime> {
        let before = self.edge(inside, -1, |at| !matches!(at, Instants::Twice(..)))?;
        before.checked_add_signed(TimeDelta::seconds(1))
    }

    /// Returns the nearest second in the given direction that passes the test, by bisection: a gap
    /// or fold has one edge on each side.
    fn edge(
        self,
        inside: NaiveDateTime,
        direction: i32,
        passes: impl Fn(Instants) -> bool,
    ) -> Option<NaiveDateTime> {
        let at = |seconds: i64| {
            inside.checked_add_signed(TimeDelta::seconds(seconds * i64::from(direction)))
        };
        let mut far = 900;
        while !passes(self.instants(at(far)?)) {
            far *= 2;
            if far > 2 * MAX_CLOCK_CHANGE.num_seconds() {
                return None;
            }
        }
        let mut near = 0;
        while far - near > 1 {
            let middle = near + (far - near) / 2;
            if passes(self.instants(at(middle)?)) { far = middle } else { near = middle }
        }
        at(far)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl FromStr for Zone {
    type Err = Invalid;

    /// Parses a name of the IANA database; upper and lower case are the same.
    fn from_str(name: &str) -> Result<Self, Invalid> {
        if let Ok(zone) = name.parse() {
            return Ok(Self(zone));
        }
        let same = |zone: &&Tz| zone.name().eq_ignore_ascii_case(name);
        let zone = chrono_tz::TZ_VARIANTS.iter().find(same);
        zone.map(|zone| Self(*zone)).ok_or_else(|| {
            Invalid::new(format!(
                "{:?} is no time zone: use a name of the IANA database such as \"Europe/Berlin\" \
                 or \"UTC\"",
                crate::shown(name)
            ))
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
