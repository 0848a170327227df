//! The results of an attempt: outcomes, which are values, and failures, which are errors.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::job::{Error, Format, Limited, MAX_PAYLOAD, RawJob, payload};

/// The result of an attempt that did not fail.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The work is done.
    Done,
    /// The work is done and has this result, as MessagePack. Built by [`Outcome::result`]. The
    /// result is kept for 24 hours.
    DoneWith(Vec<u8>),
    /// The job runs again after this time. A snooze does not count as an attempt.
    Snooze(Duration),
    /// The attempt met a limit of another system: the job runs again after a time in which nothing of
    /// its group, or of its queue, starts. It does not count as an attempt.
    Limited(Limited),
    /// The job is pointless and must not run again. The reason is logged, and the job counts as
    /// cancelled.
    Cancel(String),
    /// The work is done once these callbacks of the pool have run with their arguments. Built by
    /// [`Outcome::callback`]. The callbacks run before the job is settled, in order, at least
    /// once; when one fails, the attempt fails.
    Callbacks(Vec<Callback>),
    /// The work is done, and this slot takes no more jobs until it is started again.
    StopSlot,
    /// The work is done, and the pool takes no more jobs until it is started again. An addressed
    /// pool stops in the whole fleet, any other pool in this process.
    StopPool,
}

/// A call of a named callback of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Callback {
    /// The name under which the pool registered the callback.
    pub name: String,
    /// The arguments, as MessagePack.
    pub arguments: Vec<u8>,
}

impl Callback {
    /// Creates a call from its arguments: one value, or a tuple of several.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the arguments cannot be serialized.
    pub fn new<T: Serialize + ?Sized>(name: &str, arguments: &T) -> Result<Self, Error> {
        let mut bytes = vec![];
        payload::encode_unread(arguments, &mut bytes)?;
        Ok(Self { name: name.to_owned(), arguments: bytes })
    }

    /// Reads the arguments.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the arguments are of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let (format, kind) = (Format::MessagePack, self.name.as_str());
        payload::decode(RawJob { kind, version: 1, format, payload: &self.arguments })
    }
}

impl Outcome {
    /// Creates the outcome of work that is done and has this result. The result is kept for 24
    /// hours.
    ///
    /// ```
    /// use poolder_core::Outcome;
    ///
    /// let outcome = Outcome::result(&("words", 1_234))?;
    /// assert!(matches!(outcome, Outcome::DoneWith(_)));
    /// # Ok::<(), poolder_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::is_codec`] when the value cannot be serialized, [`Error::is_too_large`] when it
    /// takes more than [`MAX_PAYLOAD`] bytes.
    pub fn result<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let mut bytes = vec![];
        payload::encode_unread(value, &mut bytes)?;
        Self::DoneWith(bytes).bounded()
    }

    /// Returns the outcome as it may be stored. Cuts a long reason.
    ///
    /// # Errors
    /// [`Error::is_too_large`] for a result of more than [`MAX_PAYLOAD`] bytes.
    pub fn bounded(self) -> Result<Self, Error> {
        match self {
            Self::DoneWith(bytes) if bytes.len() > MAX_PAYLOAD => Err(Error::too_large(format!(
                "the result has {} bytes, the most is {MAX_PAYLOAD}: store it elsewhere and \
                 return a reference to it",
                bytes.len()
            ))),
            Self::Cancel(reason) => Ok(Self::Cancel(cut(reason))),
            outcome => Ok(outcome),
        }
    }

    /// Creates the outcome of work that is done once the callback of this name has run with the
    /// arguments.
    ///
    /// ```
    /// use poolder_core::Outcome;
    ///
    /// let outcome = Outcome::callback("push", &("lobby", "Hello!"))?;
    /// let outcome = outcome.and_callback("event", &7_u64)?;
    /// assert!(matches!(outcome, Outcome::Callbacks(both) if both.len() == 2));
    /// # Ok::<(), poolder_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::is_codec`] when the arguments cannot be serialized.
    pub fn callback<T: Serialize + ?Sized>(name: &str, arguments: &T) -> Result<Self, Error> {
        Ok(Self::Callbacks(vec![Callback::new(name, arguments)?]))
    }

    /// Adds another callback, which runs after the callbacks added before.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the arguments cannot be serialized, [`Error::is_invalid`] for an
    /// outcome that is neither [`Outcome::Done`] nor callbacks.
    pub fn and_callback<T: Serialize + ?Sized>(
        self,
        name: &str,
        arguments: &T,
    ) -> Result<Self, Error> {
        let mut callbacks = match self {
            Self::Callbacks(callbacks) => callbacks,
            Self::Done => vec![],
            other => {
                return Err(Error::invalid(format!("{other:?} cannot have callbacks: use Done")));
            }
        };
        callbacks.push(Callback::new(name, arguments)?);
        Ok(Self::Callbacks(callbacks))
    }
}

/// The decision of `handle_error` about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Verdict {
    /// The job's policy decides.
    #[default]
    Policy,
    /// The job runs again at once, in the same slot, on the worker as `handle_error` left it. The
    /// retry counts as an attempt.
    RetryNow,
    /// The job runs again after this time instead of the policy's backoff. The retry counts as an
    /// attempt.
    Backoff(Duration),
    /// The job does not run again: it dies now.
    Halt,
}

/// The reason why an attempt failed, as recorded with the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The kind of failure.
    pub cause: Cause,
    /// The text of the error, at most [`Failure::MAX_MESSAGE`] bytes.
    pub message: String,
}

impl Failure {
    /// The longest message in bytes. A longer one is cut, so that error texts cannot fill Redis.
    pub const MAX_MESSAGE: usize = 1024;

    /// Creates a failure. A long message is cut at a character boundary.
    #[must_use]
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: cut(message.into()) }
    }
}

/// Cuts a text of more than [`Failure::MAX_MESSAGE`] bytes at a character boundary.
fn cut(mut text: String) -> String {
    if text.len() > Failure::MAX_MESSAGE {
        let fits = |end: &usize| text.is_char_boundary(*end);
        text.truncate((0..=Failure::MAX_MESSAGE - '…'.len_utf8()).rev().find(fits).unwrap_or(0));
        text.push('…');
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.message)
    }
}

impl std::error::Error for Failure {}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Cause {
    /// The handler returned an error.
    Error,
    /// The handler took longer than its timeout.
    Timeout,
    /// The handler panicked.
    Panic,
    /// The payload cannot be read as the worker's type.
    Payload,
    /// The node died while it ran the job.
    Crash,
    /// The stored entry cannot be read at all.
    Undecodable,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Payload => "payload",
            Self::Crash => "crash",
            Self::Undecodable => "undecodable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_a_cap_and_a_reason_is_cut() {
        let result = |bytes| Outcome::DoneWith(vec![0; bytes]).bounded();
        assert!(result(MAX_PAYLOAD).is_ok());
        let error = result(MAX_PAYLOAD + 1).unwrap_err();
        assert!(error.is_too_large() && error.to_string().contains("return a reference"));
        let Ok(Outcome::Cancel(reason)) = Outcome::Cancel("ä".repeat(2_000)).bounded() else {
            panic!("it stays what it is");
        };
        assert!(reason.len() <= Failure::MAX_MESSAGE && reason.ends_with("ä…"));
    }

    #[test]
    fn a_long_error_text_is_cut_between_characters() {
        let failure = Failure::new(Cause::Error, "ä".repeat(2_000));
        assert!(failure.message.len() <= Failure::MAX_MESSAGE);
        assert!(failure.message.ends_with("ä…"));
    }
}
