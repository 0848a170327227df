//! The counters of a job: its failures, crashes and deliveries. Counters are stored beside the
//! envelope; a job enqueued straight into a lane has none until it is moved.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserializer as _, Serialize};

use crate::job::{Cause, Error, Failure, Lane, Timestamp};

/// The history of a job, in numbers. A job enqueued straight into a lane has no stored counters
/// until it is moved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// The number of failed attempts.
    pub failures: u32,
    /// The number of nodes that died while they ran the job.
    pub crashes: u32,
    /// How often a slot got the job and the job came back. The fence of the next claim is one more.
    pub deliveries: u64,
    /// The time of the first failure, in milliseconds since 1970; 0 when no attempt has failed.
    first_failed: i64,
    /// The lane into which the job was enqueued, as an index into [`Lane::ALL`].
    home: u8,
    /// The last failure, shown to operators.
    pub last_failure: Option<Failure>,
}

impl Counters {
    /// Creates the counters of a job without a history, enqueued into `lane`.
    #[must_use]
    pub fn starting_in(lane: Lane) -> Self {
        let index = u8::try_from(lane.index()).unwrap_or_default();
        Self { home: index, ..Self::default() }
    }

    /// Returns the lane in which the job waits unless it is a suspect: high, low, or else normal.
    #[must_use]
    pub fn home(&self) -> Lane {
        match Lane::from_index(usize::from(self.home)) {
            Some(lane @ (Lane::High | Lane::Low)) => lane,
            _ => Lane::Normal,
        }
    }

    /// Returns true from the second crash on. A node runs one suspect at a time.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes >= 2
    }

    /// Returns the lane in which the job waits once it is due.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.is_suspect() { Lane::Suspect } else { self.home() }
    }

    /// Returns the time of the first failure; `None` when no attempt has failed.
    #[must_use]
    pub fn first_failed(&self) -> Option<Timestamp> {
        (self.first_failed != 0).then(|| Timestamp::from_millis(self.first_failed))
    }

    /// Returns the reason for burying a job with this history: its last failure.
    #[must_use]
    pub(crate) fn reason(&self) -> Failure {
        let unknown = || Failure::new(Cause::Error, "no reason was recorded");
        self.last_failure.clone().unwrap_or_else(unknown)
    }

    /// Returns the history of a dead job that is revived: failures and crashes are reset, but
    /// deliveries are kept, so that fences keep growing.
    #[must_use]
    pub(crate) fn revived(&self) -> Self {
        let (failures, crashes, first_failed) = (0, 0, 0);
        Self { failures, crashes, first_failed, ..self.clone() }
    }

    /// Returns the history after one more delivery from which the job came back.
    #[must_use]
    pub(crate) fn returned(&self) -> Self {
        Self { deliveries: self.deliveries.saturating_add(1), ..self.clone() }
    }

    /// Returns the history after a failed attempt.
    #[must_use]
    pub(crate) fn failed(&self, failure: Failure, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.failures = next.failures.saturating_add(1);
        if next.first_failed == 0 {
            next.first_failed = now.millis();
        }
        next.last_failure = Some(failure);
        next
    }

    /// Returns the history after the node that ran the job died.
    #[must_use]
    pub(crate) fn crashed(&self, failure: Failure) -> Self {
        let mut next = self.returned();
        next.crashes = next.crashes.saturating_add(1);
        next.last_failure = Some(failure);
        next
    }

    /// Returns the stored form: a MessagePack array, to which later versions may append.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Writing numbers and short strings into a Vec cannot fail.
        rmp_serde::to_vec(self).unwrap_or_default()
    }

    /// Reads the stored form.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = rmp_serde::Deserializer::new(bytes);
        reader.set_max_depth(8);
        let mut read = reader.deserialize_seq(CountersVisitor).map_err(|error| {
            Error::codec(format!("the stored counters cannot be read: {error}"))
        })?;
        // Another writer may not have cut the message; cut, the counters fit their length field
        // when they are written again.
        read.last_failure = read.last_failure.map(|f| Failure::new(f.cause, f.message));
        Ok(read)
    }
}

/// Reads the array of any version: elements that an earlier version did not write get their
/// default, elements that a later version appended are skipped.
struct CountersVisitor;

impl<'de> Visitor<'de> for CountersVisitor {
    type Value = Counters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of counters")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Counters, A::Error> {
        let missing = |index| A::Error::invalid_length(index, &self);
        let read = Counters {
            failures: array.next_element()?.ok_or_else(|| missing(0))?,
            crashes: array.next_element()?.ok_or_else(|| missing(1))?,
            deliveries: array.next_element()?.ok_or_else(|| missing(2))?,
            first_failed: array.next_element()?.unwrap_or_default(),
            home: array.next_element()?.unwrap_or_default(),
            last_failure: array.next_element()?.unwrap_or_default(),
        };
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_garbage_is_an_error() {
        let counters = Counters::starting_in(Lane::Low)
            .failed(Failure::new(Cause::Timeout, "too slow"), Timestamp::from_millis(5))
            .returned();
        let bytes = counters.encode();
        assert_eq!(Counters::decode(&bytes).unwrap(), counters);
        assert_eq!((counters.home(), counters.lane()), (Lane::Low, Lane::Low));
        for cut in 0..bytes.len() {
            assert!(Counters::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn two_crashes_make_a_suspect() {
        let crash = || Failure::new(Cause::Crash, "node a");
        let once = Counters::starting_in(Lane::High).crashed(crash());
        let twice = once.crashed(crash());
        assert_eq!((once.lane(), twice.lane()), (Lane::High, Lane::Suspect));
        assert_eq!((twice.home(), twice.deliveries, twice.failures), (Lane::High, 2, 0));
    }
}
