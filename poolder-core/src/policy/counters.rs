//! What has happened to a job so far. It travels beside the envelope, from the first move on.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserializer as _, Serialize};

use crate::job::{Cause, Error, Failure, Lane, Timestamp};

/// A job's history, in numbers. A job that was never moved has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Attempts that failed.
    pub failures: u32,
    /// Nodes that died while it ran.
    pub crashes: u32,
    /// Times it was given to a slot and came back. The next claim's fence is one more.
    pub deliveries: u64,
    /// When the first attempt failed, in milliseconds since 1970; 0 for never.
    first_failed: i64,
    /// Where it was enqueued, as a place in [`Lane::ALL`].
    home: u8,
    /// The last failure, for an operator.
    pub last_failure: Option<Failure>,
}

impl Counters {
    /// The counters of a job that was first claimed from `lane`.
    #[must_use]
    pub fn starting_in(lane: Lane) -> Self {
        let index = u8::try_from(lane.index()).unwrap_or_default();
        Self { home: index, ..Self::default() }
    }

    /// The lane in which the job waits when nothing is wrong with it.
    #[must_use]
    pub fn home(&self) -> Lane {
        match Lane::from_index(usize::from(self.home)) {
            Some(lane @ (Lane::High | Lane::Low)) => lane,
            _ => Lane::Normal,
        }
    }

    /// True from the second crash on: such a job runs apart from other suspects.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes >= 2
    }

    /// The lane in which the job waits when its time has come.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.is_suspect() { Lane::Suspect } else { self.home() }
    }

    /// When the first attempt failed.
    #[must_use]
    pub fn first_failed(&self) -> Option<Timestamp> {
        (self.first_failed != 0).then(|| Timestamp::from_millis(self.first_failed))
    }

    /// Why a job with this history dies.
    #[must_use]
    pub(crate) fn reason(&self) -> Failure {
        let unknown = || Failure::new(Cause::Error, "no reason was recorded");
        self.last_failure.clone().unwrap_or_else(unknown)
    }

    /// The history of a dead job that gets another life: nothing is held against it, but fences go
    /// on growing.
    #[must_use]
    pub(crate) fn revived(&self) -> Self {
        let (failures, crashes, first_failed) = (0, 0, 0);
        Self { failures, crashes, first_failed, ..self.clone() }
    }

    /// The history after one more delivery that came back.
    #[must_use]
    pub(crate) fn returned(&self) -> Self {
        Self { deliveries: self.deliveries.saturating_add(1), ..self.clone() }
    }

    /// The history after a failed attempt.
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

    /// The history after the node died.
    #[must_use]
    pub(crate) fn crashed(&self, failure: Failure) -> Self {
        let mut next = self.returned();
        next.crashes = next.crashes.saturating_add(1);
        next.last_failure = Some(failure);
        next
    }

    /// The stored form: a MessagePack array, to which later versions may append.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Numbers and short strings into a Vec: there is nothing that can fail.
        rmp_serde::to_vec(self).unwrap_or_default()
    }

    /// Reads the stored form.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = rmp_serde::Deserializer::new(bytes);
        reader.set_max_depth(8);
        let mut read = reader.deserialize_seq(Numbers).map_err(|error| {
            Error::codec(format!("the stored counters cannot be read: {error}"))
        })?;
        // Whoever wrote it may not have cut the message; ours must fit its length field.
        read.last_failure = read.last_failure.map(|f| Failure::new(f.cause, f.message));
        Ok(read)
    }
}

/// Reads the array of any version: what an earlier one left out has its default, what a later one
/// appended is passed over.
struct Numbers;

impl<'de> Visitor<'de> for Numbers {
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
