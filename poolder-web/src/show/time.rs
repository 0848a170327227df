//! Times as people say them: a length in at most two units, a moment from now, a clock in UTC.

use std::time::Duration;

use chrono::{DateTime, Utc};
use poolder_client::words;
use poolder_core::Timestamp;

use super::escape::escaped;

/// Returns a length of time: `240 ms`, `19 s`, `3 min 40 s`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_millis() {
        0 => "under 1 ms".into(),
        _ => words::span(time),
    }
}

/// Returns a length of time of the history.
pub(crate) fn micros(micros: u64) -> String {
    span(Duration::from_micros(micros))
}

/// Returns how far a moment is from now: `in 4 s`, `12 min ago`.
pub(crate) fn from_now(at: Timestamp, now: Timestamp) -> String {
    match (at.since(now), now.since(at)) {
        (future, _) if future >= Duration::from_secs(1) => format!("in {}", span(future)),
        (_, past) if past >= Duration::from_secs(1) => format!("{} ago", span(past)),
        _ => "now".into(),
    }
}

/// Returns the markup of a moment from now, with the moment itself as its title.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    time_element(at, &from_now(at, now))
}

/// Returns the markup of a text about a moment, with the moment itself as its title.
pub(crate) fn time_element(at: Timestamp, text: &str) -> String {
    match utc(at) {
        Some(time) => format!(
            "<time datetime=\"{}\" title=\"{}\">{}</time>",
            time.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
            time.format("%Y-%m-%d %H:%M:%S%.3f UTC"),
            escaped(text)
        ),
        None => escaped(text),
    }
}

/// Returns the time of day: `15:17:49`.
pub(crate) fn clock(at: Timestamp) -> String {
    format(at, "%H:%M:%S")
}

/// Returns the time of day and, where the range is longer than a day, the date, for an axis.
pub(crate) fn tick(at: Timestamp, range: Duration) -> String {
    let day = Duration::from_secs(86_400);
    format(at, if range > day { "%b %-d" } else { "%H:%M" })
}

/// Returns the whole moment: `2026-11-30 15:17:49 UTC`.
pub(crate) fn full(at: Timestamp) -> String {
    format(at, "%Y-%m-%d %H:%M:%S UTC")
}

fn format(at: Timestamp, form: &str) -> String {
    utc(at).map_or_else(|| at.to_string(), |time| time.format(form).to_string())
}

fn utc(at: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(at.millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_two_units() {
        let said = |millis| span(Duration::from_millis(millis));
        assert_eq!(
            [0, 240, 1_999, 220_000, 3_600_000, 90_000_000].map(said).join(" | "),
            "under 1 ms | 240 ms | 1 s | 3 min 40 s | 1 h | 1 d 1 h"
        );
        let at = Timestamp::from_millis;
        assert_eq!(from_now(at(4_000), at(0)), "in 4 s");
        assert_eq!(from_now(at(0), at(60_000)), "1 min ago");
        assert_eq!(from_now(at(0), at(400)), "now");
        assert_eq!(
            moment(at(1_774_830_600_007), at(1_774_830_600_000)),
            "<time datetime=\"2026-03-30T00:30:00.007Z\" title=\"2026-03-30 00:30:00.007 UTC\">now</time>"
        );
        assert_eq!(clock(at(1_774_830_600_007)), "00:30:00");
        assert!(!full(at(i64::MAX)).is_empty() && !moment(at(i64::MIN), at(0)).is_empty());
    }
}
