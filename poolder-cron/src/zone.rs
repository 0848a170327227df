//! Time zones: the mapping between wall clock times and instants.

mod data;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::InvalidTiming;
use data::Known;
pub use data::ZoneData;

/// A time zone of the IANA database, such as `Europe/Berlin`. Default UTC.
#[derive(Clone, Copy)]
pub struct Zone(Option<&'static Known>);

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
    pub const UTC: Self = Self(None);

    /// Returns the offset from UTC at a moment, such as `+02:00`. The text is empty for a moment
    /// out of range.
    #[must_use]
    pub fn offset(self, at_ms: i64) -> String {
        let at = Timestamp::from_second(at_ms.div_euclid(1000)).ok();
        at.map_or_else(String::new, |at| written(self.rules().to_offset(at).seconds()))
    }

    /// Returns a moment as the zone's clocks show it: `2026-03-29 03:00:00 CEST`.
    #[must_use]
    pub fn show(self, at_ms: i64) -> String {
        let seconds = at_ms.div_euclid(1000);
        let (Ok(at), Some(local)) = (Timestamp::from_second(seconds), self.local(seconds)) else {
            return format!("{at_ms} ms");
        };
        let rules = self.rules();
        let info = rules.to_offset_info(at);
        // A zone without a name for its time has its offset in place of one.
        let name = match info.abbreviation() {
            name if name.starts_with(['+', '-']) => written(info.offset().seconds()),
            name => name.to_owned(),
        };
        format!("{} {name}", local.format("%Y-%m-%d %H:%M:%S"))
    }

    /// Returns the names of all known zones.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ZoneData::current().names()
    }

    fn name(self) -> &'static str {
        self.0.map_or("UTC", |known| &known.name)
    }

    fn rules(self) -> TimeZone {
        self.0.map_or(TimeZone::UTC, |known| known.rules.clone())
    }

    /// Returns the wall clock time at an instant in seconds; `None` when it is out of range.
    pub(crate) fn local(self, seconds: i64) -> Option<NaiveDateTime> {
        let offset = self.rules().to_offset(Timestamp::from_second(seconds).ok()?).seconds();
        DateTime::from_timestamp(seconds + i64::from(offset), 0).map(|at| at.naive_utc())
    }

    /// Returns the instants at which the clocks show a wall clock time.
    pub(crate) fn instants(self, local: NaiveDateTime) -> Instants {
        let Some(civil) = civil_of(local) else { return Instants::Gap };
        let at =
            |offset: jiff::tz::Offset| local.and_utc().timestamp() - i64::from(offset.seconds());
        match self.rules().to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Instants::Once(at(offset)),
            AmbiguousOffset::Gap { .. } => Instants::Gap,
            AmbiguousOffset::Fold { before, after } => {
                let (before, after) = (at(before), at(after));
                Instants::Twice(before.min(after), before.max(after))
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
    type Err = InvalidTiming;

    /// Parses a name of the IANA database; upper and lower case are the same.
    fn from_str(name: &str) -> Result<Self, InvalidTiming> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::UTC);
        }
        data::known(name).map(|known| Self(Some(known))).ok_or_else(|| {
            InvalidTiming::new(format!(
                "{:?} is no time zone: use a name of the IANA database such as \"Europe/Berlin\" \
                 or \"UTC\"",
                crate::shown(name)
            ))
        })
    }
}

/// Writes an offset of seconds: `+02:00`, `-00:25:21`.
fn written(offset: i32) -> String {
    let (sign, all) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match seconds {
        0 => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn civil_of(local: NaiveDateTime) -> Option<civil::DateTime> {
    let small = |number: u32| i8::try_from(number).ok();
    let (date, time) = (local.date(), local.time());
    let year = i16::try_from(date.year()).ok()?;
    let (month, day) = (small(date.month())?, small(date.day())?);
    let (hour, minute, second) =
        (small(time.hour())?, small(time.minute())?, small(time.second())?);
    civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}
