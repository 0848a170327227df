//! Groups of equal errors.

use serde::{Deserialize, Serialize};

use super::mute::Mute;
use crate::job::{Cause, Failure, JobId, Timestamp, beginning};
use crate::policy::ErrorId;

/// The longest message of a sample in bytes. A longer one is cut.
const MAX_MESSAGE: usize = 300;

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
    /// The mute of the group that goes on; `None` when there is none.
    pub mute: Option<Mute>,
    /// The first of its errors.
    #[serde(flatten)]
    pub sample: ErrorSample,
}

impl ErrorGroup {
    /// Returns true when the group is left out of what needs a person: its mute goes on, and it was
    /// not seen more often in the last hour than the mute allows.
    #[must_use]
    pub fn is_muted(&self) -> bool {
        self.mute.as_ref().is_some_and(|mute| mute.covers(self.last_hour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
