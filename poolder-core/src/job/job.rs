//! What a job is to the code that enqueues and runs it: a typed value with a kind and a policy.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::{Error, Policy, RawJob, check_name, payload};

/// A typed job: a value that can be stored, and what Poolder must know about its kind.
///
/// Derive it with `#[derive(Job)]`, or write it by hand in a line:
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
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The kinds this type stands for: one for a struct, one per variant for an enum. A kind is
    /// 1 to 128 ASCII letters, digits, `_`, `-`, `.`, `:` or `/`.
    const KINDS: &'static [&'static str];

    /// The queue it goes to unless the caller names another. Default `default`.
    const QUEUE: &'static str = "default";

    /// The version of the payload's shape. A worker that knows only older versions leaves a newer
    /// job to others. Default 1.
    const VERSION: u16 = 1;

    /// The kind of this value. Default: the first of [`Job::KINDS`].
    fn kind(&self) -> &'static str {
        Self::KINDS[0]
    }

    /// Attempts, backoff and timeout for this value. Default: [`Policy::default`].
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// Appends the payload. Default: MessagePack with field names, so that fields may be added.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the value cannot be serialized.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        payload::encode(self, out)
    }

    /// Reads a payload back. Override it to accept older versions: look at [`RawJob::version`].
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
/// [`Error::is_invalid`] when it is not.
pub fn check_kind(kind: &str) -> Result<(), Error> {
    check_name("kind", kind, 128, "_-.:/")
}

/// What every batch job's kind begins with; the batcher's name follows.
pub(crate) const BATCH_KIND: &str = "poolder.batch/";

/// The batcher's name, for a kind that is a batch job's.
#[must_use]
pub fn batcher_of(kind: &str) -> Option<&str> {
    kind.strip_prefix(BATCH_KIND)
}
