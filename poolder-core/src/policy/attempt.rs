//! The attempts of a job that failed, as its counters keep them.

use std::time::Duration;

use serde::Serialize;

use crate::job::packed::{Form, Items};
use crate::job::{
    Cause, Error, Failure, Timestamp, as_millis, beginning, clamped_duration, clamped_millis,
};
use crate::policy::ErrorId;
use crate::policy::fingerprint::fingerprint;

/// The longest name of a node that is kept with an attempt, in bytes. A longer one is cut.
const MAX_NODE: usize = 24;

/// The circumstances under which a claim ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts<'a> {
    /// The time at which the claim ended, by the server's clock.
    pub now: Timestamp,
    /// How long the attempt took; zero when that is not known.
    pub took: Duration,
    /// The name of the node that ran the attempt; empty when no attempt ran. The name of a node that
    /// died is taken from the ending.
    pub node: &'a str,
    /// A random number from −1 to 1, which varies the backoff.
    pub jitter: f64,
}

impl Facts<'_> {
    /// Creates the circumstances of a claim that ended at this time without a failed attempt: the
    /// job was released, cancelled, or not started. The duration, the node and the jitter are not
    /// used then.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, took: Duration::ZERO, node: "", jitter: 0.0 }
    }
}

/// An attempt that failed, or under which the node died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// The time at which the attempt ended, or at which the job was taken from the dead node.
    pub at: Timestamp,
    /// The way in which the attempt ended.
    pub cause: Cause,
    /// How long the attempt took, in whole milliseconds; zero for a crash.
    #[serde(serialize_with = "as_millis")]
    pub took: Duration,
    /// The name of the node that ran the attempt, cut to 24 bytes.
    pub node: String,
    /// A hash of the cause and the message of the failure without its numbers, ids and quoted names:
    /// equal errors have equal fingerprints. Not serialized: what is shown of it is the id of the
    /// group, which [`Attempt::error`] returns.
    #[serde(skip)]
    pub fingerprint: u64,
}

impl Attempt {
    /// Creates the record of an attempt that ended with this failure.
    pub(super) fn new(failure: &Failure, facts: Facts<'_>) -> Self {
        Self {
            at: facts.now,
            cause: failure.cause,
            took: facts.took,
            node: beginning(facts.node, MAX_NODE).to_owned(),
            fingerprint: fingerprint(failure),
        }
    }

    /// Returns the id of the group of equal errors to which the failure belongs; `kind` is the kind
    /// of the job.
    #[must_use]
    pub fn error(&self, kind: &str) -> ErrorId {
        ErrorId::of_fingerprint(kind, self.fingerprint)
    }

    /// Returns the stored form: a MessagePack array, to which later versions may append.
    pub(super) fn encode(&self) -> Vec<u8> {
        let took = clamped_millis(self.took);
        // Writing numbers and short strings into a Vec cannot fail.
        rmp_serde::to_vec(&(self.at.millis(), self.cause, took, &self.node, self.fingerprint))
            .unwrap_or_default()
    }

    /// Reads the stored form.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut items = Items::new(Form::Array, bytes)?;
        Ok(Self {
            at: Timestamp::from_millis(items.take()?),
            cause: items.take()?,
            took: clamped_duration(items.take()?),
            node: items.take()?,
            fingerprint: items.take()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_back_and_may_have_more_elements() {
        let node = format!("{}ä:17", "x".repeat(23));
        let (now, took) = (Timestamp::from_millis(1_700_000_000_123), Duration::from_millis(90));
        let facts = Facts { now, took, node: &node, jitter: 0.0 };
        let attempt = Attempt::new(&Failure::new(Cause::Timeout, "took longer than 30s"), facts);
        assert_eq!((attempt.node.len(), attempt.took, attempt.at), (23, took, now));
        let mut bytes = attempt.encode();
        assert!(bytes.len() <= 66, "{}", bytes.len());
        assert_eq!(Attempt::decode(&bytes).unwrap(), attempt);
        for cut in 0..bytes.len() {
            assert!(Attempt::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        bytes[0] += 1;
        bytes.push(0xc3);
        assert_eq!(Attempt::decode(&bytes).unwrap(), attempt);
        let forged = Attempt { took: Duration::MAX, ..attempt.clone() };
        assert!(Attempt::decode(&forged.encode()).unwrap().took < Duration::MAX);
    }
}
