//! The recorded instructions per job, and the comparison with them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Returns the share by which a count may exceed the baseline. Repeated counts lie within 0.5 % of
/// their mean, also on a busy machine. Those of `run` spread over nearly 2 %, since the clock
/// decides how many beats and depths its node asks for.
pub fn tolerance(what: &str) -> f64 {
    if matches!(what, "run" | "run-metrics") { 0.05 } else { 0.02 }
}

/// The share by which metrics may make an operation dearer than it is without them.
const METRICS_SHARE: f64 = 0.01;

/// An operation with metrics beside the same one without.
#[derive(Debug)]
pub struct WithMetrics {
    pub what: String,
    change: f64,
}

impl WithMetrics {
    /// Returns true when the metrics cost too much.
    pub fn is_worse(&self) -> bool {
        self.change > METRICS_SHARE
    }
}

impl fmt::Display for WithMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (change, most) = (self.change * 100.0, METRICS_SHARE * 100.0);
        write!(f, "{} with metrics: {change:+.1} %, at most +{most:.0} %", self.what)
    }
}

/// Puts each operation that is counted with metrics, as `NAME-metrics`, beside the one without.
pub fn with_metrics(now: &Counts) -> Vec<WithMetrics> {
    let pair = |(name, with): (&String, &u64)| {
        let what = name.strip_suffix("-metrics")?;
        let change = *with as f64 / *now.get(what)? as f64 - 1.0;
        Some(WithMetrics { what: what.to_owned(), change })
    };
    now.iter().filter_map(pair).collect()
}

/// Operation → instructions per job.
pub type Counts = BTreeMap<String, u64>;

/// The content of the baseline's file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// Instructions of the client, by toolchain.
    pub client: BTreeMap<String, Counts>,
    /// Instructions of the server, by server.
    pub server: BTreeMap<String, Counts>,
}

impl Baseline {
    /// Reads the file. A missing file is an empty baseline.
    pub fn read(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")
    }
}

/// An operation's count beside its baseline.
#[derive(Debug)]
pub struct Row {
    pub what: String,
    now: u64,
    before: Option<u64>,
}

impl Row {
    /// Returns the relative change; `None` when there is no baseline.
    fn change(&self) -> Option<f64> {
        self.before.map(|before| self.now as f64 / before as f64 - 1.0)
    }

    pub fn is_worse(&self) -> bool {
        self.change().is_some_and(|change| change > tolerance(&self.what))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13} {:>7}", self.what, self.now)?;
        let (Some(before), Some(change)) = (self.before, self.change()) else { return Ok(()) };
        write!(f, "  baseline {before:>7}  {:+.1} %", change * 100.0)?;
        if change < -tolerance(&self.what) {
            f.write_str("  --record keeps the gain")?;
        }
        Ok(())
    }
}

/// Puts counts beside those of a baseline.
pub fn compare(before: Option<&Counts>, now: &Counts) -> Vec<Row> {
    let row = |(what, now): (&String, &u64)| {
        let before = before.and_then(|before| before.get(what)).copied();
        Row { what: what.clone(), now: *now, before }
    };
    now.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        pairs.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
    }

    #[test]
    fn only_more_than_the_tolerance_is_worse() {
        let before = counts(&[("a", 1000), ("b", 1000), ("c", 1000), ("run", 1000)]);
        let now = counts(&[("a", 1019), ("b", 1021), ("c", 500), ("run", 1049)]);
        let rows = compare(Some(&before), &now);
        let worse: Vec<_> = rows.iter().map(|row| (row.what.as_str(), row.is_worse())).collect();
        assert_eq!(worse, [("a", false), ("b", true), ("c", false), ("run", false)]);
    }

    #[test]
    fn metrics_may_make_an_operation_a_hundredth_dearer() {
        let of = |with| with_metrics(&counts(&[("run", 1000), ("run-metrics", with), ("a", 7)]));
        for (with, worse) in [(900, false), (1009, false), (1011, true)] {
            let found = of(with);
            assert_eq!((found.len(), found[0].is_worse()), (1, worse), "{with}");
        }
        assert_eq!(of(1005)[0].to_string(), "run with metrics: +0.5 %, at most +1 %");
    }

    #[test]
    fn operations_without_a_baseline_are_shown_and_never_worse() {
        let now = counts(&[("new", 7)]);
        for before in [None, Some(counts(&[("old", 1)]))] {
            let rows = compare(before.as_ref(), &now);
            assert_eq!(rows.len(), 1);
            assert!(!rows[0].is_worse());
            assert_eq!(rows[0].to_string(), "new                 7");
        }
    }

    #[test]
    fn changes_are_shown_in_percent() {
        let before = counts(&[("a", 1000), ("b", 1000)]);
        let rows = compare(Some(&before), &counts(&[("a", 1015), ("b", 900)]));
        let lines: Vec<_> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(lines[0], "a                1015  baseline    1000  +1.5 %");
        assert_eq!(
            lines[1],
            "b                 900  baseline    1000  -10.0 %  --record keeps the gain"
        );
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let name = format!("poolder-baseline-{}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        assert!(Baseline::read(&path).unwrap().client.is_empty());
        let mut baseline = Baseline::default();
        baseline.client.insert("rustc".into(), counts(&[("run", 3)]));
        baseline.server.insert("Valkey".into(), counts(&[("push", 4)]));
        baseline.write(&path).unwrap();
        let read = Baseline::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((read.client, read.server), (baseline.client, baseline.server));
    }
}
