//! Numbers, durations, moments and foreign text, as tables and lines show them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
pub(crate) use poolder_client::words::{memory as bytes, number};
use poolder_core::Timestamp;

/// The text for a missing value.
pub(crate) const NOTHING: &str = "-";

/// Returns a text on one line that is safe to print: each run of white space is one space, and
/// other control characters, and those that change the direction of text, are written as escapes.
/// Texts of jobs and errors come from outside, and could otherwise drive the terminal.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(safe).collect();
    words.join(" ")
}

/// Returns the lines of a text, each safe to print as [`one_line`] makes it, with its spaces.
pub(crate) fn safe_lines(text: &str) -> String {
    text.lines().map(|line| safe(line) + "\n").collect()
}

fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        match c.is_control() || turns {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

/// Returns at most this many characters of a text; three dots in one character stand for the rest.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Returns a number, and a dash for 0.
pub(crate) fn count(value: u64) -> String {
    if value == 0 { NOTHING.to_owned() } else { number(value) }
}

/// Returns a duration in its two largest units: `250ms`, `9s`, `3m40s`, `2h5m`, `6d4h`.
pub(crate) fn duration(of: Duration) -> String {
    let seconds = of.as_secs();
    let two = |large: u64, first: &str, small: u64, second: &str| match small {
        0 => format!("{large}{first}"),
        small => format!("{large}{first}{small}{second}"),
    };
    match seconds {
        0 => format!("{}ms", of.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// Returns a moment in the form of RFC 3339, in UTC, to the millisecond.
pub(crate) fn moment(at: Timestamp) -> String {
    match DateTime::from_timestamp_millis(at.millis()) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => at.to_string(),
    }
}

/// Returns a moment to the second, in UTC; a dash for `None`.
pub(crate) fn second(at: Option<Timestamp>) -> String {
    let time = at.and_then(|at| DateTime::from_timestamp_millis(at.millis()));
    time.map_or(NOTHING.into(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(one_line("a\n b\t c"), "a b c");
        assert_eq!(one_line("\u{1b}[2Jx\u{7}\u{202e}y"), r"\u{1b}[2Jx\u{7}\u{202e}y");
        assert_eq!(one_line("grün ≥ 5"), "grün ≥ 5");
        assert_eq!(one_line(" \r\n"), "");
        assert_eq!(safe_lines("a\n  b\u{1b}[2J\n"), "a\n  b\\u{1b}[2J\n");
    }

    #[test]
    fn numbers_and_durations_are_short() {
        assert_eq!((count(0), count(7)), ("-".into(), "7".into()));
        assert_eq!((cut("abc", 3), cut("äbcd", 3)), ("abc".into(), "äb…".into()));
        let shown = |ms: u64| duration(Duration::from_millis(ms));
        assert_eq!(
            [0, 250, 9_900, 220_000, 3_600_000, 7_500_000, 532_800_000].map(shown).join(" "),
            "0ms 250ms 9s 3m40s 1h 2h5m 6d4h"
        );
        assert!(duration(Duration::MAX).ends_with('h'));
        assert_eq!(
            [0, 1_023, 1_536, 3 << 30, u64::MAX].map(bytes).join(" | "),
            "0 B | 1023 B | 1.5 KiB | 3.0 GiB | 16777216.0 TiB"
        );
    }

    #[test]
    fn moments_are_shown_in_utc() {
        let at = Timestamp::from_millis(1_774_830_600_007);
        assert_eq!(moment(at), "2026-03-30T00:30:00.007Z");
        assert_eq!(second(Some(at)), "2026-03-30T00:30:00Z");
        assert_eq!(second(None), "-");
    }
}
