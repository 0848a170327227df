//! The counters of one kind of job in a process.

use super::buckets::{BUCKETS, bucket};
use crate::job::{Cause, Outcome};
use crate::policy::decide::Ending;

/// The way in which an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// The handler has done its work.
    Done,
    /// The handler returned an error.
    Failed,
    /// The attempt took longer than its timeout.
    Timeout,
    /// The handler panicked.
    Panic,
    /// The payload, or the whole entry, could not be read.
    Payload,
    /// The node died during the attempt. Counted by the node that takes the job back.
    Crashed,
    /// The handler put the job off.
    Snoozed,
    /// The job was cancelled, by its handler or by an operator, or did not start in time.
    Cancelled,
    /// The node released the job before its end, or before its start.
    HandedBack,
    /// No worker of the node knows the kind or its version.
    NotForUs,
}

impl AttemptEnd {
    /// All ends, in the order of their indices in [`KindSums`].
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Failed,
        Self::Timeout,
        Self::Panic,
        Self::Payload,
        Self::Crashed,
        Self::Snoozed,
        Self::Cancelled,
        Self::HandedBack,
        Self::NotForUs,
    ];

    /// Returns how an attempt has ended.
    #[must_use]
    pub fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Outcome(Outcome::Snooze(_) | Outcome::Limited(_)) => Self::Snoozed,
            Ending::Outcome(Outcome::Cancel(_)) | Ending::Cancelled | Ending::Expired => {
                Self::Cancelled
            }
            Ending::Outcome(_) => Self::Done,
            Ending::Failed(failure, _) => match failure.cause {
                Cause::Error => Self::Failed,
                Cause::Timeout => Self::Timeout,
                Cause::Panic => Self::Panic,
                Cause::Payload | Cause::Undecodable => Self::Payload,
                Cause::Crash => Self::Crashed,
            },
            Ending::UnknownKind => Self::NotForUs,
            Ending::Released => Self::HandedBack,
            Ending::Crashed(_) => Self::Crashed,
        }
    }

    /// Returns the name: `done`, `failed`, `timeout`, `panic`, `payload`, `crashed`, `snoozed`,
    /// `cancelled`, `handed_back` or `not_for_us`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Payload => "payload",
            Self::Crashed => "crashed",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::HandedBack => "handed_back",
            Self::NotForUs => "not_for_us",
        }
    }

    /// Returns true for an attempt of which the run time is counted: its handler was not interrupted
    /// by the node, and the node has lived on.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        !matches!(self, Self::Crashed | Self::HandedBack | Self::NotForUs)
    }
}

/// The counters of one kind of job. They only grow.
///
/// ```
/// use poolder_core::history::{AttemptEnd, KindSums};
///
/// let mut sums = KindSums::default();
/// sums.add_wait(1_500);
/// sums.add_attempt(AttemptEnd::Done, Some(250));
/// assert_eq!((sums.ended(AttemptEnd::Done), sums.run_micros(), sums.wait_micros()), (1, 250, 1_500));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindSums {
    ended: [u64; AttemptEnd::ALL.len()],
    died: u64,
    run_micros: u64,
    wait_micros: u64,
    run: [u64; BUCKETS],
    wait: [u64; BUCKETS],
}

impl Default for KindSums {
    fn default() -> Self {
        let (ended, buckets) = ([0; AttemptEnd::ALL.len()], [0; BUCKETS]);
        Self { ended, died: 0, run_micros: 0, wait_micros: 0, run: buckets, wait: buckets }
    }
}

impl KindSums {
    /// Counts an attempt, with its run time in microseconds if that is known.
    #[inline]
    pub fn add_attempt(&mut self, end: AttemptEnd, micros: Option<u64>) {
        self.ended[end as usize] += 1;
        if let Some(micros) = micros {
            self.run[bucket(micros)] += 1;
            self.run_micros = self.run_micros.saturating_add(micros);
        }
    }

    /// Counts the wait of a claimed job, in microseconds.
    #[inline]
    pub fn add_wait(&mut self, micros: u64) {
        self.wait[bucket(micros)] += 1;
        self.wait_micros = self.wait_micros.saturating_add(micros);
    }

    /// Counts a job that was buried.
    pub fn add_death(&mut self) {
        self.died += 1;
    }

    /// Returns the number of attempts that ended in this way.
    #[must_use]
    pub fn ended(&self, end: AttemptEnd) -> u64 {
        self.ended[end as usize]
    }

    /// Returns the number of attempts after which the job was buried.
    #[must_use]
    pub fn died(&self) -> u64 {
        self.died
    }

    /// Returns the sum of the run times, in microseconds.
    #[must_use]
    pub fn run_micros(&self) -> u64 {
        self.run_micros
    }

    /// Returns the sum of the times that jobs were ready before they were claimed, in microseconds.
    #[must_use]
    pub fn wait_micros(&self) -> u64 {
        self.wait_micros
    }

    /// Returns the number of run times by bucket.
    #[must_use]
    pub fn run(&self) -> &[u64; BUCKETS] {
        &self.run
    }

    /// Returns the number of waits by bucket.
    #[must_use]
    pub fn wait(&self) -> &[u64; BUCKETS] {
        &self.wait
    }

    /// Returns true when nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what was counted since an earlier reading of the same counters.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut sums = self.clone();
        for (now, before) in sums.fields_mut().zip(earlier.fields()) {
            *now = now.saturating_sub(before);
        }
        sums
    }

    /// Returns the fields in a fixed order.
    fn fields(&self) -> impl Iterator<Item = u64> {
        let sums = [self.died, self.run_micros, self.wait_micros];
        let lists = self.ended.iter().chain(&self.run).chain(&self.wait);
        sums.into_iter().chain(lists.copied())
    }

    fn fields_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let Self { ended, died, run_micros, wait_micros, run, wait } = self;
        [died, run_micros, wait_micros].into_iter().chain(ended).chain(run).chain(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::{Failure, Verdict};

    #[test]
    fn every_ending_is_counted_under_its_name() {
        let failed = |cause| Ending::Failed(Failure::new(cause, "no"), Verdict::Policy);
        let endings = [
            (Ending::Outcome(Outcome::Done), "done"),
            (Ending::Outcome(Outcome::StopPool), "done"),
            (failed(Cause::Error), "failed"),
            (failed(Cause::Timeout), "timeout"),
            (failed(Cause::Panic), "panic"),
            (failed(Cause::Payload), "payload"),
            (Ending::Crashed("node".into()), "crashed"),
            (Ending::Outcome(Outcome::Snooze(Duration::ZERO)), "snoozed"),
            (Ending::Outcome(Outcome::Cancel(String::new())), "cancelled"),
            (Ending::Cancelled, "cancelled"),
            (Ending::Expired, "cancelled"),
            (Ending::Released, "handed_back"),
            (Ending::UnknownKind, "not_for_us"),
        ];
        for (ending, name) in endings {
            assert_eq!(AttemptEnd::of(&ending).as_str(), name, "{ending:?}");
        }
        for (index, end) in AttemptEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, index);
        }
    }

    #[test]
    fn a_difference_has_what_came_since() {
        let mut sums = KindSums::default();
        assert!(sums.is_zero());
        sums.add_attempt(AttemptEnd::Failed, Some(70));
        let before = sums.clone();
        sums.add_attempt(AttemptEnd::Done, Some(70));
        sums.add_attempt(AttemptEnd::HandedBack, None);
        sums.add_wait(20);
        sums.add_death();
        let since = sums.since(&before);
        assert_eq!((since.ended(AttemptEnd::Failed), since.ended(AttemptEnd::Done)), (0, 1));
        assert_eq!((since.run()[4], since.wait()[1], since.died()), (1, 1, 1));
        assert_eq!((since.run_micros(), since.wait_micros()), (70, 20));
        assert_eq!(
            since.run().iter().sum::<u64>(),
            1,
            "an attempt that was handed back has no time"
        );
        assert!(before.since(&sums).is_zero(), "counters that went back count as nothing");
        sums.add_wait(u64::MAX);
        sums.add_wait(u64::MAX);
        assert_eq!(sums.wait_micros(), u64::MAX);
    }
}
