//! Queue names, lanes and partitions. A name is checked when it is created and trusted afterwards.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::job::{Error, deserialize_from_text, serialize_as_text};

/// The name of a queue: 1 to 64 ASCII letters, digits, `_`, `-` or `.`.
///
/// Names become part of Redis keys and of their hash tags, so braces and colons are refused.
///
/// ```
/// use poolder_core::QueueName;
///
/// assert!("mail".parse::<QueueName>().is_ok());
/// assert!("mail{0}".parse::<QueueName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// Checks a name and creates a queue name from it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the name is empty, longer than 64 bytes, or contains another
    /// character.
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        check_name("queue name", name, 64, "_-.")?;
        Ok(Self(name.into()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name)
    }
}

impl AsRef<str> for QueueName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

serialize_as_text! { QueueName Lane Partition }
deserialize_from_text! { QueueName }

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks that a name is 1 to `max` ASCII letters, digits or characters of `extra`.
pub(crate) fn check_name(what: &str, name: &str, max: usize, extra: &str) -> Result<(), Error> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte);
    if !name.is_empty() && name.len() <= max && name.bytes().all(legal) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Error::invalid(format!(
        "{what} {shown:?} is not allowed: use 1 to {max} ASCII letters, digits or any of {extra:?}"
    )))
}

/// A stream in which ready jobs of a queue wait. The lanes are ordered, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum Lane {
    /// Rescued and released jobs, which have waited once already.
    Front = 0,
    /// Jobs under which a node has died twice; a node runs one of them at a time.
    Suspect = 1,
    /// Urgent jobs, served before normal ones.
    High = 2,
    /// Jobs for which the caller chose no other lane.
    #[default]
    Normal = 3,
    /// Jobs that can wait; still served first in one of sixteen claims.
    Low = 4,
}

impl Lane {
    /// All lanes, the best first.
    pub const ALL: [Self; 5] = [Self::Front, Self::Suspect, Self::High, Self::Normal, Self::Low];

    /// Returns true for [`Lane::Suspect`].
    #[must_use]
    pub fn is_suspect(self) -> bool {
        self == Self::Suspect
    }

    /// Returns the index of the lane in [`Lane::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Returns the lane at this index of [`Lane::ALL`].
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Returns the name of the lane, as used in Redis keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Suspect => "suspect",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a queue whose keys share one Redis slot. An undivided queue is its partition 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The queue.
    pub queue: QueueName,
    /// The index of the partition, from 0.
    pub index: u16,
}

impl Partition {
    /// Returns the first, and most often only, partition of a queue.
    #[must_use]
    pub fn first(queue: QueueName) -> Self {
        Self { queue, index: 0 }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.queue, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_key_are_refused() {
        for bad in ["", "a b", "a:b", "{a}", "ä", "a/b", &"x".repeat(65)] {
            let error = QueueName::new(bad).unwrap_err();
            assert!(error.is_invalid(), "{bad:?}");
            assert!(error.to_string().contains("use 1 to 64"), "{error}");
        }
        assert_eq!(QueueName::new("a-b_c.9").unwrap().as_str(), "a-b_c.9");
    }

    #[test]
    fn a_lane_and_its_index_belong_together() {
        for (index, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane.index(), index);
            assert_eq!(Lane::from_index(index), Some(lane));
        }
        assert_eq!(Lane::from_index(5), None);
    }
}
