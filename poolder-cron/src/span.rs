//! Parses lengths of time: `"500ms"`, `"1m 30s"`, `"1d"`.

use std::time::Duration;

/// The units and their milliseconds, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest length of time, 100 years: long enough for every use, and safe to add to any
/// timestamp.
pub const MAX_SPAN: Duration = Duration::from_secs(36_500 * 86_400);

/// Parses a length of time: numbers with units, each unit once and the largest first.
///
/// # Errors
/// Returns the reason why the text is no length of time, worded as the end of a sentence.
pub fn span(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("the text is empty".to_owned());
    }
    let mut total = 0_u64;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (digits, after) = cut(rest, |c| c.is_ascii_digit());
        let (unit, after) = cut(after, char::is_alphabetic);
        if digits.is_empty() {
            return Err(format!("a number is missing before {:?}", crate::shown(rest)));
        }
        if unit.is_empty() {
            return Err(match after.chars().next() {
                Some('.' | ',') => {
                    r#"write a fraction in a smaller unit, as in "1s 500ms""#.to_owned()
                }
                _ => format!("a unit is missing after {digits}; use d, h, m, s or ms"),
            });
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("{unit:?} is no unit; use d, h, m, s or ms"));
        };
        if *factor >= last {
            return Err("use each unit once, the largest first".to_owned());
        }
        let number: u64 = digits.parse().map_err(|_| too_long())?;
        total = number
            .checked_mul(*factor)
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(too_long)?;
        last = *factor;
        rest = after.trim_start();
    }
    let total = Duration::from_millis(total);
    if total <= MAX_SPAN { Ok(total) } else { Err(too_long()) }
}

fn too_long() -> String {
    "this is longer than 100 years (36500d)".to_owned()
}

/// Splits the text after its first characters that pass the test.
fn cut(text: &str, passes: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !passes(c)).unwrap_or(text.len()))
}
