//! Counts the jobs whose kind or version no worker of a pool knows, and says how many there were at
//! most once a minute: during a rolling deploy there may be thousands a second.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use poolder_core::{Envelope, Partition};
use tokio::time::Instant;

/// The least time between two log lines of a pool.
const INTERVAL: Duration = Duration::from_secs(60);
/// Limits how many kinds are counted one by one.
const MAX_KINDS: usize = 32;

/// The jobs that a pool could not run since its last log line.
#[derive(Default)]
pub(super) struct UnknownKinds {
    state: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Kind and version → number of jobs.
    kinds: BTreeMap<(String, u16), u64>,
    /// The number of jobs of further kinds.
    others: u64,
    logged_at: Option<Instant>,
}

impl UnknownKinds {
    /// Counts a job. Logs the counts when the last line is a minute old.
    pub(super) fn note(&self, partition: &Partition, envelope: &Envelope) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = match envelope.unknown_requirement() {
            Some(option) => &format!("{} with the unknown option {option}", envelope.kind()),
            None => envelope.kind(),
        };
        state.count(kind, envelope.version());
        let Some(kinds) = state.summary(Instant::now()) else { return };
        drop(state);
        tracing::warn!(
            %partition, kinds,
            "no worker here for these kinds and versions, their jobs wait for another node"
        );
    }
}

impl Counts {
    fn count(&mut self, kind: &str, version: u16) {
        let key = (kind.to_owned(), version);
        if self.kinds.len() < MAX_KINDS || self.kinds.contains_key(&key) {
            *self.kinds.entry(key).or_default() += 1;
        } else {
            self.others += 1;
        }
    }

    /// Returns the counts as text and begins to count anew, if the last line is a minute old.
    fn summary(&mut self, now: Instant) -> Option<String> {
        if self.logged_at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return None;
        }
        self.logged_at = Some(now);
        let mut text = String::new();
        for ((kind, version), jobs) in std::mem::take(&mut self.kinds) {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{kind} v{version}: {jobs}");
        }
        if self.others > 0 {
            let _ = write!(text, ", others: {}", std::mem::take(&mut self.others));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_job_is_logged_and_then_the_counts_of_each_minute() {
        let (mut counts, start) = (Counts::default(), Instant::now());
        counts.count("mail", 2);
        assert_eq!(counts.summary(start).as_deref(), Some("mail v2: 1"));
        for _ in 0..3 {
            counts.count("mail", 2);
            counts.count("media", 1);
            assert_eq!(counts.summary(start + INTERVAL / 2), None);
        }
        let summary = counts.summary(start + INTERVAL);
        assert_eq!(summary.as_deref(), Some("mail v2: 3, media v1: 3"));
        assert_eq!(counts.summary(start + INTERVAL), None);
    }

    #[tokio::test]
    async fn invented_kinds_fill_no_memory() {
        let mut counts = Counts::default();
        for number in 0..1_000 {
            counts.count(&format!("k{number:04}"), 1);
        }
        assert_eq!(counts.kinds.len(), MAX_KINDS);
        let summary = counts.summary(Instant::now()).unwrap();
        assert!(summary.ends_with("others: 968"), "{summary}");
    }
}
