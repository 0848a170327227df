//! The timing of a schedule: a cron expression, or an interval.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Expression, InvalidTiming, MAX_SPAN, Zone, shown, span};

/// The shortest interval. Work that is needed more often should not be a separate job each time.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The timing of a schedule.
///
/// A text that starts with a digit and is a length of time (`"90s"`, `"1h 30m"`), or `@every`
/// before one, is an interval; every other text is a cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timing {
    /// The schedule fires at the moments that match a cron expression.
    Cron(Expression),
    /// The schedule fires at this interval, counted from an origin.
    Every(Duration),
}

/// The most by which an origin may lie ahead.
const MAX_AHEAD_MS: i64 = 3_600_000;

impl Timing {
    /// Makes an interval. A fraction of a millisecond is cut off.
    ///
    /// # Errors
    /// Returns an error when the interval is shorter than [`MIN_INTERVAL`] or longer than
    /// [`MAX_SPAN`].
    pub fn every(interval: Duration) -> Result<Self, InvalidTiming> {
        if interval < MIN_INTERVAL {
            return Err(InvalidTiming::new(format!(
                "an interval of {interval:?} is too short: use {MIN_INTERVAL:?} or more"
            )));
        }
        if interval > MAX_SPAN {
            return Err(InvalidTiming::new("an interval above 100 years is too long"));
        }
        // Ticks count whole milliseconds.
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        Ok(Self::Every(Duration::from_millis(millis)))
    }

    /// Returns the first moment after `after_ms` at which the timing fires. An interval counts from
    /// `origin_ms`, and does not fire at the origin itself. An origin that lies more than an hour after
    /// `after_ms` was set by a clock that was ahead: the interval then fires before it, too.
    #[must_use]
    pub fn next(&self, zone: Zone, origin_ms: i64, after_ms: i64) -> Option<i64> {
        match self {
            Self::Cron(expression) => expression.next(zone, after_ms),
            Self::Every(interval) => {
                let step = i64::try_from(interval.as_millis()).ok().filter(|step| *step > 0)?;
                let passed = after_ms.saturating_sub(origin_ms);
                let passed = if passed < -MAX_AHEAD_MS { passed } else { passed.max(0) };
                (passed.div_euclid(step) + 1).checked_mul(step)?.checked_add(origin_ms)
            }
        }
    }
}

impl FromStr for Timing {
    type Err = InvalidTiming;

    fn from_str(text: &str) -> Result<Self, InvalidTiming> {
        let text = text.trim();
        let interval = |text: &str| {
            let read = span(text).map_err(|why| {
                InvalidTiming::new(format!("{:?} is no interval: {why}", shown(text)))
            })?;
            Self::every(read)
        };
        if let Some(rest) = text.strip_prefix("@every") {
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                return Err(InvalidTiming::new(format!(
                    "{:?} is no interval: write a space after @every, as in \"@every 90s\"",
                    shown(text)
                )));
            }
            return interval(rest.trim());
        }
        let is_interval = text.starts_with(|c: char| c.is_ascii_digit())
            && text.ends_with(|c: char| c.is_ascii_alphabetic())
            && !text.contains(['*', ',', '/', '-', '?'])
            && text.split_whitespace().count() < 5;
        if is_interval {
            return interval(text);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidTiming::new(format!(
                "{:?} has no unit: write an interval such as \"{}ms\" or \"90s\"",
                shown(text),
                shown(text)
            )));
        }
        text.parse().map(Self::Cron)
    }
}

impl TryFrom<&str> for Timing {
    type Error = InvalidTiming;

    fn try_from(text: &str) -> Result<Self, InvalidTiming> {
        text.parse()
    }
}

impl TryFrom<String> for Timing {
    type Error = InvalidTiming;

    fn try_from(text: String) -> Result<Self, InvalidTiming> {
        text.parse()
    }
}

impl TryFrom<Duration> for Timing {
    type Error = InvalidTiming;

    fn try_from(interval: Duration) -> Result<Self, InvalidTiming> {
        Self::every(interval)
    }
}

impl TryFrom<u64> for Timing {
    type Error = InvalidTiming;

    /// Makes an interval of this many milliseconds.
    fn try_from(millis: u64) -> Result<Self, InvalidTiming> {
        Self::every(Duration::from_millis(millis))
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(expression) => expression.fmt(f),
            Self::Every(interval) => {
                // Shown in the largest unit that leaves no remainder.
                let ms = interval.as_millis();
                let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
                match units.into_iter().find(|(unit, _)| ms >= *unit && ms % unit == 0) {
                    Some((unit, name)) => write!(f, "{}{name}", ms / unit),
                    None => write!(f, "{ms}ms"),
                }
            }
        }
    }
}
