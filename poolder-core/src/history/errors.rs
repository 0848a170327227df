//! Groups of equal errors: those of one kind whose failures have the same fingerprint.
//!
//! ```text
//! id    first six bytes of hash(kind "\n" fingerprint), see policy/fingerprint.rs and
//!       policy/dispatch.rs
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::job::{Cause, Error, Failure, JobId, Timestamp, beginning, serialize_as_text};
use crate::policy::dispatch::hash;
use crate::policy::fingerprint;

/// The longest message of a sample in bytes. A longer one is cut.
const MAX_MESSAGE: usize = 300;

/// The id of a group of equal errors: twelve hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorId(u64);

impl ErrorId {
    /// Returns the id of the group to which a failure of this kind belongs.
    #[must_use]
    pub fn of(kind: &str, failure: &Failure) -> Self {
        let fingerprint = fingerprint(failure);
        Self(hash(format!("{kind}\n{fingerprint:016x}").as_bytes()) >> 16)
    }
}

serialize_as_text! { ErrorId }

impl fmt::Display for ErrorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl FromStr for ErrorId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_id = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = if is_id { u64::from_str_radix(text, 16).ok() } else { None };
        id.map(Self).ok_or_else(|| {
            Error::invalid(format!("{text:?} is no id of an error: it has 12 hexadecimal digits"))
        })
    }
}

/// One error of a group, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorSample {
    /// The queue.
    pub queue: String,
    /// The kind.
    pub kind: String,
    /// The cause.
    pub cause: Cause,
    /// The message, cut at 300 bytes; empty when the node keeps no samples.
    pub message: String,
    /// The job.
    pub job: String,
    /// The node that ran the attempt, or took the job back.
    pub node: String,
    /// The deploy that the node belongs to.
    #[serde(default)]
    pub deploy: String,
}

impl ErrorSample {
    /// Returns the sample of a failure of a queue and kind, without the node and its deploy.
    #[must_use]
    pub fn new((queue, kind): (&str, &str), failure: &Failure, job: JobId) -> Self {
        Self {
            queue: queue.into(),
            kind: kind.into(),
            cause: failure.cause,
            message: beginning(&failure.message, MAX_MESSAGE).into(),
            job: job.to_string(),
            node: String::new(),
            deploy: String::new(),
        }
    }
}

/// A group of equal errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ErrorGroup {
    /// The id of the group.
    pub id: ErrorId,
    /// When the error was seen first, by the server's clock.
    pub first_seen: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
    /// How often it was seen in the last hour.
    pub last_hour: u64,
    /// The first of its errors.
    #[serde(flatten)]
    pub sample: ErrorSample,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_frozen_and_group_equal_errors_of_a_kind() {
        let of = |kind, message: &str| ErrorId::of(kind, &Failure::new(Cause::Error, message));
        let id = of("welcome", "user 17 not found");
        assert_eq!(id.to_string(), "f7c6ad8f30a9");
        assert_eq!((id, id.to_string().parse().unwrap()), (of("welcome", "user 4 not found"), id));
        assert_ne!(id, of("digest", "user 17 not found"));
        assert_ne!(id, of("welcome", "job 17 not found"));
        for odd in ["", "0123456789a", "0123456789abc", "0123456789ax", "+123456789ab"] {
            assert!(odd.parse::<ErrorId>().is_err_and(|error| error.is_invalid()), "{odd:?}");
        }
    }

    #[test]
    fn a_sample_has_a_short_message_and_is_read_back() {
        let failure = Failure::new(Cause::Panic, "ä".repeat(400));
        let sample = ErrorSample::new(("q", "k"), &failure, JobId::generate());
        assert_eq!(sample.message.len(), 300);
        let json = serde_json::to_string(&sample).unwrap();
        assert_eq!(serde_json::from_str::<ErrorSample>(&json).unwrap(), sample);
        let short = Failure::new(Cause::Panic, "no");
        assert_eq!(ErrorSample::new(("q", "k"), &short, JobId::generate()).message, "no");
    }

    proptest::proptest! {
        #[test]
        fn numbers_do_not_change_the_group(kind in "[a-z.]{1,20}", text in ".{0,40}", one: u64, other: u64) {
            let of = |number: u64| {
                ErrorId::of(&kind, &Failure::new(Cause::Error, format!("{text} {number} {text}")))
            };
            proptest::prop_assert_eq!(of(one), of(other));
        }
    }
}
