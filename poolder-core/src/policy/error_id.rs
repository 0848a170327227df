//! The id of a group of equal errors: those of one kind whose failures have the same fingerprint.
//!
//! ```text
//! id    first six bytes of hash(kind "\n" fingerprint), see fingerprint.rs and dispatch.rs
//! ```

use std::fmt;
use std::str::FromStr;

use crate::job::{Error, Failure, serialize_as_text};
use crate::policy::dispatch::hash;
use crate::policy::fingerprint::fingerprint;

/// The id of a group of equal errors: twelve hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorId(u64);

impl ErrorId {
    /// Returns the id of the group to which a failure of this kind belongs.
    #[must_use]
    pub fn of(kind: &str, failure: &Failure) -> Self {
        Self::of_fingerprint(kind, fingerprint(failure))
    }

    /// Returns the id of the group to which a failure of this kind and fingerprint belongs.
    pub(crate) fn of_fingerprint(kind: &str, fingerprint: u64) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Cause;

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
}
