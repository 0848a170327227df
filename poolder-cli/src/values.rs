//! Values of arguments that several commands have.

use chrono::DateTime;
use clap::ValueEnum;
use poolder_core::{Lane, Timestamp};

/// A lane into which jobs can be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LaneName {
    High,
    Normal,
    Low,
}

impl From<LaneName> for Lane {
    fn from(name: LaneName) -> Self {
        match name {
            LaneName::High => Self::High,
            LaneName::Normal => Self::Normal,
            LaneName::Low => Self::Low,
        }
    }
}

/// Reads a moment in the form of RFC 3339.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let read = DateTime::parse_from_rfc3339(text);
    let read = read.map_err(|why| format!("{why}: write it such as 2026-12-01T08:00:00Z"))?;
    Ok(Timestamp::from_millis(read.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_or_refused_with_what_to_write() {
        let at = moment("2026-12-01T08:00:00+01:00").unwrap();
        assert_eq!(at, moment("2026-12-01T07:00:00Z").unwrap());
        assert!(moment("tomorrow").unwrap_err().contains("2026-12-01T08:00:00Z"));
    }
}
