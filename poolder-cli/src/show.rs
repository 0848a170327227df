//! Output: tables for people, JSON for programs.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use poolder_core::Timestamp;
use serde_json::Value;

/// The text for a missing value in a table.
pub(crate) const NOTHING: &str = "-";

/// Returns a table with aligned columns. Cells that are missing at the end of a row stay empty.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).chain([heads[at].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut out = String::new();
    let mut line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(heads.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
    out
}

/// Returns indented JSON, which people can read, too.
pub(crate) fn json(value: &Value) -> String {
    format!("{value:#}\n")
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
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".into(), "ünlimited".into()], vec!["long".into(), "b".into()]];
        assert_eq!(table(&["N", "TIMING"], &rows), "N     TIMING\na     ünlimited\nlong  b\n");
    }

    #[test]
    fn moments_are_shown_in_utc() {
        let at = Timestamp::from_millis(1_774_830_600_007);
        assert_eq!(moment(at), "2026-03-30T00:30:00.007Z");
        assert_eq!(second(Some(at)), "2026-03-30T00:30:00Z");
        assert_eq!(second(None), "-");
    }
}
