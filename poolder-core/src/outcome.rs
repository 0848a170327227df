//! What a handler says about its attempt. Outcomes are values; errors are errors.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::envelope::MAX_PAYLOAD;
use crate::error::Error;
use crate::job::payload;

/// How an attempt ended, when it did not fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done.
    Done,
    /// The work is done, and this is its result, as MessagePack: made by [`Outcome::result`].
    /// It is kept for 24 hours.
    DoneWith(Vec<u8>),
    /// Not now: run it again after this time. Burns no attempt.
    Snooze(Duration),
    /// The job is pointless and must not run again; the reason is logged and counted.
    Cancel(String),
}

impl Outcome {
    /// The work is done, and this is its result. It is kept for 24 hours.
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
    /// [`Error::is_codec`] when it cannot be serialized, [`Error::is_too_large`] when it takes more
    /// than [`MAX_PAYLOAD`] bytes.
    pub fn result<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let mut bytes = vec![];
        payload::encode(value, &mut bytes)?;
        if bytes.len() > MAX_PAYLOAD {
            return Err(Error::too_large(format!(
                "the result has {} bytes, the most is {MAX_PAYLOAD}: store it elsewhere and \
                 return a reference to it",
                bytes.len()
            )));
        }
        Ok(Self::DoneWith(bytes))
    }
}

/// What shall become of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Verdict {
    /// As the job's policy says.
    #[default]
    Policy,
    /// At once, in the same slot, with whatever `handle_error` left in `self`. It counts as an
    /// attempt.
    RetryNow,
    /// After this time, whatever the policy's backoff. It counts as an attempt.
    Backoff(Duration),
    /// Never again: the job dies now.
    Halt,
}

/// Why an attempt failed, as it is recorded with the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it was.
    pub cause: Cause,
    /// What the error said, at most [`Failure::MAX_MESSAGE`] bytes.
    pub message: String,
}

impl Failure {
    /// Longer messages are cut, so that an error text cannot fill Redis.
    pub const MAX_MESSAGE: usize = 1024;

    /// Records a cause and the error's text, cut at a character boundary.
    #[must_use]
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > Self::MAX_MESSAGE {
            let fits = |end: &usize| message.is_char_boundary(*end);
            message
                .truncate((0..=Self::MAX_MESSAGE - '…'.len_utf8()).rev().find(fits).unwrap_or(0));
            message.push('…');
        }
        Self { cause, message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.message)
    }
}

impl std::error::Error for Failure {}

/// The kinds of failure that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The handler returned an error.
    Error,
    /// The handler took longer than its timeout.
    Timeout,
    /// The handler panicked.
    Panic,
    /// The payload is not what the worker's type expects.
    Payload,
    /// The node died while the job ran on it.
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
    fn a_long_error_text_is_cut_between_characters() {
        let failure = Failure::new(Cause::Error, "ä".repeat(2_000));
        assert!(failure.message.len() <= Failure::MAX_MESSAGE);
        assert!(failure.message.ends_with("ä…"));
    }
}
