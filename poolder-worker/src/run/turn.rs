//! Measures the run times of a slot's attempts with as few readings of the clock as possible:
//! handlers that return at once share one reading, and only one that waits is measured by itself.

use poolder_core::history::AttemptEnd;
use tokio::time::Instant;

use crate::process::meter::{KindNumber, Sample};

/// The number of attempts that a slot runs in a row before it yields to other tasks, and that share
/// a reading of the clock. The runtime itself forces a yield after 128 steps of a task.
const MAX_ATTEMPTS: usize = 16;

/// The attempts of a slot since its last reading of the clock.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The last reading.
    since: Instant,
    ended: Vec<(KindNumber, AttemptEnd)>,
}

impl Turn {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, ended: Vec::with_capacity(MAX_ATTEMPTS) }
    }

    /// Begins to measure, after the slot has waited for a job.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// Records that an attempt has ended.
    pub(super) fn ended(&mut self, kind: KindNumber, end: AttemptEnd) {
        self.ended.push((kind, end));
    }

    /// Returns the number of attempts that have ended since the last reading.
    pub(super) fn len(&self) -> usize {
        self.ended.len()
    }

    /// Returns true when the clock must be read before the next attempt.
    pub(super) fn is_full(&self) -> bool {
        self.ended.len() >= MAX_ATTEMPTS
    }

    /// Measures the first `ended` attempts, behind which another one began that waited for the first
    /// time at `now`: up to then, all of them ran equally long.
    pub(super) fn waited(&mut self, ended: usize, now: Instant, out: &mut Vec<Sample>) {
        let ended = ended.min(self.ended.len());
        let share = self.share(now, ended + 1);
        out.extend(self.ended.drain(..ended).map(|(kind, end)| sample(kind, end, share)));
        self.since = now.checked_sub(share).unwrap_or(now);
    }

    /// Measures all attempts, the last of which ended at `now`.
    pub(super) fn close(&mut self, now: Instant, out: &mut Vec<Sample>) {
        let share = self.share(now, self.ended.len());
        out.extend(self.ended.drain(..).map(|(kind, end)| sample(kind, end, share)));
        self.since = now;
    }

    fn share(&self, now: Instant, among: usize) -> std::time::Duration {
        let among = u32::try_from(among.max(1)).unwrap_or(u32::MAX);
        now.saturating_duration_since(self.since) / among
    }
}

fn sample(kind: KindNumber, end: AttemptEnd, took: std::time::Duration) -> Sample {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    Sample::Ended(kind, end, end.is_timed().then_some(micros))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::meter::QueueMeter;

    fn micros(samples: &[Sample]) -> Vec<Option<u64>> {
        let time = |sample: &Sample| match sample {
            Sample::Ended(_, _, micros) => *micros,
            other => panic!("{other:?}"),
        };
        samples.iter().map(time).collect()
    }

    #[test]
    fn attempts_that_return_at_once_share_the_time_of_the_turn() {
        let (kind, start) = (QueueMeter::default().number("k"), Instant::now());
        let (mut turn, mut out) = (Turn::new(start), vec![]);
        for _ in 0..MAX_ATTEMPTS {
            assert!(!turn.is_full());
            turn.ended(kind, AttemptEnd::Done);
        }
        assert!(turn.is_full());
        let end = start + Duration::from_micros(160);
        turn.close(end, &mut out);
        assert_eq!(micros(&out), [Some(10); MAX_ATTEMPTS]);
        out.clear();
        turn.ended(kind, AttemptEnd::HandedBack);
        turn.close(end + Duration::from_micros(50), &mut out);
        assert_eq!(micros(&out), [None], "it did not run to its end");
    }

    #[test]
    fn an_attempt_that_waits_is_measured_by_itself() {
        let (kind, start) = (QueueMeter::default().number("k"), Instant::now());
        let (mut turn, mut out) = (Turn::new(start), vec![]);
        turn.ended(kind, AttemptEnd::Done);
        turn.ended(kind, AttemptEnd::Failed);
        let (waits, end) = (start + Duration::from_micros(30), start + Duration::from_secs(1));
        turn.ended(kind, AttemptEnd::Done);
        turn.waited(2, waits, &mut out);
        assert_eq!((micros(&out), turn.len()), (vec![Some(10), Some(10)], 1));
        out.clear();
        turn.close(end, &mut out);
        assert_eq!(micros(&out), [Some(1_000_000 - 20)]);
        turn.begin(end);
        turn.close(start, &mut out);
        assert_eq!((out.len(), turn.len()), (1, 0), "a clock that goes back counts nothing");
    }
}
