//! Where jobs wait: queue names, lanes and partitions, each checked once and trusted afterwards.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::job::Error;

/// The name of a queue: 1 to 64 ASCII letters, digits, `_`, `-` or `.`.
///
/// Names become part of Redis keys and of their hash tag, so braces and colons are refused.
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
    /// Checks the name.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when it is empty, longer than 64 bytes, or has another character.
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        check_name("queue name", name, 64, "_-.")?;
        Ok(Self(name.into()))
    }

    /// The name.
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

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks that a name is 1 to `max` ASCII letters, digits or characters of `extra`.
pub(crate) fn check_name(what: &str, name: &str, max: usize, extra: &str) -> Result<(), Error> {
    let legal = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
    if !name.is_empty() && name.len() <= max && name.chars().all(legal) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Error::invalid(format!(
        "{what} {shown:?} is not allowed: use 1 to {max} ASCII letters, digits or any of {extra:?}"
    )))
}

/// One of the streams in which a queue's ready jobs wait, in the order they are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Lane {
    /// Rescued and handed back jobs, which have waited once already.
    Front = 0,
    /// Jobs under which a node has died twice; a node runs one of them at a time.
    Suspect = 1,
    /// Before everything that is not urgent.
    High = 2,
    /// Where jobs go unless the caller says otherwise.
    #[default]
    Normal = 3,
    /// What can wait; still served once in sixteen claims.
    Low = 4,
}

impl Lane {
    /// All lanes, best served first.
    pub const ALL: [Self; 5] = [Self::Front, Self::Suspect, Self::High, Self::Normal, Self::Low];

    /// True for [`Lane::Suspect`].
    #[must_use]
    pub fn is_suspect(self) -> bool {
        self == Self::Suspect
    }

    /// Its place in [`Lane::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The lane at that place of [`Lane::ALL`].
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Its name, as it stands in the key.
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

/// A part of a queue that lives in one Redis slot. A queue of one partition is partition 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The queue.
    pub queue: QueueName,
    /// Which part of it, from 0.
    pub index: u16,
}

impl Partition {
    /// The first, and most often only, partition of a queue.
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
    fn lanes_know_their_place() {
        for (index, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane.index(), index);
            assert_eq!(Lane::from_index(index), Some(lane));
        }
        assert_eq!(Lane::from_index(5), None);
    }
}
