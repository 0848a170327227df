//! Numbers as people read them.

pub(crate) use poolder_client::words::{many, memory as bytes, number};

/// The sign for a number that is not known.
pub(crate) const UNKNOWN: &str = "–";

/// Returns a rate per second: `1,284`, `6.2`, `0.04`.
pub(crate) fn rate(value: f64) -> String {
    match value {
        value if !value.is_finite() || value <= 0.0 => "0".into(),
        value if value < 0.1 => format!("{value:.2}"),
        value if value < 10.0 => trimmed(&format!("{value:.1}")),
        value => number(value.round() as u64),
    }
}

/// Returns a part of a whole in percent: `0.81 %`, `0`, `12 %`.
pub(crate) fn percent(part: f64) -> String {
    match part * 100.0 {
        value if !value.is_finite() || value <= 0.0 => "0".into(),
        value if value < 0.01 => "< 0.01 %".into(),
        value if value < 10.0 => format!("{} %", trimmed(&format!("{value:.2}"))),
        value => format!("{value:.0} %"),
    }
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact() {
        assert_eq!([0, 999, 1_000, 1_204_331].map(number).join(" "), "0 999 1,000 1,204,331");
        assert_eq!(
            [0.0, 0.044, 1.0, 6.24, 1_283.6, f64::NAN].map(rate).join(" "),
            "0 0.04 1 6.2 1,284 0"
        );
        assert_eq!(
            [0.0, 0.000_01, 0.008_1, 0.12, f64::INFINITY].map(percent).join(" | "),
            "0 | < 0.01 % | 0.81 % | 12 % | 0"
        );
        assert_eq!([0, 1_536, 3 << 30].map(bytes).join(" | "), "0 B | 1.5 KiB | 3.0 GiB");
        assert_eq!(
            [many(1, "job"), many(2_000, "entry"), many(3, "batch"), many(2, "key")].join(" "),
            "1 job 2,000 entries 3 batches 2 keys"
        );
    }
}
