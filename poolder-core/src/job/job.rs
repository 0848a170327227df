//! The trait of typed jobs: values with a kind and a policy, which code enqueues and runs.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::{Error, Policy, RawJob, Unique, check_name, payload};

/// A typed job: a value that can be stored, with its kinds, default queue and policy.
///
/// Derive the trait with `#[derive(Job)]`, or implement it by hand:
///
/// ```
/// use poolder_core::Job;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Welcome { user: u64 }
///
/// impl Job for Welcome {
///     const KINDS: &'static [&'static str] = &["email.welcome"];
///     const QUEUE: &'static str = "mail";
/// }
/// assert_eq!(Welcome { user: 7 }.kind(), "email.welcome");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "not a job",
    note = "derive it: `#[derive(serde::Serialize, serde::Deserialize, poolder::Job)]`"
)]
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The kinds of this type: one for a struct, one per variant for an enum. A kind is 1 to 128
    /// ASCII letters, digits, `_`, `-`, `.`, `:` or `/`.
    const KINDS: &'static [&'static str];

    /// The queue of the job unless the caller names another. Default `default`.
    const QUEUE: &'static str = "default";

    /// The version of the payload's shape. A worker that knows only older versions leaves a newer
    /// job to other nodes. Default 1.
    const VERSION: u16 = 1;

    /// Returns the kind of this value. Default: the first of [`Job::KINDS`].
    fn kind(&self) -> &'static str {
        Self::KINDS[0]
    }

    /// Returns the attempts, backoff and timeout of this value. Default `None`: those of the pool
    /// that runs the job, or else [`Policy::default`].
    fn policy(&self) -> Option<Policy> {
        None
    }

    /// Returns the rule by which this value is unique in its queue. Default `None`: every enqueue
    /// stores a job.
    fn unique(&self) -> Option<Unique> {
        None
    }

    /// Returns the group of this value in its queue, such as its tenant: see `docs/limits.md`. Default
    /// `None`: the group of jobs without one.
    fn group(&self) -> Option<String> {
        None
    }

    /// Returns how many units of the rates of its queue and its group this value takes. Default `None`:
    /// 1.
    fn cost(&self) -> Option<u32> {
        None
    }

    /// Returns the time within which this value starts, counted from the time at which it is ready.
    /// Default `None`: it does not expire.
    fn expires_in(&self) -> Option<Duration> {
        None
    }

    /// Appends the payload to `out`. Default: MessagePack with field names, so that fields may be
    /// added later.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the value cannot be serialized.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        payload::encode(self, out)
    }

    /// Reads a payload. Override this to accept older versions, which [`RawJob::version`] tells.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the payload is not of this type.
    fn decode(raw: RawJob<'_>) -> Result<Self, Error> {
        payload::decode(raw)
    }
}

/// Checks a kind: 1 to 128 ASCII letters, digits, `_`, `-`, `.`, `:` or `/`.
///
/// # Errors
/// [`Error::is_invalid`] when the kind is empty, longer, or contains another character.
pub fn check_kind(kind: &str) -> Result<(), Error> {
    check_name("kind", kind, 128, "_-.:/")
}

/// Checks a time within which a job starts.
///
/// # Errors
/// [`Error::is_invalid`] for less than 1 ms.
pub(crate) fn check_expires_in(time: Duration) -> Result<(), Error> {
    if time < Duration::from_millis(1) {
        return Err(Error::invalid(format!(
            "expires_in is {time:?}, within which no job can start: give it at least 1 ms, or None \
             for a job that does not expire"
        )));
    }
    Ok(())
}

/// The prefix of the kind of every batch job; the batcher's name follows it.
pub(crate) const BATCH_KIND: &str = "poolder.batch/";

/// Returns the name of the batcher when the kind is that of a batch job.
#[must_use]
pub fn batcher_of(kind: &str) -> Option<&str> {
    kind.strip_prefix(BATCH_KIND)
}
