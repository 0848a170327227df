//! Times and numbers as a person says them.

use std::time::Duration;

use poolder_core::Timestamp;
use serde::{Serialize, Serializer};

/// The units of a time, the greatest first: its name and its milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// Returns a number with commas between its thousands: `1,204,331`.
#[must_use]
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a time in its two greatest units: `3 min 40 s`, `1 d`, `250 ms`.
#[must_use]
pub fn span(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let Some(first) = UNITS.iter().position(|(_, unit)| millis >= *unit) else {
        return "0 s".into();
    };
    let (name, unit) = UNITS[first];
    let mut text = format!("{} {name}", millis / unit);
    // Milliseconds are said of times below a second only.
    if let Some((name, smaller)) = UNITS.get(first + 1).filter(|(name, _)| *name != "ms")
        && millis % unit >= *smaller
    {
        text.push_str(&format!(" {} {name}", millis % unit / smaller));
    }
    text
}

/// Names a group of jobs: `group acme`.
pub(crate) fn group_named(group: &str) -> String {
    match group {
        "" => "the group of jobs without one".to_owned(),
        name => format!("group {name}"),
    }
}

/// Returns `in 5 s`, `5 s ago` or `now`.
pub(crate) fn when(at: Timestamp, now: Timestamp) -> String {
    match (at.since(now), now.since(at)) {
        (Duration::ZERO, Duration::ZERO) => "now".into(),
        (Duration::ZERO, past) => format!("{} ago", span(past)),
        (future, _) => format!("in {}", span(future)),
    }
}

/// Returns a number of bytes in its greatest unit: `812 B`, `1.5 KiB`, `3.0 GiB`.
#[must_use]
pub fn memory(bytes: u64) -> String {
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1_024.0;
    let mut at = 0;
    while value >= 1_024.0 && at + 1 < units.len() {
        value /= 1_024.0;
        at += 1;
    }
    format!("{value:.1} {}", units[at])
}

/// Returns a number with its noun: `1 job`, `1,200 jobs`, `0 entries`, `3 crashes`.
#[must_use]
pub fn many(count: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if count == 1 => format!("1 {noun}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{} {stem}ies", number(count)),
        _ if noun.ends_with("sh") || noun.ends_with("ch") => format!("{} {noun}es", number(count)),
        _ => format!("{} {noun}s", number(count)),
    }
}

/// Returns a number with its noun and a verb: `1 job waits`, `2 jobs wait`.
#[must_use]
pub fn many_do(count: u64, noun: &str, verb: &str) -> String {
    format!("{} {verb}{}", many(count, noun), if count == 1 { "s" } else { "" })
}

/// Serializes a time as milliseconds; `null` for none.
#[expect(clippy::ref_option, reason = "serde calls it with a reference")]
pub(crate) fn as_millis<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let millis = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    millis.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_two_units() {
        let said = |millis| span(Duration::from_millis(millis));
        assert_eq!(
            [0, 250, 1_000, 1_999, 61_000, 220_000, 3_600_000, 90_000_000].map(said),
            ["0 s", "250 ms", "1 s", "1 s", "1 min 1 s", "3 min 40 s", "1 h", "1 d 1 h"]
        );
        assert!(span(Duration::MAX).ends_with('h') || span(Duration::MAX).ends_with('d'));
        let at = Timestamp::from_millis;
        assert_eq!(when(at(5_000), at(0)), "in 5 s");
        assert_eq!(when(at(0), at(5_000)), "5 s ago");
        assert_eq!(when(at(7), at(7)), "now");
        assert_eq!(
            [0, 999, 1_000, 12_403, u64::MAX].map(number).join(" "),
            "0 999 1,000 12,403 18,446,744,073,709,551,615"
        );
        let said = [many(1, "job"), many(0, "job"), many(2, "entry"), many(3, "crash")];
        assert_eq!(said, ["1 job", "0 jobs", "2 entries", "3 crashes"]);
        assert_eq!([7, 1_536, 3 << 30].map(memory), ["7 B", "1.5 KiB", "3.0 GiB"]);
        assert_eq!([many(2_000, "batch"), many(2, "key")], ["2,000 batches", "2 keys"]);
        assert_eq!(many_do(1, "job", "wait"), "1 job waits");
    }
}
