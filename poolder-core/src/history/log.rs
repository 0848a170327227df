//! The logs of a namespace: the form of their ids and pages.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::job::{Error, Timestamp, deserialize_from_text, serialize_as_text};

/// The id of an entry of a log: when it was written, by the server's clock, and its number within
/// that millisecond. A log is read from one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    millis: u64,
    number: u64,
}

impl LogId {
    /// Returns the id below which no entry of this time is.
    pub(crate) fn first_at(at: Timestamp) -> Self {
        Self { millis: u64::try_from(at.millis()).unwrap_or_default(), number: 0 }
    }

    /// Returns the lowest id after this one.
    pub(crate) fn following(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self { millis: self.millis.saturating_add(1), number: 0 },
        }
    }

    /// Returns the time at which the entry was written.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.millis).unwrap_or(i64::MAX))
    }
}

serialize_as_text! { LogId }
deserialize_from_text! { LogId }

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

impl FromStr for LogId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once('-');
        let read = parts.and_then(|(millis, number)| {
            Some(Self { millis: millis.parse().ok()?, number: number.parse().ok()? })
        });
        read.ok_or_else(|| {
            Error::invalid(format!("{text:?} is no id of a log: it is like 1764503000123-0"))
        })
    }
}

/// A page of a log, the latest entry first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogPage<E> {
    /// The entries that satisfy the filter.
    pub entries: Vec<E>,
    /// Where the next page begins: the entries before this one. `None` when the log was read to its
    /// end.
    pub next: Option<LogId>,
    /// The number of entries that were looked at.
    pub looked_at: u64,
}

impl<E> LogPage<E> {
    /// Creates a page without entries.
    pub(crate) fn new() -> Self {
        Self { entries: vec![], next: None, looked_at: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_other_texts_are_refused() {
        let id: LogId = "1764503000123-7".parse().unwrap();
        assert_eq!(
            (id.to_string(), id.at().millis()),
            ("1764503000123-7".into(), 1_764_503_000_123)
        );
        assert!(LogId::first_at(id.at()) < id);
        assert_eq!(LogId::first_at(Timestamp::from_millis(-1)).to_string(), "0-0");
        let last: LogId = format!("{0}-{0}", u64::MAX).parse().unwrap();
        assert_eq!(last.at().millis(), i64::MAX);
        for odd in ["", "-", "1", "1-", "-1", "a-1", "1-a", "1-2-3", "18446744073709551616-0"] {
            assert!(odd.parse::<LogId>().is_err_and(|error| error.is_invalid()), "{odd:?}");
        }
    }
}
