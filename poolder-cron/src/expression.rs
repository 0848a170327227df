//! Cron expressions: crontab(5) with optional seconds and years, on top of the `cron` crate.
//!
//! The `cron` crate computes dates, always in UTC, where clocks do not change. It differs from
//! crontab(5) in the numbers of weekdays, in the combination of day of month and weekday, and when
//! clocks change. So this module parses the fields and translates them, and
//! [`Zone`](crate::Zone) maps wall clock times to instants.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use cron::TimeUnitSpec;

use crate::field::{DAY, Field, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, YEAR};
use crate::zone::{Instants, Zone};
use crate::{InvalidTiming, shown};

/// The maximum length of an expression in bytes.
const MAX_LENGTH: usize = 512;

/// The maximum number of wall clock times that a search tries. It is above the 86,400 seconds of a
/// day, since the longest known gap has skipped a whole day.
const MAX_STEPS: usize = 100_000;

/// A cron expression of five, six (seconds first) or seven fields (years last), or a macro such as
/// `@hourly`.
///
/// Names and numbers are those of crontab(5): weekdays run from 0 to 7, and both 0 and 7 are
/// Sunday. When day of month and weekday are both restricted, a day matches if either matches.
#[derive(Clone)]
pub struct Expression {
    text: String,
    /// One schedule, or two when a day may match by its day of month or by its weekday.
    parts: Vec<cron::Schedule>,
    /// True when neither hour nor minute begins with `*`: the expression then stands for wall clock
    /// times, and not for a time that passes.
    fixed: bool,
}

impl Expression {
    /// Returns the first moment after `after_ms` at which the expression fires, or `None` when it
    /// never fires again (no expression fires after 2100).
    ///
    /// With a fixed hour and minute the expression follows the wall clock: a time that is skipped
    /// when clocks are put forward fires at the first moment that exists, and a time that comes
    /// twice fires the first time. With `*` in the hour or minute it fires at each moment that
    /// matches.
    #[must_use]
    pub fn next(&self, zone: Zone, after_ms: i64) -> Option<i64> {
        let after = after_ms.div_euclid(1000);
        let local = zone.local(after)?;
        let onwards = self.walk(zone, local, |instant| instant > after);
        let best = match zone.instants(local) {
            // The clock will be put back to before `local`, and will show some times again.
            Instants::Twice(first, _) if first == after && !self.fixed => {
                [onwards, self.second_showing(zone, local, after)].into_iter().flatten().min()
            }
            _ => onwards,
        };
        best.map(|seconds| seconds * 1000)
    }

    /// Returns the first matching instant that passes the test, at a wall clock time after `local`.
    fn walk(&self, zone: Zone, local: NaiveDateTime, passes: impl Fn(i64) -> bool) -> Option<i64> {
        for candidate in self.candidates(local).take(MAX_STEPS) {
            let found = match zone.instants(candidate) {
                Instants::Once(at) => [Some(at), None],
                Instants::Twice(first, second) => [Some(first), (!self.fixed).then_some(second)],
                Instants::Gap if self.fixed => match zone.instants(zone.gap_end(candidate)?) {
                    Instants::Once(at) | Instants::Twice(at, _) => [Some(at), None],
                    Instants::Gap => [None, None],
                },
                Instants::Gap => [None, None],
            };
            if let Some(at) = found.into_iter().flatten().find(|at| passes(*at)) {
                return Some(at);
            }
        }
        None
    }

    /// Returns the first matching instant after `after` at which the clock shows a time of a fold
    /// again; `inside` is a time in that fold.
    fn second_showing(&self, zone: Zone, inside: NaiveDateTime, after: i64) -> Option<i64> {
        let start = zone.fold_start(inside)?.checked_sub_signed(TimeDelta::seconds(1))?;
        for candidate in self.candidates(start).take(MAX_STEPS) {
            match zone.instants(candidate) {
                Instants::Twice(_, second) if second > after => return Some(second),
                Instants::Twice(..) => {}
                Instants::Once(_) | Instants::Gap => return None,
            }
        }
        None
    }

    /// Returns the matching wall clock times after `local`, ascending.
    fn candidates(&self, local: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let mut at: Option<DateTime<Utc>> = Some(local.and_utc());
        std::iter::from_fn(move || {
            let after = at?;
            let next = self.parts.iter().filter_map(|part| part.after(&after).next()).min();
            // A step that does not go forward would be a bug in the `cron` crate; it ends the
            // search.
            at = next.filter(|next| *next > after);
            at.map(|at| at.naive_utc())
        })
    }
}

impl FromStr for Expression {
    type Err = InvalidTiming;

    fn from_str(text: &str) -> Result<Self, InvalidTiming> {
        let wrong = |why: &dyn fmt::Display| {
            InvalidTiming::new(format!("{:?} is no cron expression: {why}", shown(text)))
        };
        if text.len() > MAX_LENGTH {
            return Err(wrong(&format!("it is longer than {MAX_LENGTH} characters")));
        }
        let fields = fields(text).map_err(|error| wrong(&error))?;
        let [second, minute, hour, day, month, weekday, year] = &fields;
        let part = |day: &Field, weekday: &Field| {
            let translated = [
                second.translated(&SECOND),
                minute.translated(&MINUTE),
                hour.translated(&HOUR),
                day.translated(&DAY),
                month.translated(&MONTH),
                weekday.translated(&WEEKDAY),
                year.translated(&YEAR),
            ];
            let text = translated.join(" ");
            let parsed = text.parse::<cron::Schedule>().map_err(|error| wrong(&error))?;
            // The translation must mean what was written, whatever the `cron` crate makes of it.
            let same = second.is(&SECOND, parsed.seconds().iter())
                && minute.is(&MINUTE, parsed.minutes().iter())
                && hour.is(&HOUR, parsed.hours().iter())
                && day.is(&DAY, parsed.days_of_month().iter())
                && month.is(&MONTH, parsed.months().iter())
                && weekday.is(&WEEKDAY, parsed.days_of_week().iter().map(|day| day - 1))
                && year.is(&YEAR, parsed.years().iter());
            if same { Ok(parsed) } else { Err(wrong(&format!("{text:?} means something else"))) }
        };
        // crontab(5): when neither field begins with a star, a day matches by either of them.
        let parts = if day.star || weekday.star {
            vec![part(day, weekday)?]
        } else {
            vec![part(day, &Field::any())?, part(&Field::any(), weekday)?]
        };
        let fixed = !minute.star && !hour.star;
        let expression = Self { text: text.trim().to_owned(), parts, fixed };
        // A date that the calendar does not have never comes, in any zone.
        let start = DateTime::from_timestamp(0, 0).unwrap_or_default().naive_utc();
        if expression.candidates(start).next().is_none() {
            let why = "it never fires, since no year has such a day";
            return Err(InvalidTiming::new(format!("{:?} cannot be used: {why}", shown(text))));
        }
        Ok(expression)
    }
}

/// Reads the fields of an expression, and fills in the fields that were left out.
fn fields(text: &str) -> Result<[Field; 7], String> {
    let zero = || Field::only(0);
    let one = || Field::only(1);
    let any = Field::any;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [first, ..] = words[..] else { return Err("it is empty".into()) };
    if first.starts_with('@') {
        let fields = match first.to_ascii_lowercase().as_str() {
            "@yearly" | "@annually" => [zero(), zero(), zero(), one(), one(), any(), any()],
            "@monthly" => [zero(), zero(), zero(), one(), any(), any(), any()],
            "@weekly" => [zero(), zero(), zero(), any(), any(), zero(), any()],
            "@daily" | "@midnight" => [zero(), zero(), zero(), any(), any(), any(), any()],
            "@hourly" => [zero(), zero(), any(), any(), any(), any(), any()],
            _ => {
                return Err("use @yearly, @annually, @monthly, @weekly, @daily, @midnight, \
                            @hourly or @every with a time, as in \"@every 90s\""
                    .into());
            }
        };
        return if words.len() == 1 { Ok(fields) } else { Err(format!("{first} stands alone")) };
    }
    let (seconds, rest, years) = match words[..] {
        [_, _, _, _, _] => (None, &words[..], None),
        [second, _, _, _, _, _] => (Some(second), &words[1..], None),
        [second, _, _, _, _, _, year] => (Some(second), &words[1..6], Some(year)),
        _ => {
            return Err(format!(
                "it has {} fields; write 5 (minute hour day month weekday), 6 (second first) or \
                 7 (year last)",
                words.len()
            ));
        }
    };
    let read = |kind, text| Field::read(kind, text).map_err(|error| error.to_string());
    Ok([
        seconds.map_or(Ok(zero()), |text| read(&SECOND, text))?,
        read(&MINUTE, rest[0])?,
        read(&HOUR, rest[1])?,
        read(&DAY, rest[2])?,
        read(&MONTH, rest[3])?,
        read(&WEEKDAY, rest[4])?,
        years.map_or(Ok(any()), |text| read(&YEAR, text))?,
    ])
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}
